"""Named arrays in one file, as `np.load` reads it; equal arrays give the same bytes under every version of Python.

`np.savez` leaves the headers to Python's zipfile, whose versions write other ones, and its compressed form to zlib.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
# What NumPy raises for a file that holds no arrays, or that is damaged.
DAMAGED = (EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)


def write(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the arrays, in their order."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), stream.getvalue())


def read(file: Path) -> Arrays:
    """The arrays that `write` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no arrays, or is damaged.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:  # NumPy closes no damaged file
            return dict(arrays)
    except DAMAGED as error:
        raise ValueError(str(error)) from None
