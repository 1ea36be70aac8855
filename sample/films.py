"""The sample's films: how they are numbered and linked, and how its catalogue is read."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

CATALOGUE = Path("data/sample/MovieGenre.csv")
GENRES = (
    "Action", "Adventure", "Animation", "Comedy", "Crime", "Drama", "Family", "Horror", "Music", "Romance", "Sci-Fi",
    "Sport", "Thriller", "Western",
)  # fmt: skip
COLUMNS = ("imdbId", "Imdb Link", "Title", "IMDB Score", "Genre", "Poster")

# Where the sample site answers, as the catalogue's links say.
HOST, PORT = "127.0.0.1", 8742

# The drawing's version. It stands in every poster's link, so that what a link leads to never changes: raise it with
# every change that alters a poster's bytes, and write the catalogue anew.
DRAWING = 1

# A film's number has eight digits and starts with 99, which no real film's does. The third digit says what became of
# its poster: the site serves it, has lost it (404), or shows a near-duplicate of the poster of the film that it is a
# re-release of, whose number has the same last five digits.
BASE, FATE = 99_000_000, 100_000
SERVED, GONE, RE_RELEASED = range(3)
# What a re-release adds to the title of the film that it shows again.
SUFFIX = ": Restored"


@dataclass(frozen=True)
class Film:
    """A row of the catalogue. imdb_id: tt and eight digits; title: with its year; poster: its link, may be empty."""

    imdb_id: str
    title: str
    genres: tuple[str, ...]
    poster: str = ""

    @property
    def number(self) -> int:
        return int(self.imdb_id.removeprefix("tt"))

    @property
    def name(self) -> str:
        """The title without its year."""
        return self.title.removesuffix(f" ({self.year})")

    @property
    def year(self) -> str:
        """The year at the title's end, or nothing."""
        found = re.search(r" \((\d{4})\)$", self.title)
        return found[1] if found else ""

    @property
    def is_gone(self) -> bool:
        """Whether the site has lost this film's poster."""
        return (self.number - BASE) // FATE == GONE

    @property
    def original(self) -> "Film | None":
        """The film that this one is a re-release of."""
        if (self.number - BASE) // FATE != RE_RELEASED:
            return None
        return Film(f"tt{self.number - RE_RELEASED * FATE}", self.title.replace(SUFFIX, ""), self.genres)


def page_link(number: int, port: int = PORT) -> str:
    """The address of a film's page, without the final slash, as catalogues have it."""
    return f"http://{HOST}:{port}/title/tt{number}"


def poster_link(number: int, port: int = PORT) -> str:
    """The address of a film's poster."""
    return f"http://{HOST}:{port}/images/M/tt{number}._V{DRAWING}_UX182_CR0,0,182,268_AL_.jpg"


def read(catalogue: Path) -> dict[str, Film]:
    """The films of a sample catalogue (ISO-8859-1, the published columns) by their IMDb id."""
    with catalogue.open(encoding="iso-8859-1", newline="") as file:
        rows = csv.DictReader(file)
        films = [
            Film(f"tt{row['imdbId']}", row["Title"], tuple(filter(None, row["Genre"].split("|"))), row["Poster"])
            for row in rows
        ]
    return {film.imdb_id: film for film in films}
