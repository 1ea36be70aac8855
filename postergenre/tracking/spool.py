"""The spool: runs on disk, one folder each, until MLflow has all of them.

    mlflow-spool/KEY/record.json              what the run is, see `Record`
                     models/, reports/, ...   the files that belong to it
                 KEY.lock                     held by the process that works on it

A process that is killed leaves its folder, and its lock becomes free: that is how others notice. KEY begins with the
time, so the names sort by age.
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
WAITING = f"what it lacks of this run waits in {FOLDER}, and `postergenre track --replay` delivers it"
# How fields of record.json were called once: a run may wait for its server for long.
OLD_NAMES = {"judged": "evaluation", "afterwards": "trained_before", "restored": "logged_late"}


class HeldError(InputError):
    """Another process works on an entry."""


@dataclass
class Record:
    """One run. Times are milliseconds since 1970.

    key: our own name for the run.
    name: MLflow's name for the run, which is the network's.
    start: when the run started.
    about: what run.json holds, or will hold.
    params: MLflow's params.
    tags: MLflow's tags.
    status: RUNNING, FINISHED, FAILED or KILLED.
    end: when the run ended; None while it runs.
    id: MLflow's id, once it has given one.
    epochs: `{"epoch": 1, "time": ..., "metrics": {...}}` for each finished epoch.
    model: the model's hash, once models/ is complete.
    evaluation: `{"time": ..., "metrics": {...}, "tags": {...}}`, once reports/ is complete.
    trained_before: the training ended before this entry was written, so MLflow may have a run of its model.
    logged_late: MLflow had none, and a run was created after the fact.
    uri: MLflow's tracking URI, without a password.
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
    evaluation: dict[str, Any] | None = None
    trained_before: bool = False
    logged_late: bool = False
    uri: str = ""


class Entry:
    """A run's folder. This process holds its lock until the entry is closed or removed."""

    def __init__(self, folder: Path, record: Record, lock: filelock.BaseFileLock):
        self.folder, self.record = folder, record
        self._lock = lock
        self._changing = threading.RLock()

    @contextmanager
    def change(self) -> Iterator[Record]:
        """The record, to be changed in the block; it is written as the block ends, if we still hold the lock.

        Two threads may call this.
        """
        with self._changing:
            yield self.record
            if self._lock.is_locked:
                files.write_json(self.folder / RECORD, asdict(self.record))

    def add_file(self, file: Path) -> None:
        """Add a copy of a file. No link, since people edit what is in git in place."""
        with files.atomic_write(self.folder / file.name) as new:
            shutil.copyfile(file, new)

    def add_folder(self, name: str, source: Path, link: bool) -> None:
        """Add a folder.

        link: use hard links where possible. Only for folders whose writer replaces files and never edits them.
        """
        with files.atomic_folder(self.folder / name) as new:
            shutil.copytree(source, new, copy_function=_link_or_copy if link else shutil.copyfile, dirs_exist_ok=True)

    def remove(self) -> None:
        """Delete the entry, since MLflow has all of it."""
        (self.folder / RECORD).unlink()  # first: a folder without it is no entry
        shutil.rmtree(self.folder)
        Path(self._lock.lock_file).unlink(missing_ok=True)  # while we hold it, so nobody else can have taken it
        self.close()

    def close(self) -> None:
        """Release the lock, so that other processes may open the entry."""
        self._lock.release()


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_key() -> str:
    """A new, unique name for a run."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:8]}"


def create(spool: Path, record: Record) -> Entry:
    """Write a new entry."""
    spool.mkdir(parents=True, exist_ok=True)
    entry = Entry(spool / record.key, record, _lock(spool, record.key))
    entry._lock.acquire(timeout=0)
    entry.folder.mkdir(exist_ok=True)
    with entry.change():
        return entry


def fork(entry: Entry) -> Entry:
    """Create an entry of its own for the evaluation that another entry holds."""
    key, spool, evaluation = new_key(), entry.folder.parent, entry.record.evaluation
    when = evaluation["time"] if evaluation else now()
    # The record comes last: a folder without it is no entry, should a kill leave one.
    without_record = shutil.ignore_patterns(RECORD)
    shutil.copytree(entry.folder, spool / key, copy_function=_link_or_copy, ignore=without_record)
    record = replace(entry.record, key=key, id=None, start=when, end=when, status="FINISHED", trained_before=True)
    return create(spool, record)


def keys(spool: Path) -> list[str]:
    """The keys of all entries, the oldest first."""
    return sorted(file.parent.name for file in spool.glob(f"*/{RECORD}"))


def open_entry(spool: Path, key: str, patience: float = 0) -> Entry | None:
    """Open an entry; None where there is none.

    If the process that it ran in was killed, its record becomes KILLED.

    patience: seconds to wait for another process.

    Raises:
        HeldError: another process still has it after that.
        InputError: the record is broken.
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
        # The process that had it may have removed it.
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


def open_model(spool: Path, model: str, patience: float) -> Entry | None:
    """Open the newest entry of a model, named by its hash; None where there is none.

    Raises:
        HeldError: another process has had it for longer than `patience` seconds.
    """
    for record in reversed(_readable(spool)):
        if record.model == model and (entry := open_entry(spool, record.key, patience)):
            return entry
    return None


def open_killed(spool: Path) -> Iterator[Entry]:
    """Open the entries whose processes were killed, one after another, the oldest first."""
    for record in _readable(spool):
        with suppress(HeldError):
            if record.status == RUNNING and (entry := open_entry(spool, record.key)):
                yield entry


def _readable(spool: Path) -> list[Record]:
    """The records that can be read, the oldest first. A replay reports those that cannot."""
    records = []
    for key in keys(spool):
        with suppress(InputError):
            records.append(_read(spool / key / RECORD))
    return records


def _lock(spool: Path, key: str) -> filelock.BaseFileLock:
    # Held by the process and not by a thread; and a second lock on one file is a lock of its own.
    return filelock.FileLock(spool / f"{key}.lock", thread_local=False, is_singleton=False)


def _read(file: Path) -> Record:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        record = Record(**{OLD_NAMES.get(name, name): value for name, value in {**fields}.items()})
        lacking = {"params", "data"} - {*record.about}
    except FileNotFoundError:
        raise InputError(f"{file} is missing; delete {file.parent}") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{file} is not as a training writes it ({error}); delete {file.parent}") from None
    if lacking:
        raise InputError(
            f"{file} is not as a training writes it (about lacks {', '.join(sorted(lacking))}); delete {file.parent}"
        )
    return record


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(Path(source).resolve(), target)
    except OSError:  # another file system, one without links, or a file that belongs to somebody else
        shutil.copyfile(source, target)
