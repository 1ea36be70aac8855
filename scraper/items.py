"""What goes into the crawl and what comes out of it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from postergenre.downloads import Poster

# ok        the poster is here
# gone      404 or 410: the host says that there is none
# refused   401, 403, 429 or robots.txt: the host does not want us to have it
# failed    no answer, a broken one or a server's error: it may work another day
# not-a-poster  an answer, but no picture, or a logo in a poster's place
Status = Literal["ok", "gone", "refused", "failed", "not-a-poster"]


class Source(NamedTuple):
    """A place to look for a film's poster. `url` is the key under which the poster is kept."""

    kind: Literal["poster", "page"]
    url: str


@dataclass(frozen=True)
class Outcome:
    """How asking for one film's poster ended. url: what was asked last; http_status: 0 without an answer."""

    status: Status
    url: str
    reason: str = ""
    http_status: int = 0


@dataclass(frozen=True)
class PosterItem:
    """A poster that came: for the pipeline to keep under `url`."""

    url: str
    poster: Poster
