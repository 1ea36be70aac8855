"""The sample's films: their numbers, their links, and reading their catalogue."""

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

# The sample site's address in the catalogue's links.
HOST, PORT = "127.0.0.1", 8742

# The version of the drawing code. It is part of each poster's link, so that a link always leads to the same bytes.
# Raise it with every change that alters a poster's bytes, and write the catalogue again.
DRAWING = 1

# A film's number has eight digits and starts with 99, as no real film's number does. The third digit tells how the
# site answers for the poster: it serves it, it has lost it (404), or the film is a re-release and the poster is a
# near-duplicate of its original's. The original's number has the same last five digits.
BASE, FATE = 99_000_000, 100_000
SERVED, GONE, RE_RELEASED = range(3)
# What a re-release adds to its original's title.
SUFFIX = ": Restored"


@dataclass(frozen=True)
class Film:
    """A film of the sample's catalogue.

    imdb_id: `tt` and eight digits.
    title: with the year.
    genres: as the catalogue names them.
    poster: the poster's link, "" for none.
    """

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
        """The year at the title's end, "" for none."""
        year = re.search(r" \((\d{4})\)$", self.title)
        return year[1] if year else ""

    @property
    def is_gone(self) -> bool:
        """Whether the site has lost this film's poster."""
        return (self.number - BASE) // FATE == GONE

    @property
    def original(self) -> "Film | None":
        """The film of which this one is a re-release, None where it is none."""
        if (self.number - BASE) // FATE != RE_RELEASED:
            return None
        return Film(f"tt{self.number - RE_RELEASED * FATE}", self.title.replace(SUFFIX, ""), self.genres)


def page_link(number: int, port: int = PORT) -> str:
    """The URL of a film's page, without the final slash, as published catalogues have it."""
    return f"http://{HOST}:{port}/title/tt{number}"


def poster_link(number: int, port: int = PORT) -> str:
    """The URL of a film's poster."""
    return f"http://{HOST}:{port}/images/M/tt{number}._V{DRAWING}_UX182_CR0,0,182,268_AL_.jpg"


def read(catalogue: Path) -> dict[str, Film]:
    """The films of a sample catalogue (ISO-8859-1, the published columns) by IMDb id."""
    with catalogue.open(encoding="iso-8859-1", newline="") as file:
        rows = csv.DictReader(file)
        films = [
            Film(f"tt{row['imdbId']}", row["Title"], tuple(filter(None, row["Genre"].split("|"))), row["Poster"])
            for row in rows
        ]
    return {film.imdb_id: film for film in films}
