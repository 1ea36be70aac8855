"""Reads film catalogues in either of two published formats. Every row becomes a `Film`, also a faulty one."""

import ast
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from postergenre.data import genres
from postergenre.errors import InputError

# MovieGenre.csv (neha1703/movie-genre-from-its-poster); its `IMDB Score` is not used.
PUBLISHED = ("imdbId", "Imdb Link", "Title", "Genre", "Poster")
# The table of the 7,254-poster set (laxmimerit/Movies-Poster_Dataset), which adds one 0/1 column per genre.
MULTI_HOT = ("Id", "Genre")
# Rows that are read at a time.
CHUNK = 10_000


@dataclass(frozen=True)
class Film:
    """One row of a catalogue.

    row: 1 for the first row below the header.
    film_id: `tt0084058`, "" where the row has none.
    title: "" where the format has none.
    genres: canonical names.
    page: the link to the film's page, "" for none.
    poster: the link to the poster, "" for none.
    fault: what is wrong with the id, "" for nothing.
    """

    row: int
    film_id: str
    title: str
    genres: tuple[str, ...]
    page: str
    poster: str
    fault: str = ""


def read(file: Path) -> Iterator[Film]:
    """Every row of a catalogue in its order. The file is UTF-8 or ISO-8859-1.

    Memory holds one chunk of the file at a time. So a fault is raised only after the rows before it were yielded.

    Raises:
        InputError: the file is missing, empty or no table, or has neither format's columns.
    """
    rows_read = 0
    for table in _tables(file):
        columns = set(table.columns)
        if columns.issuperset(PUBLISHED):
            films = (_published(*row) for row in _numbered(table, PUBLISHED, rows_read + 1))
        elif columns.issuperset(MULTI_HOT):
            films = (_multi_hot(file, *row) for row in _numbered(table, MULTI_HOT, rows_read + 1))
        else:
            raise InputError(
                f"{file} has the columns {', '.join(table.columns)}; "
                f"a catalogue has {', '.join(PUBLISHED)} or {', '.join(MULTI_HOT)}"
            )
        yield from films
        rows_read += len(table)
    if not rows_read:
        raise InputError(f"{file} has no row below its header; a catalogue has a row per film")


def _numbered(table: pd.DataFrame, columns: Sequence[str], first: int) -> Iterator[tuple[Any, ...]]:
    return zip(range(first, first + len(table)), *(table[name] for name in columns), strict=True)


def normalize_imdb_id(text: str) -> str:
    """Normalise `84058`, `84058.0` (exported by a spreadsheet) and `tt0084058` to `tt0084058`.

    Raises:
        ValueError: the text is no IMDb id.
    """
    text = text.strip()
    digits = re.fullmatch(r"([0-9]{1,8})(?:\.0)?", text) or re.fullmatch(r"tt([0-9]{7,8})", text)
    if not digits or int(digits[1]) == 0:
        raise ValueError(f"{text!r} is not an IMDb id such as 84058 or tt0084058")
    return f"tt{int(digits[1]):07d}"


def _published(row: int, number: str, link: str, title: str, names: str, poster: str) -> Film:
    return _film(row, number, title.strip(), names.split("|"), link.strip(), poster.strip())


def _multi_hot(file: Path, row: int, number: str, names: str) -> Film:
    try:
        listed = ast.literal_eval(names) if names.strip() else []
    except (SyntaxError, ValueError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise InputError(f"{file}, row {row}: Genre is {names!r}; it must be a list such as ['Comedy', 'Drama']")
    film = _film(row, number, "", listed, "", "")
    page = f"https://www.imdb.com/title/{film.film_id}/" if film.film_id else ""
    return Film(row, film.film_id, "", film.genres, page, "", film.fault)


def _film(row: int, number: str, title: str, names: list[str], page: str, poster: str) -> Film:
    try:
        identity, fault = normalize_imdb_id(number), ""
    except ValueError as error:
        identity, fault = "", str(error)
    page, poster = ("" if link.lower() in genres.NO_VALUE else link for link in (page, poster))
    return Film(row, identity, title, genres.canonical(names), page, poster, fault)


def _tables(file: Path) -> Iterator[pd.DataFrame]:
    """The table in chunks."""
    try:
        yield from pd.read_csv(file, dtype=str, keep_default_na=False, encoding=_encoding(file), chunksize=CHUNK)
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{file} is not a file; scrape.catalogue must name a catalogue") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{file} is empty; a catalogue has a header and a row per film") from None
    except pd.errors.ParserError as error:
        raise InputError(f"{file} is not a table: {' '.join(str(error).split())}") from None


def _encoding(file: Path) -> str:
    """UTF-8 if the bytes are valid UTF-8, else ISO-8859-1, in which all bytes are valid.

    Raises:
        InputError: the file holds NUL bytes, which no text in these encodings has.
    """
    decoder, encoding = getincrementaldecoder("utf-8")(), "utf-8-sig"
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            if b"\0" in block:
                raise InputError(f"{file} holds NUL bytes; a catalogue is a CSV file in UTF-8 or ISO-8859-1")
            try:
                decoder.decode(block, final=not stream.peek(1))
            except UnicodeDecodeError:
                encoding = "iso-8859-1"
    return encoding
