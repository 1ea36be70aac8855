"""What a crawl is to ask, in a file of its own: a catalogue may have millions of films."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from scraper.items import Source

# Films read at a time, of each host.
PIECE = 100


class Wanted:
    """Films' sources, best first, by the host of the first one; one of several parts of them, if so asked."""

    def __init__(self, file: Path, part: int = 0, parts: int = 1):
        self.file, self._connection = file, sqlite3.connect(file)
        self._part = (parts, part)

    def __len__(self) -> int:
        found: int = self._connection.execute("SELECT count(*) FROM films WHERE number % ? = ?", self._part).fetchone()[
            0
        ]
        return found

    def hosts(self) -> dict[str, Iterator[Sequence[Source]]]:
        """Each host's films in the catalogue's order, the hosts in that of their first films."""
        found = self._connection.execute(
            "SELECT host FROM films WHERE number % ? = ? GROUP BY host ORDER BY min(number)", self._part
        )
        return {host: self._films(host) for (host,) in found.fetchall()}

    def _films(self, host: str) -> Iterator[Sequence[Source]]:
        query = (
            "SELECT number, sources FROM films WHERE host = ? AND number > ? AND number % ? = ? ORDER BY number LIMIT ?"
        )
        last = -1
        while films := self._connection.execute(query, (host, last, *self._part, PIECE)).fetchall():
            for _, sources in films:
                yield [Source(*one) for one in json.loads(sources)]
            last = films[-1][0]


@contextmanager
def written(file: Path, films: Iterable[Sequence[Source]]) -> Iterator[Wanted]:
    """These films' sources, for as long as the block lasts."""
    file.unlink(missing_ok=True)  # of a crawl that was killed
    connection = sqlite3.connect(file)
    try:
        with connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("CREATE TABLE films (number INTEGER PRIMARY KEY, host TEXT, sources TEXT)")
            connection.executemany(
                "INSERT INTO films VALUES (?, ?, ?)",
                ((number, host_of(sources[0].url), json.dumps(sources)) for number, sources in enumerate(films)),
            )
            connection.execute("CREATE INDEX by_host ON films (host, number)")
        yield Wanted(file)
    finally:
        connection.close()
        file.unlink(missing_ok=True)


def host_of(url: str) -> str:
    """Its name; "" where the URL is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
