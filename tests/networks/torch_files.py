"""Writes files as `torch.save` did before PyTorch 1.6, without PyTorch."""

import pickle
import struct
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from postergenre.networks import torch_pickle


class Storage:
    """Stands for a tensor's storage in a pickle, as `torch.save` writes it."""

    def __init__(self, kind: str, key: str, array: npt.NDArray[Any]):
        self.kind, self.key, self.array = kind, key, array


class Call:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function: Any, *arguments: Any):
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@contextmanager
def torch_names() -> Iterator[types.SimpleNamespace]:
    """The names that a state dict refers to; within the block they can be pickled."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    names = types.SimpleNamespace()
    for place, name, key in (
        (module, "FloatStorage", "FloatStorage"),
        (module, "LongStorage", "LongStorage"),
        (utils, "_rebuild_tensor_v2", "rebuild_tensor"),
    ):
        made = type(name, (), {"__module__": place.__name__})
        setattr(place, name, made)
        setattr(names, key, made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", module)
        patch.setitem(sys.modules, "torch._utils", utils)
        yield names


def save(file: Path, state: Any, storages: list[Storage], torch: types.SimpleNamespace) -> Path:
    """Write a state dict; `torch` has the names of `torch_names`."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, Storage):
                return "storage", getattr(torch, obj.kind), obj.key, "cpu", len(obj.array), None
            return None

    with file.open("wb") as stream:
        for value in (torch_pickle.MAGIC, torch_pickle.PROTOCOL, {"little_endian": True}):
            pickle.dump(value, stream, 2)
        Pickler(stream, 2).dump(state)
        pickle.dump([storage.key for storage in storages], stream, 2)
        for storage in storages:
            stream.write(struct.pack("<q", len(storage.array)) + storage.array.tobytes())
    return file


def tensor(torch: types.SimpleNamespace, storage: Storage, offset: int, shape: Any, strides: Any) -> Call:
    """A tensor that looks at a storage from an offset on."""
    return Call(torch.rebuild_tensor, storage, offset, shape, strides, False, OrderedDict())


def save_tensors(file: Path, tensors: dict[str, npt.NDArray[np.float32]]) -> Path:
    """Write a state dict of tensors."""
    with torch_names() as torch:
        state: OrderedDict[str, Call] = OrderedDict()
        storages = []
        for number, (name, array) in enumerate(tensors.items()):
            storages.append(Storage("FloatStorage", str(number), np.ascontiguousarray(array, "<f4").reshape(-1)))
            strides = tuple(step // 4 for step in np.ascontiguousarray(array, "<f4").strides)
            state[name] = tensor(torch, storages[-1], 0, array.shape, strides)
        return save(file, state, storages, torch)
