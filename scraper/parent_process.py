"""The process that started this one. When it has ended, nobody waits for the crawl any more."""

import os
from pathlib import Path

import psutil

GONE = "the process that started it is gone"


class ParentProcess:
    """A process that this one works for. Without one (None), the crawl was started by hand and waits for nobody."""

    def __init__(self, process: psutil.Process | None):
        self._process = process

    def has_ended(self) -> bool:
        """Whether it has ended, in whatever way."""
        if self._process is None:
            return False
        try:
            return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


def find_dvc() -> ParentProcess:
    """The `dvc` that runs this stage. If it is killed, it can not tell the stage. A stage run by hand has none."""
    for process in psutil.Process().parents():
        if any(Path(word).name == "dvc" for word in process.cmdline()[:2]):
            return ParentProcess(process)
    return ParentProcess(None)


def find_parent() -> ParentProcess:
    """The process that started this one."""
    return ParentProcess(psutil.Process(os.getppid()))
