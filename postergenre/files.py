"""Outputs that are written whole or not at all, and digests of what was read."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postergenre.errors import InputError


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes the place of `folder` when the block ends without an exception.

    If the block raises, `folder` is as it was and the half-written one is gone.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `file` when the block ends without an exception."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name[:50]}-{os.getpid()}")  # a name may have 255 bytes
    try:
        yield new
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def write_json(file: Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, so that the file reads and diffs well."""
    with atomic_write(file) as new:
        new.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(file: Path, made_by: str) -> Any:
    """The JSON in `file`; an `InputError` that names `made_by`, what writes it, where it is missing or broken."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file} is missing; {made_by} writes it") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); {made_by} writes it anew") from None
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); {made_by} writes it anew") from None


def sha256(*files: Path) -> str:
    """The SHA-256 of the files' bytes, one after another, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def remove(path: Path) -> None:
    """Delete a file or a folder; nothing happens where there is none."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
