"""Weights from a file that `torch.save` wrote before PyTorch 1.6, without PyTorch and without running the file's code.

A pickle can call any function; this reader lets it build an ordered dict of tensors and nothing else. The format, by
`_legacy_load` in `torch/serialization.py`: four pickles (a magic number, a protocol version, facts of the machine, the
object, in which each tensor names its storage by a key), then the list of the storages' keys, then for each storage its
length and its numbers.
"""

import math
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from postergenre.errors import InputError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def load(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a state dict by their names, as little-endian arrays of their own dtype and shape.

    Raises:
        InputError: the file is not such a state dict, or is damaged.
    """
    try:
        with file.open("rb") as stream:
            return _read(stream)
    except FileNotFoundError:
        raise InputError(f"{file} is missing") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{file} is not a state dict in PyTorch's format before 1.6: {error}") from None


@dataclass(frozen=True)
class _Tensor:
    storage: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows these four names and refuses all others."""

    def find_class(self, module: str, name: str) -> Any:
        match f"{module}.{name}":
            case "collections.OrderedDict":
                return OrderedDict
            case "torch._utils._rebuild_tensor_v2":
                return _tensor
            case "torch.FloatStorage":
                return "<f4"
            case "torch.LongStorage":
                return "<i8"
            case other:
                raise pickle.UnpicklingError(f"it asks for {other}, which no state dict needs")

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, _device, _length, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it holds a {kind} where a tensor's storage should be")
        return key, dtype


def _tensor(storage: tuple[str, str], offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(*storage, offset, tuple(shape), tuple(strides))


def _read(stream: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    if (magic := _Unpickler(stream).load()) != MAGIC or (protocol := _Unpickler(stream).load()) != PROTOCOL:
        raise ValueError(f"it begins with {magic if magic != MAGIC else protocol!r}")
    _Unpickler(stream).load()
    tensors: dict[str, _Tensor] = _Unpickler(stream).load()
    dtypes = {tensor.storage: tensor.dtype for tensor in tensors.values()}
    storages = {key: _storage(stream, np.dtype(dtypes[key])) for key in _Unpickler(stream).load()}
    return {name: _array(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _storage(stream: BinaryIO, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    (length,) = struct.unpack("<q", stream.read(8))
    return np.frombuffer(stream.read(length * dtype.itemsize), dtype, length)


def _array(tensor: _Tensor, storage: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Checked first: strides that lead outside of the storage would read foreign memory.
    last = tensor.offset + sum((side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset < 0 or min(tensor.strides, default=0) < 0 or min(tensor.shape, default=1) < 1:
        raise ValueError("a tensor has a negative offset or stride, or no elements")
    if max(last + 1, math.prod(tensor.shape)) > len(storage):
        raise ValueError(f"a tensor {tensor.shape} reaches to {last} in a storage of {len(storage)} numbers")
    strides = [step * storage.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).copy()
