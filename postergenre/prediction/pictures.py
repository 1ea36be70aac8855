"""What `postergenre predict` takes: files, folders, web addresses, and `-` for stdin."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from postergenre.data import images
from postergenre.prediction.predictor import Picture

STDIN = "-"
# Larger files are refused before they fill the memory; no poster has as many bytes.
MAX_BYTES = 1 << 30
# What macOS adds on other file systems: `._poster.jpg` holds attributes of `poster.jpg`, and no picture.
APPLE_DOUBLE = "._"
# Bytes that `images.is_picture` needs.
START = 16


def is_url(given: str) -> bool:
    """Whether it is an address that can be fetched."""
    return given.lower().startswith(("http://", "https://"))


def find(given: Iterable[str], passed_over: list[Path], fetched: Callable[[str], bytes]) -> Iterator[Picture]:
    """The pictures in their order, each folder replaced by those in it and below it, in the order of their names.

    Folders behind links are searched too, each once. A folder that cannot be read stands for itself, as does one
    without pictures. The files in a folder that are no pictures are added to `passed_over`.

    fetched: returns the bytes of a web address.
    """
    for name in given:
        if name == STDIN:
            yield Picture(name, _read_stdin)
        elif is_url(name):
            yield Picture(name, partial(fetched, name))
        elif Path(name).is_dir() and (files := _in_folder(Path(name), passed_over)):
            yield from (from_file(str(file)) for file in files)
        else:
            yield from_file(name)


def from_file(name: str) -> Picture:
    """The picture in a file."""
    return Picture(name, partial(_read_file, name))


def _in_folder(folder: Path, passed_over: list[Path]) -> list[Path]:
    unreadable: list[Path] = []
    pictures: list[Path] = []
    for file in _walk(folder, unreadable):
        (pictures if _is_picture(file) else passed_over).append(file)
    return sorted([*pictures, *unreadable])


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


def _is_picture(file: Path) -> bool:
    """Whether a file in a folder is a picture by its suffix or its first bytes; a download may have no suffix.

    A file with a picture's suffix is never passed over, whatever it holds.
    """
    plain = Path(file.name.partition("?")[0])  # `poster.jpg?w=300`
    if plain.suffix.lower() in images.SUFFIXES and not file.name.startswith(APPLE_DOUBLE):
        return True
    try:
        if not file.is_file():  # reading a pipe would wait for ever
            return False
        with file.open("rb") as stream:
            return images.is_picture(stream.read(START))
    except OSError:
        return True  # whoever reads it says why that fails


def _read_file(name: str) -> bytes:
    path = Path(name)
    if re.match(r"\w+://", name) and not path.exists():
        raise images.ImageError("`predict` takes files, folders, http and https addresses, and - for stdin")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise images.ImageError("it is neither a file nor a folder")  # reading a pipe would wait for ever
    if path.is_dir():
        next(path.iterdir(), None)  # raises if the folder cannot be read
        raise images.ImageError("it is a folder without pictures")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise images.ImageError(f"it has {size:,} bytes, more than {MAX_BYTES:,}")
    return path.read_bytes()


def _read_stdin() -> bytes:
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise images.ImageError(f"it has more than {MAX_BYTES:,} bytes")
    return data
