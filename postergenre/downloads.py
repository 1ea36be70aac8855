"""Posters as they were served, kept outside DVC's outputs so that no crawl asks twice for what it has."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from postergenre.errors import InputError

SCHEMA = """
CREATE TABLE IF NOT EXISTS posters (
    url TEXT PRIMARY KEY,
    http_status INTEGER NOT NULL,
    extension TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    body BLOB NOT NULL
)
"""


@dataclass(frozen=True)
class Poster:
    """A checked picture. extension: `jpg`, `png`, ...; body: the bytes exactly as served."""

    http_status: int
    extension: str
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Downloads:
    """Posters by the URL that was asked: a poster's own, or that of the page that showed it.

    One SQLite file. A poster is there whole or not at all, whenever the crawl is killed.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path):
        self._connection, self._file = connection, file

    def __contains__(self, url: str) -> bool:
        return self._connection.execute("SELECT 1 FROM posters WHERE url = ?", (url,)).fetchone() is not None

    def put(self, url: str, poster: Poster) -> None:
        """Keep a poster; it is there for good when this returns."""
        self._connection.execute(
            "INSERT OR REPLACE INTO posters VALUES (?, ?, ?, ?, ?)",
            (url, poster.http_status, poster.extension, poster.sha256, poster.body),
        )

    def get(self, url: str) -> Poster:
        """The poster of a URL that is in the store, its bytes compared with their hash."""
        http_status, extension, sha256, body = self._connection.execute(
            "SELECT http_status, extension, sha256, body FROM posters WHERE url = ?", (url,)
        ).fetchone()
        poster = Poster(http_status, extension, body)
        if poster.sha256 != sha256:
            self._connection.execute("DELETE FROM posters WHERE url = ?", (url,))
            raise InputError(
                f"{self._file} held a damaged poster of {url}; it is removed, `dvc repro` fetches it again"
            )
        return poster


@contextmanager
def opened(file: Path) -> Iterator[Downloads]:
    """The store in `file`, made where there is none, for this process alone.

    Raises:
        InputError: another crawl has it open, or the file is no store.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, isolation_level=None, timeout=1)
    try:
        # The lock is the file's own, so it ends with this process however that ends.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(SCHEMA)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        connection.close()
        raise InputError(f"{file} is in use ({error}); wait for the other crawl, or stop it") from None
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InputError(f"{file} is not a store of downloads ({error}); move it away to start anew") from None
    try:
        yield Downloads(connection, file)
    finally:
        connection.close()
