import os
import types
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postergenre.errors import InputError
from postergenre.networks import torch_pickle
from tests.networks import torch_files
from tests.networks.torch_files import Call, Storage, save, tensor


@pytest.fixture
def torch() -> Iterator[types.SimpleNamespace]:
    with torch_files.torch_names() as names:
        yield names


def test_tensors_come_with_their_names_shapes_and_numbers(tmp_path: Path, torch: types.SimpleNamespace) -> None:
    floats = Storage("FloatStorage", "1", np.arange(12, dtype="<f4"))
    longs = Storage("LongStorage", "2", np.array([7], dtype="<i8"))
    state = OrderedDict(
        matrix=tensor(torch, floats, 0, (3, 4), (4, 1)),
        turned=tensor(torch, floats, 0, (4, 3), (1, 4)),
        part=tensor(torch, floats, 8, (2,), (2,)),
        number=tensor(torch, longs, 0, (), ()),
    )
    read = torch_pickle.load(save(tmp_path / "weights.pth", state, [floats, longs], torch))
    expected = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert list(read) == ["matrix", "turned", "part", "number"]
    np.testing.assert_array_equal(read["matrix"], expected)
    np.testing.assert_array_equal(read["turned"], expected.T)
    np.testing.assert_array_equal(read["part"], [8, 10])
    assert read["number"] == 7
    assert {array.dtype for array in read.values()} == {np.dtype("float32"), np.dtype("int64")}


@pytest.mark.parametrize("function", [os.system, eval, os.unlink])
def test_a_pickle_that_calls_anything_else_is_refused_unrun(
    tmp_path: Path, torch: types.SimpleNamespace, function: Any
) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    argument = {"eval": f"open({str(mark)!r}, 'a').write('x')"}.get(function.__name__, f"rm {mark}")
    state = {"weight": Call(function, str(mark) if function is os.unlink else argument)}
    file = save(tmp_path / "weights.pth", state, [], torch)
    with pytest.raises(InputError, match="which no state dict needs"):
        torch_pickle.load(file)
    assert mark.read_text() == ""


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(9, (4,), (1,)), (0, (4, 4), (4, 1)), (-1, (2,), (1,)), (0, (10**6, 10**6), (0, 0))],
)
def test_a_tensor_outside_of_its_storage_is_refused(
    tmp_path: Path, torch: types.SimpleNamespace, offset: int, shape: Any, strides: Any
) -> None:
    floats = Storage("FloatStorage", "1", np.arange(12, dtype="<f4"))
    state = OrderedDict(weight=tensor(torch, floats, offset, shape, strides))
    with pytest.raises(InputError, match="a tensor"):
        torch_pickle.load(save(tmp_path / "weights.pth", state, [floats], torch))


def test_a_damaged_file_is_refused_at_every_length(tmp_path: Path, torch: types.SimpleNamespace) -> None:
    floats = Storage("FloatStorage", "1", np.arange(12, dtype="<f4"))
    state = OrderedDict(weight=tensor(torch, floats, 0, (12,), (1,)))
    whole = save(tmp_path / "weights.pth", state, [floats], torch).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "part.pth").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"part\.pth is not a state dict"):
            torch_pickle.load(tmp_path / "part.pth")
    (tmp_path / "part.pth").write_bytes(b"\x89PNG\r\n" + whole)
    with pytest.raises(InputError, match="is not a state dict"):
        torch_pickle.load(tmp_path / "part.pth")
    with pytest.raises(InputError, match="is missing"):
        torch_pickle.load(tmp_path / "none.pth")
