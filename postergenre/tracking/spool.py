"""Runs as they are written down here before MLflow hears of them, one folder each, until MLflow has all of them.

    mlflow-spool/KEY/record.json              what the run is, see `Record`
                     models/, reports/, ...   the files that belong to it
                 KEY.lock                     held by the process that works on it

A process that is killed leaves its folder, and the lock is free then: that is how others know. KEY begins with the
time, so that the oldest comes first by name.
"""

import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from postergenre import files
from postergenre.errors import InputError

FOLDER = "mlflow-spool"
RECORD = "record.json"
RUNNING = "RUNNING"
WRITER = "a training"


class HeldError(InputError):
    """Another process works on an entry."""


@dataclass
class Record:
    """One run.

    Times are milliseconds since 1970, `end` is None while it runs. id: MLflow's, once it has given one. about: what
    run.json holds, or will hold. epochs: `{"epoch": 1, "time": ..., "metrics": {...}}` in their order. model: its hash,
    once models/ is whole. judged: `{"time": ..., "metrics": {...}, "tags": {...}}`, once reports/ is. afterwards: it
    was trained before, and MLflow knows it by its model; where it does not, the run is made, and `logged_late` says so.
    uri: MLflow's, without a password.
    """

    key: str
    name: str
    start: int
    about: dict[str, Any]
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    status: str = RUNNING
    end: int | None = None
    id: str | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    model: str | None = None
    judged: dict[str, Any] | None = None
    afterwards: bool = False
    logged_late: bool = False
    uri: str = ""


class Entry:
    """A run's folder, which is ours until it is closed or removed."""

    def __init__(self, folder: Path, record: Record, lock: filelock.BaseFileLock):
        self.folder, self.record = folder, record
        self._lock = lock
        self._changing = threading.RLock()

    @contextmanager
    def change(self) -> Iterator[Record]:
        """The record, which is written as the block ends unless it is others' by then; two threads may do so."""
        with self._changing:
            yield self.record
            if self._lock.is_locked:
                files.write_json(self.folder / RECORD, asdict(self.record))

    def add_file(self, file: Path) -> None:
        """A copy of a file, since what is in git is edited in place."""
        with files.atomic_write(self.folder / file.name) as new:
            shutil.copyfile(file, new)

    def add_folder(self, name: str, source: Path, link: bool) -> None:
        """What is in a folder; link: by hard links where that can be, for who writes there replaces its files."""
        with files.atomic_folder(self.folder / name) as new:
            shutil.copytree(source, new, copy_function=_linked if link else shutil.copyfile, dirs_exist_ok=True)

    def remove(self) -> None:
        """MLflow has all of it."""
        (self.folder / RECORD).unlink()  # first, so that what a kill leaves is no entry any more
        shutil.rmtree(self.folder)
        Path(self._lock.lock_file).unlink(missing_ok=True)  # while we hold it: nobody else can have taken it
        self.close()

    def close(self) -> None:
        """Leave it to others."""
        self._lock.release()


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_key() -> str:
    """The name of a run that nobody has had."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:8]}"


def made(spool: Path, record: Record) -> Entry:
    """A new entry."""
    spool.mkdir(parents=True, exist_ok=True)
    entry = Entry(spool / record.key, record, _lock(spool, record.key))
    entry._lock.acquire(timeout=0)
    entry.folder.mkdir(exist_ok=True)
    with entry.change():
        return entry


def forked(entry: Entry) -> Entry:
    """A new entry for the evaluation in another one, which may then go without it."""
    key, spool, when = new_key(), entry.folder.parent, entry.record.judged["time"] if entry.record.judged else now()
    without = shutil.ignore_patterns(RECORD)  # which comes last, so that what a kill leaves is no entry
    shutil.copytree(entry.folder, spool / key, copy_function=_linked, ignore=without)
    record = replace(entry.record, key=key, id=None, start=when, end=when, status="FINISHED", afterwards=True)
    return made(spool, record)


def keys(spool: Path) -> list[str]:
    """Of the entries that there are, the oldest first."""
    return sorted(file.parent.name for file in spool.glob(f"*/{RECORD}"))


def opened(spool: Path, key: str, patience: float = 0) -> Entry | None:
    """An entry; None where there is none.

    One that ran in a process which is no more was killed, and says so from now on.

    Raises:
        HeldError: another process has had it for longer than `patience` seconds.
        InputError: what is there is no entry.
    """
    file = spool / key / RECORD
    if not file.exists():
        return None
    lock = _lock(spool, key)
    try:
        lock.acquire(timeout=patience)
    except filelock.Timeout:
        raise HeldError(
            f"another process is at work on run {key} in {FOLDER}; `postergenre track` logs what is new after it"
        ) from None
    try:
        # Whoever had it may have removed it.
        entry = Entry(file.parent, _read(file), lock) if file.exists() else None
        if entry and entry.record.status == RUNNING:
            with entry.change() as record:
                record.status, record.end = "KILLED", int(file.stat().st_mtime * 1000)
    except BaseException:
        lock.release()
        raise
    if entry is None:
        lock.release()
    return entry


def of_model(spool: Path, model: str, patience: float) -> Entry | None:
    """The newest entry with a model, by its hash; None where there is none.

    Raises:
        HeldError: another process has had it for longer than `patience` seconds.
    """
    for record in reversed(_whole(spool)):
        if record.model == model and (entry := opened(spool, record.key, patience)):
            return entry
    return None


def orphans(spool: Path) -> Iterator[Entry]:
    """Those of processes that were killed without a word, the oldest first."""
    for record in _whole(spool):
        with suppress(HeldError):
            if record.status == RUNNING and (entry := opened(spool, record.key)):
                yield entry


def _whole(spool: Path) -> list[Record]:
    """Of the entries that can be read, the oldest first; of one that is broken, a replay says so."""
    found = []
    for key in keys(spool):
        with suppress(InputError):
            found.append(_read(spool / key / RECORD))
    return found


def _lock(spool: Path, key: str) -> filelock.BaseFileLock:
    # Of the process and not of a thread, and never one that is held already under another name.
    return filelock.FileLock(spool / f"{key}.lock", thread_local=False, is_singleton=False)


def _read(file: Path) -> Record:
    try:
        record = Record(**json.loads(file.read_text(encoding="utf-8")))
        lacking = {"params", "data"} - {*record.about}
    except FileNotFoundError:
        raise InputError(f"{file} is missing; delete {file.parent}") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{file} is not as {WRITER} writes it ({error}); delete {file.parent}") from None
    if lacking:
        raise InputError(
            f"{file} is not as {WRITER} writes it (about lacks {', '.join(sorted(lacking))}); delete {file.parent}"
        )
    return record


def _linked(source: str, target: str) -> None:
    try:
        os.link(Path(source).resolve(), target)
    except OSError:  # another file system, one without links, or a file of somebody else's
        shutil.copyfile(source, target)
