"""Film catalogues: the two published tables, read into one form with every row accounted for."""

import ast
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd

from postergenre import genres
from postergenre.errors import InputError

# MovieGenre.csv (neha1703/movie-genre-from-its-poster); its `IMDB Score` is not used.
PUBLISHED = ("imdbId", "Imdb Link", "Title", "Genre", "Poster")
# The table of the 7,254-poster set (laxmimerit/Movies-Poster_Dataset), which adds one 0/1 column per genre.
MULTI_HOT = ("Id", "Genre")


@dataclass(frozen=True)
class Film:
    """One row of a catalogue.

    row: 1 for the first row below the header. imdb_id: `tt0084058`, or "" where `fault` says what stands there instead.
    genres: canonical. page, poster: links as the catalogue gives them, "" where it gives none.
    """

    row: int
    imdb_id: str
    title: str
    genres: tuple[str, ...]
    page: str
    poster: str
    fault: str = ""


def read(file: Path) -> list[Film]:
    """Every row of a catalogue in either published format, UTF-8 or ISO-8859-1, in its order.

    Raises:
        InputError: the file is missing, empty, not a table, or has neither format's columns.
    """
    table = _table(file)
    columns = set(table.columns)
    if columns.issuperset(PUBLISHED):
        rows = zip(*(table[name] for name in PUBLISHED), strict=True)
        return [_published(row, *values) for row, values in enumerate(rows, 1)]
    if columns.issuperset(MULTI_HOT):
        rows = zip(*(table[name] for name in MULTI_HOT), strict=True)
        return [_multi_hot(file, row, *values) for row, values in enumerate(rows, 1)]
    raise InputError(
        f"{file} has the columns {', '.join(table.columns)}; "
        f"a catalogue has {', '.join(PUBLISHED)} or {', '.join(MULTI_HOT)}"
    )


def imdb_id(text: str) -> str:
    """`84058`, `84058.0` (a spreadsheet's export) and `tt0084058` as `tt0084058`.

    Raises:
        ValueError: the text is no IMDb id.
    """
    text = text.strip()
    found = re.fullmatch(r"([0-9]{1,8})(?:\.0)?", text) or re.fullmatch(r"tt([0-9]{7,8})", text)
    if not found or int(found[1]) == 0:
        raise ValueError(f"{text!r} is not an IMDb id such as 84058 or tt0084058")
    return f"tt{int(found[1]):07d}"


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
    page = f"https://www.imdb.com/title/{film.imdb_id}/" if film.imdb_id else ""
    return Film(row, film.imdb_id, "", film.genres, page, "", film.fault)


def _film(row: int, number: str, title: str, names: list[str], page: str, poster: str) -> Film:
    try:
        identity, fault = imdb_id(number), ""
    except ValueError as error:
        identity, fault = "", str(error)
    page, poster = ("" if link.lower() in genres.NO_GENRE else link for link in (page, poster))
    return Film(row, identity, title, genres.canonical(names), page, poster, fault)


def _table(file: Path) -> pd.DataFrame:
    try:
        content = file.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{file} is not a file; scrape.catalogue must name a catalogue") from None
    try:
        table = pd.read_csv(StringIO(_text(file, content)), dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        raise InputError(f"{file} is empty; a catalogue has a header and a row per film") from None
    except pd.errors.ParserError as error:
        raise InputError(f"{file} is not a table: {' '.join(str(error).split())}") from None
    if table.empty:
        raise InputError(f"{file} has no row below its header; a catalogue has a row per film")
    return table


def _text(file: Path, content: bytes) -> str:
    """UTF-8 where the bytes are that, else ISO-8859-1, in which every byte is a letter: NUL tells other files."""
    if b"\0" in content:
        raise InputError(f"{file} holds NUL bytes; a catalogue is a CSV file in UTF-8 or ISO-8859-1")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("iso-8859-1")
