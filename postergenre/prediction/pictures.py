"""The pictures that `postergenre predict` finds in files and folders."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from postergenre.data import images

# Formats that Pillow knows by their file name but cannot decode: videos and measurements may lie beside posters.
NOT_DECODED = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """The paths, with each folder replaced by the pictures in it and below it, in the order of their names.

    Folders behind links are searched too, each once. A folder that cannot be read stands for itself, as does one
    without pictures.
    """
    decoded = {*images.formats(), "MPO"} - NOT_DECODED
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in decoded}
    for path in paths:
        unreadable: list[Path] = []
        pictures = [file for file in _walk(path, unreadable) if file.suffix.lower() in suffixes]
        yield from sorted([*pictures, *unreadable]) or [path]


def _walk(folder: Path, unreadable: list[Path]) -> Iterator[Path]:
    """All files below a folder; folders that cannot be read are added to `unreadable`."""
    visited = set()
    walk = os.walk(folder, onerror=lambda error: unreadable.append(Path(error.filename)), followlinks=True)
    for parent, folders, names in walk:
        folders.sort()  # so that the same one of two links to a folder is followed everywhere
        if (real := os.path.realpath(parent)) in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(parent, name) for name in names)
