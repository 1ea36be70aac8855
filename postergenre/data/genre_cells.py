"""Reads the genres in a catalogue's cells: one notation a file, and one spelling for each genre."""

import ast
import html
import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from postergenre.data.film_ids import is_no_value, key_of_words
from postergenre.data.text_lines import ADVICE, find_foreign_word

# What says that a film has no genre, and what is no genre's name, as `film_ids.key_of_words` has them.
NO_GENRE = (
    {"nogenreslisted", "nogenrelisted", "nogenres", "nogenre", "nonelisted", "notlisted", "missing", "empty", "nil"}
    | {"uncategorized", "uncategorised", "unclassified", "unlabeled", "unlabelled"}
)  # fmt: skip
NO_NAMES = {"genre", "genres", "true", "false", "yes", "no"}
# Notations with a separator, and those with brackets.
SEPARATORS = {"A|B": "|", "A, B": ",", "A; B": ";", "A/B": "/"}
LIST, OBJECTS, NUMPY = "['A', 'B']", "[{'name': 'A'}]", "['A' 'B']"
# Characters of the longest cell and of the longest name.
LONGEST_CELL, LONGEST_NAME = 4096, 64
# Cells whose genres are remembered.
REMEMBERED = 20_000

# IMDb's genres as published catalogues spell them, then TMDB's and MovieLens's beside them.
GENRES = (
    "Action", "Adult", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Documentary", "Drama", "Family",
    "Fantasy", "Film-Noir", "Game-Show", "History", "Horror", "Music", "Musical", "Mystery", "News", "Reality-TV",
    "Romance", "Sci-Fi", "Short", "Sport", "Talk-Show", "Thriller", "War", "Western",
    "TV Movie", "Action & Adventure", "Sci-Fi & Fantasy", "War & Politics", "Kids", "Children", "IMAX",
)  # fmt: skip
# Other names of these. `scrape.genre_names` adds to them.
OTHER_NAMES = {
    "Science Fiction": "Sci-Fi",
    "Sports": "Sport",
    "Noir": "Film-Noir",
    "Reality": "Reality-TV",
    "Talk": "Talk-Show",
    "Biopic": "Biography",
    "Children's": "Children",
}

_STRING = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_ITEM = rf"(?:{_STRING}|None|null|nan)"
_LIST = re.compile(rf"\[\s*{_ITEM}\s*(?:,\s*{_ITEM}\s*)*,?\s*\]")
_NUMPY = re.compile(rf"\[\s*{_STRING}(?:\s+{_STRING})*\s*\]")
_ESCAPES = re.compile(r"""(?:[^\\]|\\(?:['"\\]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}))*""")
_NOT_AVAILABLE = re.compile(r"(?i)\bn/a\b")
_LINE_BREAK = re.compile(r"[\n\r\v\f\t\x85\u2028\u2029]")


class GenreCells:
    """Reads the cells of one file.

    notation: the file's, "" while no cell had two genres.
    """

    def __init__(self, first_cells: Iterable[Any], other_names: Mapping[str, str]):
        """Find the notation that most of the first cells have.

        other_names: `scrape.genre_names`.
        """
        counts = Counter(notation for cell in first_cells if (notation := _notation(cell)))
        self.notation = counts.most_common(1)[0][0] if counts else ""
        names = {name: name for name in GENRES} | OTHER_NAMES | dict(other_names)
        self._spellings = {_key(name): genre for name, genre in names.items()}
        known = "|".join(map(re.escape, sorted(self._spellings)))
        self._joined = re.compile(rf"(?:{known})(?:(?:and|or|with|et|und|y|e|og|och|[+.!()])*(?:{known})[.!)]*)+")
        self._remembered: dict[str, tuple[str, ...]] = {}

    def read(self, cell: Any) -> tuple[str, ...]:
        """The genres of a cell: each once, in alphabetical order.

        cell: text, or a list of names or of objects with `name`, or None.

        Raises:
            ValueError: the cell does not fit the file's notation, or holds what is no genre.
        """
        if not isinstance(cell, str):
            return self._spell(_names_of(cell, cell))
        if (genres := self._remembered.get(cell)) is None:
            genres = self._spell(self._split(_unescape(cell)))
            if len(self._remembered) < REMEMBERED:
                self._remembered[cell] = genres
        return genres

    def _split(self, text: str) -> Sequence[str | None]:
        """The names in a cell."""
        if _says_nothing(text):
            return ()
        if len(text) > LONGEST_CELL:
            raise ValueError(f"the genres are {len(text):,} characters; {LONGEST_CELL:,} are read")
        if not self.notation:
            self.notation = _notation(text)
        if self.notation in SEPARATORS:
            return _NOT_AVAILABLE.sub("", text).split(SEPARATORS[self.notation])
        if not self.notation and not text.startswith("["):
            return [text]
        notation, names = _read_brackets(text)
        if (notation != self.notation and len(names) > 1) or notation == OBJECTS != self.notation:
            raise self._misfit(text)
        return names

    def _misfit(self, text: str) -> ValueError:
        return ValueError(f"the genres are {text!r}; this file writes them as {self.notation or 'A|B'}")

    def _spell(self, names: Sequence[str | None]) -> tuple[str, ...]:
        return tuple(sorted({self._spell_one(name) for name in names if not _is_unknown(name)}))

    def _spell_one(self, name: str | None) -> str:
        """The genre's one spelling. Of a genre that no table knows, the first one in the file."""
        text, key = _clean(str(name)), _key(str(name))
        if genre := self._spellings.get(key):
            return genre
        if word := find_foreign_word(text):
            raise ValueError(f"a genre is {name!r}, and no language has {word!r}: its letters were misread; {ADVICE}")
        odd = next((char for char in text if not _fits_a_name(char)), "")
        if _LINE_BREAK.search(str(name).strip()):
            odd = "a line break"
        if odd or len(text) > LONGEST_NAME or not _is_a_name(text):
            problem = f"; this file writes them as {self.notation}" if self.notation else ""
            problem = f"{problem}; {odd!r} does not occur in a genre" if odd else f"{problem}; that is no name"
            problem += " but a number, as in TMDB's genre_ids" * text.isdigit()
            raise ValueError(f"a genre is {name!r}{problem}")
        if self._joined.fullmatch(key):
            raise ValueError(
                f"a genre is {name!r}, which reads like several; is it one, scrape.genre_names must have it"
            )
        return self._spellings.setdefault(key, text[0].upper() + text[1:])


def _notation(cell: Any) -> str:
    """The notation that a cell must be in, "" if any fits."""
    if not isinstance(cell, str) or _says_nothing(text := _unescape(cell)):
        return ""
    if text.startswith("["):
        try:
            notation, names = _read_brackets(text)
        except ValueError:
            return ""
        return notation if len(names) > 1 or notation == OBJECTS else ""
    return next((notation for notation, separator in SEPARATORS.items() if separator in text), "")


def _read_brackets(text: str) -> tuple[str, Sequence[str | None]]:
    """The notation of a list, and its names."""
    if len(text) <= LONGEST_CELL:
        if re.match(r"\[\s*\{", text):
            value = _parse_objects(text)
            return OBJECTS, _names_of(value, text)
        for notation, pattern in ((LIST, _LIST), (NUMPY, _NUMPY)):
            if pattern.fullmatch(text):
                return notation, [_unquote(token) for token in re.findall(_ITEM, text)]
    raise ValueError(f"the genres are {text[:100]!r}; a list such as {LIST} is expected")


def _unquote(token: str) -> str:
    """The text of an item of a list, `None` and its like as they stand."""
    if token[0] not in "'\"":
        return token
    token = token.replace("\\/", "/")  # as PHP writes JSON
    if not _ESCAPES.fullmatch(token):
        raise ValueError(f"a genre is {token}; its backslash has no meaning")
    return str(ast.literal_eval(token))


def _parse_objects(text: str) -> Any:
    """A list of objects, in JSON or as Python prints it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    strings = re.sub(_STRING, "'", text)
    try:
        if re.search(r"'\s*'", strings):
            raise ValueError("two strings without a comma")  # Python would join them
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, Warning):
        raise ValueError(f"the genres are {text[:100]!r}; a list such as {OBJECTS} is expected") from None


def _names_of(value: Any, cell: Any) -> Sequence[str | None]:
    """The names in a list of names or of objects."""
    if value is None or (isinstance(value, float) and value != value):
        return ()
    if isinstance(value, list | tuple):
        names = [item.get("name", 0) if isinstance(item, dict) else item for item in value]
        if all(name is None or isinstance(name, str) for name in names):
            return names
    raise ValueError(f"the genres are {str(cell)[:100]!r}; a list such as {LIST} or {OBJECTS} is expected")


def _is_unknown(name: str | None) -> bool:
    return name is None or _says_nothing(_clean(name))


def _says_nothing(text: str) -> bool:
    return is_no_value(text) or key_of_words(text) in NO_GENRE


def _unescape(cell: str) -> str:
    """A cell without HTML's escapes, such as `Action &amp; Adventure`: their semicolons separate nothing."""
    return re.sub(r"&(?:[A-Za-z]+|#[0-9]+|#x[0-9a-fA-F]+);", lambda entity: html.unescape(entity[0]), cell).strip()


def _clean(name: str) -> str:
    """The name composed (NFC), without zero-width characters and signs at its end, with single spaces."""
    visible = "".join(char for char in unicodedata.normalize("NFC", name) if unicodedata.category(char) != "Cf")
    return " ".join(visible.split()).rstrip(".,;! ")


def _key(name: str) -> str:
    """What two spellings of a genre share: case, hyphens, spaces and apostrophes do not count."""
    folded = unicodedata.normalize("NFKC", _clean(name)).casefold().replace("&", "and")
    return "".join(char for char in folded if char not in " _'\u2019" and unicodedata.category(char) != "Pd")


def _is_a_name(text: str) -> bool:
    return text[:1].isalnum() and any(char.isalpha() for char in text) and key_of_words(text) not in NO_NAMES


def _fits_a_name(char: str) -> bool:
    category = unicodedata.category(char)
    return (category[0] in "LM" and char not in "ªº") or category in {"Nd", "Pd"} or char in " _'\u2019.&()!+"
