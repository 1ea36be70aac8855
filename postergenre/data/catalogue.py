"""Reads film catalogues: published formats, and any other table by `scrape.columns`. Every row becomes a `Film`."""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from postergenre.data import catalogue_formats, tables
from postergenre.data.catalogue_formats import LINKS, MOVIELENS, MOVIES, Columns, Problem, Record
from postergenre.data.genre_cells import GenreCells
from postergenre.errors import InputError

# Rows at the top that tell how the file writes its genres.
CHUNK = 10_000


class Film(NamedTuple):
    """One row of a catalogue.

    row: 1 for the first row below the header.
    film_id: `tt0084058`, `tmdb603` or the catalogue's own, "" where the row has none.
    title: on one line, "" where the format has none.
    genres: canonical names.
    page: the link to the film's page, "" for none.
    poster: the link to the poster, or its path at TMDB's host of pictures, such as `/rhIRbceo.jpg`; "" for none.
    problem: why the row is no film that can be asked for, "" for none.
    reason: the problem in words, with the line of the file.
    tmdb_id: the film's number at TMDB, 0 for none.
    """

    row: int
    film_id: str
    title: str
    genres: tuple[str, ...]
    page: str
    poster: str
    problem: Problem = ""
    reason: str = ""
    tmdb_id: int = 0


class Catalogue:
    """A catalogue. Each iteration reads its films again, in their order: memory holds a part of the file at a time.

    file: the file that has the rows; of a folder with MovieLens's tables, movies.csv.
    table, format: what kind of file it is, and what its columns mean.
    """

    def __init__(self, path: Path, columns: Columns | None = None, genre_names: Mapping[str, str] | None = None):
        """Find out the catalogue's format.

        path: the file, or a folder with MovieLens's movies.csv and links.csv.
        columns, genre_names: as in `scrape` in params.yaml.

        Raises:
            InputError: the file is missing, empty or no table, or in no known format.
        """
        self.file = path / MOVIES if (path / MOVIES).is_file() else path
        self.table = tables.open_table(self.file)
        self.format = catalogue_formats.recognise(self.table, columns)
        self._genre_names = genre_names or {}

    @property
    def files(self) -> list[Path]:
        """All files that are read."""
        return [self.file, self.file.with_name(LINKS)] if self.format.name == MOVIELENS else [self.file]

    def __iter__(self) -> Iterator[Film]:
        """Every row as a film.

        Raises:
            InputError: the file has no row, or cannot be read on from some line. It names the line; the rows before
                it were yielded.
        """
        records = self._records()
        first = list(islice(records, CHUNK))
        if not first:
            raise InputError(f"{self.file} has no row below its header; a catalogue has a row per film")
        cells = GenreCells((record.genres for _, record in first), self._genre_names)
        for row, (line, record) in enumerate(chain(first, records), 1):
            yield _film(row, line, record, cells)

    def _records(self) -> Iterator[tuple[int, Record]]:
        read = self.format.read
        for line, values, fault in self.table.rows(self.format.columns):
            yield line, Record("", "", "", "", "", 0, "bad-row", fault) if fault else read(*values)


def read(path: Path, columns: Columns | None = None, genre_names: Mapping[str, str] | None = None) -> Iterator[Film]:
    """The films of a `Catalogue`."""
    return iter(Catalogue(path, columns, genre_names))


def _film(row: int, line: int, record: Record, cells: GenreCells) -> Film:
    film_id, title, cell, page, poster, tmdb_id, problem, reason = record
    genres: tuple[str, ...] = ()
    try:
        genres = cells.read(cell)
    except ValueError as error:
        if not problem:
            problem, reason = "bad-row", str(error)
    if problem and not reason.startswith(f"line {line} "):
        reason = f"line {line}: {reason}"
    return Film(row, film_id, title, genres, page, poster, problem, reason, tmdb_id)
