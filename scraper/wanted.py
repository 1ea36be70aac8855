"""The films that a crawl must ask for, in a file: a catalogue may have millions of them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from scraper.tasks import Source

# Films of one host that are read at a time.
CHUNK = 100


class WantedFilms:
    """The sources of each wanted film, grouped by the host of the film's first source.

    part, parts: which films to hand out: those whose number modulo `parts` is `part`.
    """

    def __init__(self, file: Path, part: int = 0, parts: int = 1):
        self.file, self._connection = file, sqlite3.connect(file)
        self._part = (parts, part)

    def __len__(self) -> int:
        query = "SELECT count(*) FROM films WHERE number % ? = ?"
        return int(self._connection.execute(query, self._part).fetchone()[0])

    def by_host(self) -> dict[str, Iterator[Sequence[Source]]]:
        """For each host an iterator over its films' sources, best source first.

        Films come in the catalogue's order, hosts in the order of their first films.
        """
        query = "SELECT host FROM films WHERE number % ? = ? GROUP BY host ORDER BY min(number)"
        hosts = self._connection.execute(query, self._part).fetchall()
        return {host: self._films(host) for (host,) in hosts}

    def _films(self, host: str) -> Iterator[Sequence[Source]]:
        query = (
            "SELECT number, sources FROM films WHERE host = ? AND number > ? AND number % ? = ? ORDER BY number LIMIT ?"
        )
        last = -1
        while films := self._connection.execute(query, (host, last, *self._part, CHUNK)).fetchall():
            for _, sources in films:
                yield [Source(*source) for source in json.loads(sources)]
            last = films[-1][0]


@contextmanager
def write(file: Path, films: Iterable[Sequence[Source]]) -> Iterator[WantedFilms]:
    """Write the films' sources to `file`, which is deleted when the block ends."""
    file.unlink(missing_ok=True)  # left by a crawl that was killed
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
        yield WantedFilms(file)
    finally:
        connection.close()
        file.unlink(missing_ok=True)


def host_of(url: str) -> str:
    """The host's name in a URL; "" for what is no URL."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
