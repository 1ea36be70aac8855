"""Posters as they were served, in an SQLite file outside DVC's outputs, so that no crawl asks twice for what it has."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import filelock

from postergenre.errors import InputError
from scraper.private_hosts import MARK
from scraper.tasks import Status

FILE = "posters.sqlite"
# The version of the tables below. The file carries it, so that a file of another version is refused, not misread.
LAYOUT = 2
# In a miss's reason this stands before the proxy's address.
PROXY = ", through the proxy "
# Failures without an HTTP status that are answers all the same.
TOO_LARGE = "larger than scrape.max_bytes"
ANSWERED = (TOO_LARGE, "max redirections reached")
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS posters (
    asked TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    extension TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    etag TEXT NOT NULL,
    last_modified TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS misses (
    asked TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    url TEXT NOT NULL,
    reason TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    attempts INTEGER NOT NULL
);
PRAGMA user_version = {LAYOUT};
"""


@dataclass(frozen=True)
class Poster:
    """A checked picture.

    url: where it came from in the end, after redirects or by way of a film's page.
    http_status: of the answer that brought it.
    attempts: requests that its source took.
    extension: `jpg`, `png`, ...
    width, height: pixels.
    etag, last_modified: the host's headers, "" for none.
    sha256: of the body, in hexadecimal.
    body: the bytes exactly as served.
    """

    url: str
    http_status: int
    attempts: int
    extension: str
    width: int
    height: int
    etag: str
    last_modified: str
    sha256: str
    body: bytes


@dataclass(frozen=True)
class Miss:
    """Why a source gave no poster.

    status: any but `ok`; see scraper/tasks.py.
    url: the last URL that was asked.
    reason: a few words for the manifest.
    http_status: of the last answer, 0 without an answer.
    attempts: requests that the source took.
    """

    status: Status
    url: str
    reason: str
    http_status: int = 0
    attempts: int = 0


def sha256(body: bytes) -> str:
    """The hash that identifies a poster, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


class Downloads:
    """Posters and misses by the URL of their source (the column `asked`).

    One SQLite file. A poster is stored whole or not at all, however the crawl ends. A power loss may lose the last few
    megabytes: SQLite waits for the disk once per checkpoint, not once per poster.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path):
        self._connection, self.file = connection, file

    def __contains__(self, source_url: str) -> bool:
        query = "SELECT 1 FROM posters WHERE asked = ?"
        return self._connection.execute(query, (source_url,)).fetchone() is not None

    def put(self, source_url: str, poster: Poster) -> None:
        """Store a poster. It replaces an older one, or a miss."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "INSERT OR REPLACE INTO posters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (source_url, *astuple(poster)),
            )
            self._connection.execute("DELETE FROM misses WHERE asked = ?", (source_url,))

    def get(self, source_url: str) -> Poster:
        """The stored poster of a source, its bytes compared with their hash.

        Raises:
            InputError: they differ, or no poster is stored.
        """
        record = self._connection.execute("SELECT * FROM posters WHERE asked = ?", (source_url,)).fetchone()
        if record is None or sha256(record[-1]) != record[-2]:
            raise InputError(f"{self.file} has lost the poster of {source_url}; `dvc repro scrape` fetches it again")
        return Poster(*record[1:])

    def get_validators(self, source_url: str) -> tuple[str, str]:
        """The etag and last_modified of a stored poster."""
        query = "SELECT etag, last_modified FROM posters WHERE asked = ?"
        etag, last_modified = self._connection.execute(query, (source_url,)).fetchone()
        return etag, last_modified

    def get_manifest_fields(self, source_url: str) -> dict[str, Any]:
        """The manifest's values of a stored poster by column; empty where none is stored."""
        names = ("url", "http_status", "attempts", "sha256", "bytes", "width", "height")
        record = self._connection.execute(
            "SELECT url, http_status, attempts, sha256, length(body), width, height FROM posters WHERE asked = ?",
            (source_url,),
        ).fetchone()
        return dict(zip(names, record, strict=True)) if record else {}

    def drop_damaged(self) -> int:
        """Compare every poster with its hash and drop those that differ; returns how many."""
        records = self._connection.execute("SELECT asked, sha256, body FROM posters")
        damaged = [(source_url,) for source_url, digest, body in records if sha256(body) != digest]
        self._connection.executemany("DELETE FROM posters WHERE asked = ?", damaged)
        return len(damaged)

    def drop(self, source_url: str) -> None:
        """Delete a source's poster, if it is stored."""
        self._connection.execute("DELETE FROM posters WHERE asked = ?", (source_url,))

    def record_miss(self, source_url: str, miss: Miss) -> None:
        """Store why a source gave no poster."""
        query = "INSERT OR REPLACE INTO misses VALUES (?, ?, ?, ?, ?, ?)"
        self._connection.execute(query, (source_url, *astuple(miss)))

    def get_miss(self, source_url: str) -> Miss | None:
        """Why a source gave no poster when it was last asked; None where it has not been asked."""
        record = self._connection.execute("SELECT * FROM misses WHERE asked = ?", (source_url,)).fetchone()
        return Miss(*record[1:]) if record else None

    def forget_unanswered(self) -> None:
        """Delete the misses of hosts that gave no answer or were not asked, so that they are asked again.

        An answer through a proxy may be the proxy's. It is asked again where it was a failure.
        """
        self._connection.execute(
            "DELETE FROM misses WHERE reason LIKE '%' || ? || '%' OR (status = 'failed' AND"
            " (reason LIKE '%' || ? || '%' OR (http_status = 0 AND reason NOT IN (?, ?))))",
            (MARK, PROXY, *ANSWERED),
        )

    def note_earlier_misses(self) -> None:
        """Note which misses there are, for `is_earlier_miss`."""
        self._connection.execute("CREATE TEMP TABLE earlier (asked TEXT PRIMARY KEY) WITHOUT ROWID")
        self._connection.execute("INSERT INTO earlier SELECT asked FROM misses")

    def is_earlier_miss(self, source_url: str) -> bool:
        """Whether a source gave no poster before `note_earlier_misses`, so that the crawl has not asked it."""
        query = "SELECT 1 FROM earlier WHERE asked = ?"
        return self._connection.execute(query, (source_url,)).fetchone() is not None

    def forget_misses(self) -> None:
        """Delete all misses, so that their sources are asked again."""
        self._connection.execute("DELETE FROM misses")


@contextmanager
def open_downloads(folder: Path) -> Iterator[Downloads]:
    """Open the downloads in `folder` for one crawl, and lock them. An empty file is made where there is none.

    Raises:
        InputError: another crawl uses them, the folder cannot be written, or the file does not hold downloads.
    """
    file = folder / FILE
    # The operating system drops the lock when this process ends, however it ends.
    lock = filelock.FileLock(folder / f"{FILE}.lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise InputError(f"{file} is in use by another crawl; wait for it, or stop it") from None
    except OSError as error:
        raise InputError(
            f"{folder} cannot keep downloads ({error.strerror}); it should be a folder that may be written, and "
            "$POSTERGENRE_DOWNLOADS can name another"
        ) from None
    with lock, join_downloads(file) as downloads:
        yield downloads


@contextmanager
def join_downloads(file: Path) -> Iterator[Downloads]:
    """Open the downloads in `file` for a further process of the crawl that has locked them.

    Raises:
        InputError: the file does not hold downloads, or has another layout; the disk is full or not writable.
    """
    try:
        connection = sqlite3.connect(file, isolation_level=None, timeout=60)
        try:
            _prepare(connection, file)
            yield Downloads(connection, file)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise InputError(f"{file.parent} can not be written to ({error}); what came is kept") from None


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and layout != LAYOUT:
            raise InputError(f"{file} was written by another version of postergenre; move it away to start anew")
        if not tables:
            connection.executescript(SCHEMA)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise InputError(f"{file} does not hold downloads ({error}); move it away to start anew") from None
