"""What goes into the crawl and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from scraper.downloads import Poster

# ok            the poster is here
# gone          404 or 410, or TMDB knows none: the host says that there is no poster
# refused       401, 403, 429, robots.txt, X-Robots-Tag, a private address: we may not have it
# failed        no answer, a broken one or a server's error: it may work another day
# not-a-poster  an answer, but no picture, or one that stands in a poster's place
Status = Literal["ok", "gone", "refused", "failed", "not-a-poster"]
Kind = Literal["poster", "page", "tmdb"]


class Source(NamedTuple):
    """A place to look for a film's poster. `url` is the key under which the poster, or its lack, is kept."""

    kind: Kind
    url: str


@dataclass
class Task:
    """One film's way through the crawl. source: the one being asked; others: those to ask if it fails.

    attempts: requests that the source has cost so far.
    """

    source: Source
    others: Sequence[Source]
    host: str
    attempts: int = field(default=0)


@dataclass(frozen=True)
class PosterItem:
    """A poster that came: for the pipeline to keep under `asked`."""

    asked: str
    poster: Poster
