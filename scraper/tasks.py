"""What the spider works on: a film's sources, and how asking them can end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

# ok            The poster is stored.
# gone          The host has no poster: 404, 410, or TMDB knows none.
# refused       We may not have it: 401, 403, 429, a bot wall, robots.txt, X-Robots-Tag, a private address.
# failed        No answer, a broken answer or a server's error. It may work another day.
# not-a-poster  The answer is no picture, or a picture that stands in a poster's place.
Status = Literal["ok", "gone", "refused", "failed", "not-a-poster"]
Kind = Literal["poster", "page", "tmdb", "folder"]


class Source(NamedTuple):
    """A place to look for a film's poster.

    kind: what the URL leads to: a picture, a film's page, TMDB's API, or a file.
    url: the key under which the poster, or the reason for its absence, is stored.
    fallback: of a picture, the link to ask where `url` gives no poster, "" for none.
    """

    kind: Kind
    url: str
    fallback: str = ""


@dataclass
class Task:
    """One film's way through the crawl.

    source: the source that is being asked.
    fallbacks: the sources to ask if it fails, best first.
    first_host: the host of the film's first source, which limits how many of its films are under way.
    attempts: requests sent for `source` so far.
    links: of the picture that is being asked for, the links to ask if the present one gives no poster.
    pictures: further pictures that the source's page names, best first.
    """

    source: Source
    fallbacks: Sequence[Source]
    first_host: str
    attempts: int = 0
    links: Sequence[str] = ()
    pictures: Sequence[str] = ()
