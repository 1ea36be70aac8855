"""Posters as they were served, kept outside DVC's outputs so that no crawl asks twice for what it has."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import filelock

from postergenre.errors import InputError

FILE = "posters.sqlite"
# Of the tables below, in the file itself: a store of another layout is refused, not misread.
LAYOUT = 2
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

    url: where it came from in the end, after redirects or from a film's page. attempts: requests that it took.
    extension: `jpg`, `png`, ...; width, height: pixels. etag, last_modified: the host's, "" for none.
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
    """Why a source gave no poster: `gone`, `refused`, `failed` or `not-a-poster`; see scraper/items.py.

    url: what was asked last. http_status: 0 without an answer. attempts: requests that it took.
    """

    status: str
    url: str
    reason: str
    http_status: int = 0
    attempts: int = 0


def sha256(body: bytes) -> str:
    """The hash by which a poster is known, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


class Downloads:
    """Posters, and why others did not come, by the URL that was asked: a poster's own, or that of a film's page.

    One SQLite file. A poster is there whole or not at all, whenever and however the crawl ends. After a power loss the
    last few megabytes may have to be fetched again: the disk is waited for once per checkpoint, not once per poster.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path):
        self._connection, self.file = connection, file

    def __contains__(self, asked: str) -> bool:
        return self._connection.execute("SELECT 1 FROM posters WHERE asked = ?", (asked,)).fetchone() is not None

    def put(self, asked: str, poster: Poster) -> None:
        """Keep a poster, in the place of an older one or of a miss."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "INSERT OR REPLACE INTO posters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (asked, *astuple(poster))
            )
            self._connection.execute("DELETE FROM misses WHERE asked = ?", (asked,))

    def get(self, asked: str) -> Poster:
        """The poster of a URL that is in the store, its bytes compared with their hash.

        Raises:
            InputError: they differ, or there is none.
        """
        row = self._connection.execute("SELECT * FROM posters WHERE asked = ?", (asked,)).fetchone()
        if row is None or sha256(row[-1]) != row[-2]:
            raise InputError(f"{self.file} has lost the poster of {asked}; `dvc repro scrape` fetches it again")
        return Poster(*row[1:])

    def validators(self, asked: str) -> tuple[str, str]:
        """The etag and last_modified of a poster that is in the store."""
        found: tuple[str, str] = self._connection.execute(
            "SELECT etag, last_modified FROM posters WHERE asked = ?", (asked,)
        ).fetchone()
        return found

    def about(self, asked: str) -> dict[str, Any]:
        """What a manifest says of a poster in the store, by column; empty where there is none."""
        names = ("url", "http_status", "attempts", "sha256", "bytes", "width", "height")
        row = self._connection.execute(
            "SELECT url, http_status, attempts, sha256, length(body), width, height FROM posters WHERE asked = ?",
            (asked,),
        ).fetchone()
        return dict(zip(names, row, strict=True)) if row else {}

    def drop_damaged(self) -> int:
        """Compare every poster with its hash and drop those that differ; how many did."""
        rows = self._connection.execute("SELECT asked, sha256, body FROM posters")
        damaged = [(asked,) for asked, digest, body in rows if sha256(body) != digest]
        self._connection.executemany("DELETE FROM posters WHERE asked = ?", damaged)
        return len(damaged)

    def miss(self, asked: str, miss: Miss) -> None:
        """Remember why a source gave no poster."""
        self._connection.execute("INSERT OR REPLACE INTO misses VALUES (?, ?, ?, ?, ?, ?)", (asked, *astuple(miss)))

    def missed(self, asked: str) -> Miss | None:
        """Why a source gave no poster when it was last asked; None where it has not been asked."""
        row = self._connection.execute("SELECT * FROM misses WHERE asked = ?", (asked,)).fetchone()
        return Miss(*row[1:]) if row else None

    def forget_misses(self) -> None:
        """Forget what gave no poster: it will be asked again."""
        self._connection.execute("DELETE FROM misses")


@contextmanager
def opened(folder: Path) -> Iterator[Downloads]:
    """The store in `folder`, made where there is none, for this crawl alone.

    Raises:
        InputError: another crawl has it, or the file is no store.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    # The lock is the file's own, so it ends with this process however that ends.
    lock = filelock.FileLock(folder / f"{FILE}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(f"{file} is in use by another crawl; wait for it, or stop it") from None
    with lock, joined(file) as downloads:
        yield downloads


@contextmanager
def joined(file: Path) -> Iterator[Downloads]:
    """The store in `file`, for one process of the crawl that has it.

    Raises:
        InputError: the file is no store, or has another layout; the disk is full, or does not let us write.
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
        raise InputError(f"{file} is not a store of downloads ({error}); move it away to start anew") from None
