"""Makes the sample's catalogue. `python -m sample.catalogue` writes the same file each time."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

from postergenre.errors import run
from postergenre.files import atomic_write
from sample import films
from sample.titles import title

SEED = 1

# Films of each combination of genres. Frequencies and pairs are those of the published catalogue: nearly half of the
# films are Drama, and Western has too few to be learned.
FILMS = {
    "Action": 18, "Action|Adventure": 20, "Action|Adventure|Comedy": 12, "Action|Adventure|Sci-Fi": 28,
    "Action|Comedy": 10, "Action|Comedy|Crime": 16, "Action|Crime|Drama": 16, "Action|Crime|Drama|Thriller": 8,
    "Action|Crime|Thriller": 24, "Action|Drama": 16, "Action|Horror|Sci-Fi": 8, "Action|Sci-Fi|Thriller": 12,
    "Action|Sport": 6, "Action|Thriller": 24, "Action|Western": 4, "Adventure": 8, "Adventure|Animation|Comedy": 18,
    "Adventure|Animation|Comedy|Family": 10, "Adventure|Comedy|Family": 20, "Adventure|Drama": 24,
    "Adventure|Family": 12, "Adventure|Romance": 6, "Animation": 8, "Animation|Comedy|Family": 16,
    "Animation|Family": 14, "Animation|Family|Music": 8, "Animation|Sci-Fi": 5, "Comedy": 122, "Comedy|Crime": 20,
    "Comedy|Drama": 96, "Comedy|Drama|Romance": 56, "Comedy|Family": 14, "Comedy|Horror": 16, "Comedy|Music": 16,
    "Comedy|Music|Romance": 8, "Comedy|Romance": 66, "Comedy|Sci-Fi": 8, "Comedy|Sport": 16, "Crime|Drama": 40,
    "Crime|Drama|Thriller": 30, "Crime|Thriller": 14, "Drama": 152, "Drama|Family": 12, "Drama|Horror": 12,
    "Drama|Horror|Thriller": 12, "Drama|Music": 20, "Drama|Music|Romance": 10, "Drama|Romance": 74,
    "Drama|Romance|Sport": 5, "Drama|Romance|Thriller": 10, "Drama|Sci-Fi": 12, "Drama|Sport": 24,
    "Drama|Thriller": 34, "Drama|Western": 6, "Family": 4, "Family|Sport": 5, "Horror": 46, "Horror|Sci-Fi": 10,
    "Horror|Thriller": 42, "Music": 10, "Romance": 14, "Sci-Fi": 14, "Sci-Fi|Thriller": 14, "Sport": 10,
    "Thriller": 26, "Western": 5,
}  # fmt: skip

# Rows with the faults of real catalogues.
WITHOUT_GENRE, NOT_AVAILABLE = 15, 3
GONE, WITHOUT_LINK, RE_RELEASED, REPEATED_ROWS = 12, 8, 6, 10

Row = tuple[str, ...]


def rows() -> list[Row]:
    """The catalogue's rows in their order, each with the columns `films.COLUMNS`."""
    rng = random.Random(SEED)
    genres = [kind for kind, count in FILMS.items() for _ in range(count)]
    genres += [""] * WITHOUT_GENRE + ["N/A"] * NOT_AVAILABLE
    rng.shuffle(genres)
    titles = _titles(genres, rng)
    numbers = _numbers(len(genres))
    catalogue = [_row(*film, rng) for film in zip(numbers, titles, genres, strict=True)]
    for position in rng.sample(range(len(catalogue) - GONE), WITHOUT_LINK):
        catalogue[position] = (*catalogue[position][:-1], "")
    originals = [row for row in catalogue[:-GONE] if row[4] not in ("", "N/A") and row[5]]
    catalogue += [_re_release(row, rng) for row in rng.sample(originals, RE_RELEASED)]
    rng.shuffle(catalogue)
    for repeated in rng.sample(catalogue, REPEATED_ROWS):
        catalogue.insert(rng.randrange(len(catalogue)), repeated)
    return catalogue


def write(file: Path) -> None:
    """Write the catalogue in the published format: ISO-8859-1, quoted as pandas does."""
    with atomic_write(file) as new, new.open("w", encoding="iso-8859-1", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(films.COLUMNS)
        writer.writerows(rows())


def _titles(genres: list[str], rng: random.Random) -> list[str]:
    """A title with a year for each film. No two are the same without the year."""
    taken: set[str] = set()
    titles = []
    for kind in genres:
        known = [genre for genre in kind.split("|") if genre in films.GENRES] or list(films.GENRES)
        name = next(name for name in _names(known, rng) if name not in taken)
        taken.add(name)
        titles.append(f"{name} ({round(rng.triangular(1935, 2019, 2010))})")
    return titles


def _names(genres: list[str], rng: random.Random) -> Iterator[str]:
    while True:
        yield title(rng.choice(genres), rng)


def _numbers(count: int) -> list[int]:
    """IMDb numbers for the films. The last GONE of them are numbers of films whose poster is gone."""
    served = [films.BASE + films.SERVED * films.FATE + n for n in range(1, count - GONE + 1)]
    return served + [films.BASE + films.GONE * films.FATE + n for n in range(1, GONE + 1)]


def _row(number: int, title: str, genres: str, rng: random.Random) -> Row:
    score = "" if rng.random() < 0.03 else f"{min(max(rng.gauss(6.4, 1.1), 1.5), 9.3):.1f}"
    return str(number), films.page_link(number), title, score, genres, films.poster_link(number)


def _re_release(row: Row, rng: random.Random) -> Row:
    """The row of a re-release of `row`'s film, with its own number and title."""
    name, year = row[2].rsplit(" (", 1)
    return _row(int(row[0]) + films.RE_RELEASED * films.FATE, f"{name}{films.SUFFIX} ({year}", row[4], rng)


def main() -> None:
    """Write data/sample/MovieGenre.csv."""
    write(films.CATALOGUE)


if __name__ == "__main__":
    run(main)
