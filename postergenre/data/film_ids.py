"""The ids of films: IMDb's, TMDB's, or one's own. An id never is a path, and no file is named by it alone."""

import re

# What catalogues write for an unknown value: words, in lower case and without spaces and signs, and signs alone.
NO_VALUE = frozenset(
    {
        "na",
        "nan",
        "nat",
        "none",
        "null",
        "tbd",
        "tba",
        "tbc",
        "unknown",
        "undefined",
        "unspecified",
        "novalue",
        "nodata",
    }
    | {"notavailable", "notapplicable", "notspecified", "notknown", "tobedetermined", "tobeannounced", "tobeconfirmed"}
)
# Three and more question marks are letters that another program lost.
_NO_SIGN = re.compile(r"[-.*/~_\u2010-\u2015\u2026]*|\?{1,2}|\[\]|\{\}|\(\)|\\n")
_IMDB_NUMBER, _IMDB_ID = re.compile(r"([0-9]{1,8})(?:\.0)?"), re.compile(r"(?i:tt)([0-9]{7,8})")
_NUMBERED = re.compile(r"(?:tt|tmdb)([0-9]+)")
# Columns whose numbers are known to be IMDb's or TMDB's, by their names in lower case without `_`.
IMDB_COLUMNS, TMDB_COLUMNS = {"imdbid", "tconst", "imdb"}, {"tmdbid", "tmdb"}


def key_of_words(text: str) -> str:
    """A text in lower case, without spaces and signs."""
    return re.sub(r"[\W_]+", "", text.lower())


def is_no_value(text: str) -> bool:
    """Whether a text is one of the many that stand for no value: `N/A`, `n.a.`, `TBD`, `-`, `?`."""
    text = text.strip()
    return bool(_NO_SIGN.fullmatch(text.lower())) or (len(text) < 32 and key_of_words(text) in NO_VALUE)


def normalize_imdb_id(text: str) -> str:
    """Normalise `84058`, `84058.0` (exported by a spreadsheet) and `tt0084058` to `tt0084058`.

    Raises:
        ValueError: the text is no IMDb id.
    """
    text = text.strip()
    digits = _IMDB_NUMBER.fullmatch(text) or _IMDB_ID.fullmatch(text)
    if not digits or int(digits[1]) == 0:
        raise ValueError(f"{text!r} is not an IMDb id such as 84058 or tt0084058")
    return f"tt{int(digits[1]):07d}"


def normalize_tmdb_id(text: str) -> str:
    """Normalise TMDB's `603`, `603.0` and `tmdb603` to `tmdb603`: the number alone could be anybody's.

    Raises:
        ValueError: the text is no TMDB id.
    """
    text = text.strip()
    digits = re.fullmatch(r"(?i:tmdb)?([0-9]{1,9})(?:\.0)?", text)
    if not digits or int(digits[1]) == 0:
        raise ValueError(f"{text!r} is not a TMDB id such as 603")
    return f"tmdb{int(digits[1])}"


def normalize(text: str) -> str:
    """Normalise an id of any of the three kinds. One's own stays as it is, for files may have its name.

    Raises:
        ValueError: the text is no id.
    """
    text = text.strip()
    if re.fullmatch(r"tt[0-9]+", text):
        return normalize_imdb_id(text)
    if re.fullmatch(r"tmdb[0-9]+", text):
        return normalize_tmdb_id(text)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text) or is_no_value(text):
        raise ValueError(f"{text!r} is not an id: 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return text


def normalize_cell(text: str, column: str) -> str:
    """Normalise an id of any of the three kinds as tables have it: `TT0084058`, and `7.0` for 7, by a spreadsheet.

    column: its name may say whose a number is.

    Raises:
        ValueError: the text is no id.
    """
    text, name = text.strip(), column.lower().replace("_", "")
    if name in IMDB_COLUMNS:
        return normalize_imdb_id(text)
    if name in TMDB_COLUMNS:
        return normalize_tmdb_id(text)
    if re.fullmatch(r"(?i:tt|tmdb)[0-9]+", text):
        text = text.lower()
    return normalize(re.sub(r"^([0-9]+)\.0+$", r"\1", text))


def number(film_id: str) -> int:
    """The number in an id of IMDb's or TMDB's, 0 in one's own."""
    digits = _NUMBERED.fullmatch(film_id)
    return int(digits[1]) if digits else 0
