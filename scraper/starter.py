"""Who started this process: when that one is gone, nobody waits for the crawl any more."""

import os
from pathlib import Path

import psutil

GONE = "the process that started it is gone"


class Starter:
    """A process that this one works for, or nobody in particular."""

    def __init__(self, process: psutil.Process | None):
        self._process = process

    def gone(self) -> bool:
        """Whether it has ended, in whatever way."""
        if self._process is None:
            return False
        try:
            return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


def dvc() -> Starter:
    """The `dvc` that runs this stage, which may be killed without a word to it; a stage run by hand has none."""
    for parent in psutil.Process().parents():
        if any(Path(word).name == "dvc" for word in parent.cmdline()[:2]):
            return Starter(parent)
    return Starter(None)


def parent() -> Starter:
    """The process that this one is a part of."""
    return Starter(psutil.Process(os.getppid()))
