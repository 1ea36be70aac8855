"""Readers of files that hold plain text, for the processes that tests start: each fails in its own way."""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from postergenre.data.images import ImageError
from postergenre.data.texts import Line

BOX = (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0)
DIES, DIES_ONCE, FAILS, DAMAGED, KILLS = b"dies", b"dies once", b"fails", b"damaged", b"kills"


def make_line(data: bytes) -> Line:
    return Line(data.decode(), 0.9, BOX, 0.1)


def read(log: Path, data: bytes) -> list[Line]:
    """Read a file, and note that in a log."""
    with log.open("a") as stream:
        stream.write(f"{data.decode()}\n")
    times = log.read_text().splitlines().count(data.decode())
    if data == DIES or (data == DIES_ONCE and times == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if data == KILLS and times == 1:
        os.kill(os.getppid(), signal.SIGKILL)
    if data == FAILS:
        raise MemoryError("no memory\nfor this")
    if data == DAMAGED:
        raise ImageError("it is damaged")
    return [make_line(data)] if data else []


def load(log: Path) -> Callable[[bytes], list[Line]]:
    return partial(read, log)


def load_none() -> Callable[[bytes], list[Line]]:
    raise SystemExit(1)
