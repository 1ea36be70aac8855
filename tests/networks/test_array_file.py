"""Named arrays in one file."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from postergenre.networks import array_file

ARRAYS = {"words": np.array(["Ä", "b"]), "numbers": np.arange(6, dtype=np.float32).reshape(2, 3)}


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    array_file.write(tmp_path / "arrays.npz", ARRAYS)
    read = array_file.read(tmp_path / "arrays.npz")
    assert [*read] == [*ARRAYS]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_the_bytes_are_the_same_under_every_version_of_python(tmp_path: Path) -> None:
    array_file.write(tmp_path / "arrays.npz", ARRAYS)
    digest = hashlib.sha256((tmp_path / "arrays.npz").read_bytes()).hexdigest()
    assert digest == "88d0992f633b8020110448d8f083bff1af90d7ae9da42aebaa1f493fb8472c43"


@pytest.mark.parametrize("length", [0, 3, 60, 300])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    file = tmp_path / "arrays.npz"
    array_file.write(file, ARRAYS)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"."):
        array_file.read(file)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "arrays.npz").open("wb") as stream:
        np.save(stream, np.arange(3))
    with pytest.raises(ValueError, match="context manager"):
        array_file.read(tmp_path / "arrays.npz")
