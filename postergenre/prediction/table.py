"""The CSV table of `postergenre predict`: a row for each picture, with its path and the probability of each genre."""

import csv
import errno
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from postergenre import files
from postergenre.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

START = b"path,"  # the first bytes of every such table
AddRow = Callable[[str, "npt.NDArray[np.float32]"], object]


def check_replaceable(file: Path) -> None:
    """Refuse a file that writing a table would destroy, such as a poster.

    Raises:
        InputError: the file exists and is no such table, or cannot be read.
    """
    try:
        mode = file.stat().st_mode  # Python 3.14's `exists` swallows the error of a name that is too long
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        return  # there is no such file; whether one can be written, `open_table` tells
    if stat.S_ISDIR(mode):
        raise InputError(f"{file} is a folder; --csv takes a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{file} is a device or a pipe; --csv takes a file")
    try:
        with file.open("rb") as stream:
            start = stream.read(len(START))
        replaceable = not start or (start == START and _first_row_is_probabilities(file))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    if not replaceable:
        raise InputError(f"{file} exists and is not a table of `predict`; --csv takes a new file or such a table")


@contextmanager
def open_table(file: Path | None, genres: Sequence[str]) -> Iterator[AddRow]:
    """A function that adds a picture's row; the file is written when the block ends. Without a file it does nothing.

    Raises:
        InputError: the file cannot be written.
    """
    if file is None:
        yield lambda name, probabilities: None
        return
    try:
        with (
            files.atomic_write(file.resolve()) as new,
            new.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["path", *genres])
            yield lambda name, probabilities: writer.writerow([name, *(f"{p:.6f}" for p in probabilities)])
    except OSError as error:
        if error.filename is None:  # the disk is full, or nobody reads our stdout any more
            raise
        raise InputError(f"{file} cannot be written: {error.strerror}") from None


def _first_row_is_probabilities(file: Path) -> bool:
    """Whether the first row has a probability in each column after the path; a table without rows passes."""
    with file.open(newline="", encoding="utf-8", errors="replace") as stream:
        try:
            rows = csv.reader(stream)
            width, row = len(next(rows)), next(rows, None)
            return row is None or (len(row) == width and all(0 <= float(cell) <= 1 for cell in row[1:]))
        except (csv.Error, ValueError):
            return False
