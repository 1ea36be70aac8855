"""Simple rules by which `benchmarks.text` takes lines and posters. They miss some, and take wrong ones."""

import re
import unicodedata
from collections.abc import Sequence

from postergenre.data import texts
from postergenre.data.texts import Line

# A word that begins with a capital, such as `WILLIS`, `McDowell`, `O'Toole` and `Kristin-Scott`.
NAME = r"[^\W\d_a-zß-ÿ](?:['\u2019-]?[^\W\d_])+"
# Two words, or three, of which the second may be an initial.
CAST = re.compile(rf"{NAME}(?: (?:[A-Z]\.?|{NAME}))? {NAME}")
# No word of a person's name: those that are frequent in titles, in what advertises a film, and in names of companies.
NO_NAMES = """
a all an and are be by can don't edition entertainment festival films for from has he her his home how i i'm in is isn't
it it's its just la le los me movie my never new no not of official on one only our out presents pictures productions
selection she soon special that that's the their they this times to two up was we we're what when where who will with
you you're your
"""
# Frequent words of French, Spanish, Portuguese, Italian and German that hardly an English text has.
FOREIGN = """
au aux avec dans der des du ein eine el em est et gli ich il je las les mit não nel non para por pour que qui sie sur
tra tu uma un una und une
"""
# Frequent words of English; some are words of those languages, too.
ENGLISH = """
a all and are be but by can for from has have he her his how i if in is it just my no not of on one or our out she so
that the their there they this to was we what when who will with you your
"""
_NO_NAMES, _FOREIGN, _ENGLISH = (frozenset(words.split()) for words in (NO_NAMES, FOREIGN, ENGLISH))
WORD = re.compile(r"[^\W\d_]+")


def is_cast(line: str) -> bool:
    """Whether a line looks like a person's name: two or three capitalised words, none of them a word of `NO_NAMES`."""
    return bool(CAST.fullmatch(line.strip())) and _NO_NAMES.isdisjoint(line.lower().replace("\u2019", "'").split())


def without_cast(lines: Sequence[Line]) -> list[Line]:
    """The lines that do not look like a person's name."""
    return [line for line in lines if not is_cast(line.text)]


def is_foreign(lines: Sequence[Line]) -> bool:
    """Whether a text is hardly English: two or more words of `FOREIGN` or with accents, and more than of `ENGLISH`."""
    words = _words(lines)
    foreign = sum(word in _FOREIGN or _has_accent(word) for word in words)
    return foreign >= 2 and foreign > sum(word in _ENGLISH for word in words)


def has_english(lines: Sequence[Line]) -> bool:
    """Whether a text has a word of `ENGLISH`."""
    return not _ENGLISH.isdisjoint(_words(lines))


def _words(lines: Sequence[Line]) -> list[str]:
    return [word.lower() for word in WORD.findall(texts.whole(lines))]


def _has_accent(word: str) -> bool:
    return any(unicodedata.combining(character) for character in unicodedata.normalize("NFKD", word))
