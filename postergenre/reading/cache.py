"""What was read before, in an SQLite file outside DVC's outputs: a run that was killed goes on from there."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from postergenre import files
from postergenre.data.texts import Engine, Line
from postergenre.errors import InputError

FILE = "texts.sqlite"
# The version of the table below. The file carries it, so that a file of another version is refused, not misread.
LAYOUT = 1
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS texts (
    engine TEXT NOT NULL,
    poster TEXT NOT NULL,
    lines TEXT NOT NULL,
    PRIMARY KEY (engine, poster)
) WITHOUT ROWID;
PRAGMA user_version = {LAYOUT};
"""


class Cache:
    """The lines of posters by the SHA-256 of their bytes, as one engine reads them. Other engines' lines stay."""

    def __init__(self, connection: sqlite3.Connection, engine: Engine):
        self._connection = connection
        self._engine = files.sha256_text(json.dumps(asdict(engine), sort_keys=True))

    def __contains__(self, poster: str) -> bool:
        query = "SELECT 1 FROM texts WHERE engine = ? AND poster = ?"
        return self._connection.execute(query, (self._engine, poster)).fetchone() is not None

    def put(self, poster: str, lines: Sequence[Line]) -> None:
        """Store the lines of a poster: all of them, or none if this process dies."""
        written = json.dumps([asdict(line) for line in lines], ensure_ascii=False)
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (self._engine, poster, written))

    def get(self, poster: str) -> tuple[Line, ...] | None:
        """The lines of a poster; None where it has not been read."""
        query = "SELECT lines FROM texts WHERE engine = ? AND poster = ?"
        row = self._connection.execute(query, (self._engine, poster)).fetchone()
        return tuple(Line(**line | {"box": tuple(line["box"])}) for line in json.loads(row[0])) if row else None


@contextmanager
def open_cache(folder: Path, engine: Engine) -> Iterator[Cache]:
    """Open the cache in a folder. Several processes may use it at a time. A new one is made where there is none.

    Raises:
        InputError: the file cannot be written, or holds something else.
    """
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=60)) as connection:
            _prepare(connection, file)
            yield Cache(connection, engine)
    except sqlite3.OperationalError as error:
        raise InputError(
            f"{folder} cannot keep texts ({error}); it should be a folder that may be written, and "
            "$POSTERGENRE_DOWNLOADS can name another"
        ) from None


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
        raise InputError(f"{file} does not hold texts ({error}); move it away to start anew") from None
