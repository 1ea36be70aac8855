"""Objects in DVC's cache: their hashes, and the listings that stand for folders."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
LISTING = ".dir"  # ends the name of an object that lists a folder's files


def read_listing(text: bytes) -> dict[str, str]:
    """A folder's files by their paths in it, with their MD5, from the object that lists them.

    Raises:
        ValueError: the object is broken.
    """
    try:
        return {entry["relpath"]: entry["md5"] for entry in json.loads(text)}
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no listing ({error!r})") from None


def list_folder(folder: Path) -> bytes:
    """The object by which DVC lists a folder as it is now; empty if there is no such folder."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    entries = [{"md5": md5_of(file), "relpath": name} for name, file in sorted(files.items())]
    return json.dumps(entries, sort_keys=True).encode() if folder.is_dir() else b""


def md5_of(file: Path, progress: Callable[[int], object] = int) -> str:
    """The MD5 of a file. progress: called with the number of bytes after each piece."""
    with file.open("rb") as stream:
        return digest(stream, "md5", progress)


def md5_of_bytes(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def digest(stream: Any, algorithm: str, progress: Callable[[int], object]) -> str:
    """The hash of all that a stream holds, in hexadecimal."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    while piece := stream.read(CHUNK):
        hasher.update(piece)
        progress(len(piece))
    return hasher.hexdigest()


def is_sound(file: Path, md5: str) -> bool:
    """Whether a file in DVC's cache can be read and matches its object's MD5."""
    try:
        return md5_of(file) == md5.removesuffix(LISTING)
    except OSError:
        return False
