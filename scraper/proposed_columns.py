"""Proposes `scrape.columns` for a table by the names in its header."""

import re
from collections.abc import Sequence

from postergenre import params_edit

# Names of columns, the most telling first, in lower case, letters and digits alone.
NAMES = {
    "id": (
        *(
            "imdbid",
            "tconst",
            "const",
            "imdb",
            "tmdbid",
            "tmdb",
            "id",
            "filmid",
            "movieid",
            "titleid",
            "showid",
            "itemid",
        ),
        *("uid", "key", "code", "slug", "file", "filename", "imageid", "image", "film", "movie"),
    ),
    "title": ("title", "name", "filmtitle", "movietitle", "filmname", "moviename", "originaltitle", "film", "movie"),
    "genres": (
        *("genres", "genre", "genrenames", "moviegenre", "moviegenres", "tags", "tag", "labels", "label"),
        *("categories", "category", "listedin"),
    ),
    "poster": (
        *("poster", "posterurl", "posterlink", "posterpath", "picture", "pictureurl", "image", "imageurl"),
        *("imagelink", "img", "imgurl", "cover", "coverurl", "thumbnail", "thumbnailurl"),
    ),
    "page": ("page", "pageurl", "url", "link", "imdblink", "imdburl", "movielink", "homepage", "website"),
}
# For a column that the header does not tell.
UNKNOWN = "COLUMN"


def choose(columns: Sequence[str]) -> dict[str, str | None]:
    """The column of each key of `scrape.columns`, None for none. No column is chosen twice."""
    chosen: dict[str, str | None] = {}
    by_name = {_key(column): column for column in reversed(columns)}
    for key, names in NAMES.items():
        likely = (by_name[name] for name in names if name in by_name)
        column = next((column for column in likely if column not in chosen.values()), None)
        if column is None and key == "poster":
            column = next((name for name in columns if key in _key(name) and name not in chosen.values()), None)
        if key == "genres":
            alike = genre_columns([name for name in columns if name not in chosen.values()])
            column = alike[0] if len(alike) == 1 else None
        chosen[key] = column
    return chosen


def genre_columns(columns: Sequence[str]) -> list[str]:
    """The columns that seem to hold genres; several, such as genre1 and genre2, where each holds a part of them."""
    for name in NAMES["genres"]:
        if alike := [column for column in columns if _key(column).rstrip("0123456789") == name]:
            return alike
    return [column for column in columns if "genre" in _key(column)]


def tell_several(columns: Sequence[str]) -> str:
    """What to do where genres stand in several columns; "" where they do not."""
    alike = genre_columns(columns)
    return f"; put the genres of {', '.join(alike)} into one column, such as A|B" if len(alike) > 1 else ""


def propose(columns: Sequence[str]) -> str:
    """The value of `scrape.columns` as YAML; what is to be filled in is called COLUMN."""
    chosen = choose(columns)
    return params_edit.write(chosen | {key: chosen[key] or UNKNOWN for key in ("id", "genres")})


def _key(column: str) -> str:
    return re.sub(r"[\W_]", "", column.lower())
