"""Writes files and folders whole or not at all, reads JSON, and computes digests."""

import glob
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from postergenre.errors import InputError

LOCK = "lock"


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Write a folder whole or not at all.

    Yields an empty folder to write into. It replaces `folder` when the block ends. If the block raises, `folder` stays
    as it was and the new one is deleted. What a killed process left of it is deleted first; what it had moved away
    comes back.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(folder, f".{folder.name}-") as scratch:
        new, old = scratch / "new", scratch / "old"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Yields a path to write to. It replaces `file` when the block ends. If the block raises, `file` stays as it was and
    the new one is deleted. What a killed process left of it is deleted first.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(file, f".{file.name[:50]}-") as scratch:  # file names are limited to 255 bytes
        yield scratch / "new"
        (scratch / "new").replace(file)


@contextmanager
def _scratch(target: Path, prefix: str) -> Iterator[Path]:
    """A temporary folder beside the target, which nobody else removes in the block."""
    _remove_abandoned(target, prefix)
    with ExitStack() as stack:
        while True:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent)))
            with suppress(filelock.Timeout):
                stack.enter_context(_lock(scratch))
                if (scratch / LOCK).exists():  # else another process took it for abandoned before it was locked
                    break
        yield scratch


def _remove_abandoned(target: Path, prefix: str) -> None:
    """Delete the temporary folders whose writers are dead. One of them may hold the only copy of the target."""
    for scratch in target.parent.glob(f"{glob.escape(prefix)}*"):
        named = re.fullmatch(r"[a-z0-9_]{8}", scratch.name.removeprefix(prefix))  # by `tempfile`
        if named and scratch.is_dir() and {path.name for path in scratch.iterdir()} <= {"new", "old", LOCK}:
            with suppress(filelock.Timeout), _lock(scratch):
                if (scratch / "old").exists() and not target.exists():
                    (scratch / "old").rename(target)
                shutil.rmtree(scratch)


def _lock(scratch: Path) -> filelock.BaseFileLock:
    """Held by the folder's writer: the lock ends with the process, however that ends."""
    return filelock.FileLock(scratch / LOCK, timeout=0, is_singleton=False)


def write_json(file: Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, which is easy to read and to diff."""
    with atomic_write(file) as new:
        new.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(file: Path, made_by: str) -> Any:
    """Read the JSON in `file`.

    made_by: the command that writes the file, for the error's message.

    Raises:
        InputError: the file is missing, unreadable or no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file} is missing; {made_by} writes it") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); {made_by} writes it anew") from None
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); {made_by} writes it anew") from None


def sha256(*files: Path) -> str:
    """The SHA-256 of the files' bytes, one file after another, in hexadecimal."""
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
    """Delete a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def project_root(folder: Path) -> Path:
    """The project that `folder` is, or is a temporary copy of.

    `dvc exp run --temp` and `--queue` work in a copy below the project's .dvc/tmp/exps, and delete that afterwards.
    """
    exps = next((parent for parent in folder.parents if parent.parts[-3:] == (".dvc", "tmp", "exps")), None)
    return exps.parents[2] if exps else folder
