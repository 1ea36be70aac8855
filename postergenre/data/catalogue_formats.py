"""The published formats of catalogues: what their columns mean."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from postergenre.data import film_ids, tables
from postergenre.data.film_ids import normalize_imdb_id, normalize_tmdb_id
from postergenre.data.genre_cells import GENRES
from postergenre.errors import InputError
from postergenre.params import Section

# A row's problem: its id is none, it cannot be read, or its title is no film's.
Problem = Literal["", "bad-id", "bad-row", "no-film"]
# The kinds of titles that are films, as IMDb (titleType) and OMDb (Type) name them, in lower case.
FILM_TYPES = frozenset({"movie", "short", "tvmovie", "tvshort", "tvspecial", "video"})
# Rows that tell whether a table has the format that its header tells.
FIRST_ROWS = 100
# MovieLens's tables, which belong together.
MOVIES, LINKS = "movies.csv", "links.csv"


class Columns(Section):
    """`scrape.columns` in params.yaml: the columns of a table in no published format. null: it has none."""

    id: str
    title: str | None
    genres: str
    poster: str | None
    page: str | None


class Record(NamedTuple):
    """What a row says of a film.

    film_id: "" where the row has none.
    title: with the year, "" for none.
    genres: the cell.
    page: the link to the film's page, "" for none.
    poster: the link to the poster, or its path at TMDB's host of pictures, such as `/rhIRbceo.jpg`; "" for none.
    tmdb_id: the film's number at TMDB, 0 for none.
    problem, reason: what is wrong with the row.
    """

    film_id: str
    title: str
    genres: Any
    page: str
    poster: str
    tmdb_id: int = 0
    problem: Problem = ""
    reason: str = ""


@dataclass(frozen=True)
class Format:
    """A format.

    name: for people.
    marks: the columns that tell it from others.
    columns: those that are read, present or not.
    read: makes a record of their values.
    shape: a column and the pattern of its first values, where the marks alone could be anybody's.
    others: a pattern of the names of all other columns, for the same reason.
    """

    name: str
    marks: Sequence[str]
    columns: Sequence[str]
    read: Callable[..., Record]
    shape: tuple[str, str] = ("", "")
    others: str = ".*"

    def fits(self, table: tables.Table) -> bool:
        """Whether a table has the format, by its columns and its first rows."""
        columns, (column, pattern) = set(table.columns), self.shape
        if not columns.issuperset(self.marks) or not all(re.fullmatch(self.others, name) for name in columns):
            return False
        rows = islice(table.rows([column]), FIRST_ROWS) if column else ()
        values = [text(row.values[0]) for row in rows if not row.fault]
        return sum(bool(re.fullmatch(pattern, value)) for value in values) >= len(values) / 2


def recognise(table: tables.Table, columns: Columns | None) -> Format:
    """The format of a table, by `scrape.columns`, or by its header and its first rows.

    Raises:
        InputError: the table has no format's columns.
    """
    if columns:
        return _own_format(table, columns)
    for candidate in FORMATS:
        if candidate.fits(table):
            return _with_links(table.file) if candidate.name == MOVIELENS else candidate
    known = "; ".join(f"{', '.join(fmt.marks)} ({fmt.name})" for fmt in FORMATS)
    header = ", ".join(table.columns[:30]) + ", ..." * (len(table.columns) > 30)
    similar = (fmt.name for fmt in FORMATS if set(table.columns).issuperset(fmt.marks))
    like = "".join(f", but not the rest of {name}" for name in islice(similar, 1))
    raise InputError(
        f"{table.file} has the columns {header}{like}; a catalogue has {known}, or scrape.columns names its columns"
    )


def text(value: Any) -> str:
    """A cell as text, on one line: "" for None."""
    if value is None:
        return ""
    return " ".join(value.split()) if isinstance(value, str) else str(value)


def link(value: Any) -> str:
    """A link, "" for none."""
    stripped = text(value)
    return "" if film_ids.is_no_value(stripped) else stripped


def _identify(record: Record, normalize: Callable[[str], str], value: Any) -> Record:
    """The record with its id."""
    try:
        film_id = normalize(text(value))
    except ValueError as error:
        return record._replace(problem="bad-id", reason=str(error))
    tmdb_id = record.tmdb_id or (film_ids.number(film_id) if film_id.startswith("tmdb") else 0)
    return record._replace(film_id=film_id, page=record.page or _page(film_id), tmdb_id=tmdb_id)


def _page(film_id: str) -> str:
    """The link to a film's page, where its id leads to one."""
    number = film_ids.number(film_id)
    if number and film_id.startswith("tt"):
        return f"https://www.imdb.com/title/{film_id}/"
    return f"https://www.themoviedb.org/movie/{number}" if number else ""


def _titled(title: Any, date: Any) -> str:
    """A title with its year, if a date has one: `The Matrix (1999)`."""
    year = re.search(r"\b(1[89]|20)[0-9]{2}\b", text(date))
    name = text(title)
    return f"{name} ({year[0]})" if name and year else name


def _movie_genre(number: Any, page: Any, title: Any, genres: Any, poster: Any) -> Record:
    try:
        film_id = normalize_imdb_id(text(number))
    except ValueError as error:
        return Record("", text(title), genres, link(page), link(poster), 0, "bad-id", str(error))
    return Record(film_id, text(title), genres, link(page), link(poster))


def _title_basics(number: Any, kind: Any, title: Any, year: Any, genres: Any) -> Record:
    return _typed(_identify(Record("", _titled(title, year), genres, "", ""), normalize_imdb_id, number), kind)


def _omdb(number: Any, title: Any, year: Any, kind: Any, genres: Any, poster: Any) -> Record:
    record = Record("", _titled(title, year), genres, "", link(poster))
    return _typed(_identify(record, normalize_imdb_id, number), kind)


def _typed(record: Record, kind: Any) -> Record:
    """The record, marked where its kind of title is no film's."""
    name = text(kind)
    if record.problem or name.lower() in FILM_TYPES or film_ids.is_no_value(name):
        return record
    return record._replace(problem="no-film", reason=f"its type is {name}")


def _tmdb(imdb_id: Any, number: Any, title: Any, date: Any, genres: Any, poster: Any) -> Record:
    """IMDb's id is the film's where it has one, for other catalogues know the film by it."""
    record = Record("", _titled(title, date), genres, "", link(poster))
    return _identify_by_both(record, imdb_id, number)


def _identify_by_both(record: Record, imdb_id: Any, tmdb_id: Any) -> Record:
    if not link(imdb_id):
        return _identify(record, normalize_tmdb_id, tmdb_id)
    try:
        record = record._replace(tmdb_id=film_ids.number(normalize_tmdb_id(text(tmdb_id))))
    except ValueError as error:
        if link(tmdb_id):  # one of two ids is wrong, and nobody knows whether the row has moved
            return record._replace(problem="bad-id", reason=str(error))
    return _identify(record, normalize_imdb_id, imdb_id)


def _multi_hot(number: Any, genres: Any) -> Record:
    return _identify(Record("", "", genres, "", ""), normalize_imdb_id, number)


def _imported(film_id: Any, title: Any, genres: Any) -> Record:
    return _identify(Record("", text(title), genres, "", ""), film_ids.normalize, film_id)


# Of `postergenre import`: each row names the source of its poster too, for `postergenre use`.
IMPORTED, IMPORTED_COLUMNS = "postergenre import", ("film_id", "title", "genres", "source")
MOVIELENS = "MovieLens's movies.csv"
_TMDB_COLUMNS = ("imdb_id", "id", "title", "release_date", "genres", "poster_path")
_TMDB_IDS = ("id", r"(tmdb)?[0-9]+(\.0)?")
FORMATS = (
    Format(
        "MovieGenre.csv",
        ("imdbId", "Imdb Link", "Title", "Genre", "Poster"),
        ("imdbId", "Imdb Link", "Title", "Genre", "Poster"),
        _movie_genre,
    ),
    Format(
        "IMDb's title.basics",
        ("tconst", "titleType", "primaryTitle", "genres"),
        ("tconst", "titleType", "primaryTitle", "startYear", "genres"),
        _title_basics,
    ),
    Format("OMDb", ("imdbID", "Title", "Genre"), ("imdbID", "Title", "Year", "Type", "Genre", "Poster"), _omdb),
    Format("TMDB", ("id", "title", "genres", "original_title"), _TMDB_COLUMNS, _tmdb, shape=_TMDB_IDS),
    Format("TMDB", ("id", "title", "genres", "poster_path"), _TMDB_COLUMNS, _tmdb, shape=_TMDB_IDS),
    Format("TMDB", ("imdb_id", "title", "genres", "poster_path"), _TMDB_COLUMNS, _tmdb),
    Format(MOVIELENS, ("movieId", "title", "genres"), ("movieId", "title", "genres"), Record),
    Format(
        "the 7,254-poster set",
        ("Id", "Genre"),
        ("Id", "Genre"),
        _multi_hot,
        shape=("Id", "(?i:tt)[0-9]+"),
        others="|".join(map(re.escape, ("Id", "Genre", "N/A", *GENRES))),
    ),
    Format(IMPORTED, IMPORTED_COLUMNS, IMPORTED_COLUMNS[:3], _imported, shape=("source", "folder:.*")),
)


# A table of one's own


def _own_format(table: tables.Table, columns: Columns) -> Format:
    names = [columns.id, columns.title, columns.genres, columns.poster, columns.page]
    for key, name in zip(("id", "title", "genres", "poster", "page"), names, strict=True):
        if name is not None and name not in table.columns:
            raise InputError(
                f"{table.file} has the columns {', '.join(table.columns[:30])}; scrape.columns.{key} names {name}"
            )
    present = [name for name in names if name is not None]
    places = [present.index(name) if name is not None else None for name in names]
    return Format("scrape.columns", present, present, partial(_own, columns.id, places))


def _own(id_column: str, places: Sequence[int | None], *values: Any) -> Record:
    film_id, title, genres, poster, page = ("" if place is None else values[place] for place in places)
    record = Record("", text(title), genres, link(page), link(poster))
    return _identify(record, partial(film_ids.normalize_cell, column=id_column), film_id)


# MovieLens


def _with_links(movies: Path) -> Format:
    """The format of a movies.csv, whose films have their ids in the links.csv beside it.

    Raises:
        InputError: links.csv is missing or has other columns.
    """
    links = tables.open_table(links_file(movies))
    names = ("movieId", "imdbId", "tmdbId")
    if not set(links.columns).issuperset(names):
        raise InputError(f"{links.file} has the columns {', '.join(links.columns)}; it should have {', '.join(names)}")
    ids: dict[str, tuple[str, str]] = {}
    for row in links.rows(names):
        movie, imdb_id, tmdb_id = map(text, row.values)
        if row.fault or movie in ids:
            raise InputError(f"{links.file}, line {row.line}: {row.fault or f'movie {movie} has a row above'}")
        ids[movie] = (imdb_id, tmdb_id)
    return Format(MOVIELENS, names, ("movieId", "title", "genres"), partial(_movielens, ids))


def _movielens(ids: dict[str, tuple[str, str]], movie: Any, title: Any, genres: Any) -> Record:
    record = Record("", text(title), genres, "", "")
    both = ids.get(text(movie))
    if both is None:
        return record._replace(problem="bad-id", reason=f"{LINKS} has no row for movie {text(movie)!r}")
    return _identify_by_both(record, *both)


def links_file(movies: Path) -> Path:
    """The links.csv beside a movies.csv.

    Raises:
        InputError: there is none.
    """
    links = movies.with_name(LINKS)
    if not links.is_file():
        raise InputError(
            f"{movies} has MovieLens's columns, whose ids are in {LINKS}; put {LINKS} beside it, or name the columns "
            "of a table of your own in scrape.columns"
        )
    return links
