"""Reads files as lines of text: unpacks them, and finds out their encoding.

A file is UTF-16 with its mark, or line by line UTF-8 or Western European (cp1252). A line in another encoding has a
fault.
"""

import bz2
import gzip
import io
import lzma
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from postergenre.errors import InputError

# Bytes of the longest line. It keeps memory bounded where a file has no line breaks.
LONGEST_LINE = 1 << 22
# How packed files begin.
PACKERS: dict[bytes, tuple[str, Callable[..., Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\0": ("xz", lzma.open),
}
UTF_8_MARK = b"\xef\xbb\xbf"
# Four bytes in a row that are letters or signs of cp1252 beyond ASCII, but spaces, quotation marks and dashes: Western
# European text has no such word, other alphabets have little else.
FOREIGN_RUN = re.compile(rb"[\x80-\x84\x86-\x90\x95\x98-\x9f\xa1-\xaa\xac-\xba\xbc-\xff]{4}")
# Letters beyond ASCII that stand together in one word of a language. The same bytes of another encoding give words that
# mix them, such as `Dìtský` for `Dětský`.
ALPHABETS = [
    set("àâæçèéêëîïôœùûÿ"),  # French
    set("àèéìîòùçïü"),  # Italian, Catalan
    set("áéíóúñçïöü"),  # Spanish, Catalan, Irish, Hungarian
    set("áâãàçéêíóôú"),  # Portuguese
    set("çõ"),
    set("äöüßåé"),  # German, Swedish
    set("äöõüåšž"),  # Estonian, Finnish
    set("æøåäöüéêôóò"),  # Danish, Norwegian
    set("áéíóúýðþæö"),  # Icelandic
    set("áíóúýðæø"),  # Faroese
    set("áéíóúýäôšž"),  # Czech, Slovak
    set("âçöü"),  # Turkish
]
WORD = re.compile(r"[^\W\d_]+")
# What letters of Central Europe's encodings, DOS's, the Mac's and Cyrillic `Я` become in cp1252.
MISREAD = re.compile(r"[^\W\d_][¹³¿£¥¯º¼¾±¡¢¤†‡\u201a„][^\W\d_]|[a-zß-öø-ÿ][À-ÖØ-ÞŠŽŸ][a-zß-öø-ÿ]|\bß")
# The file is in another encoding where one of so many lines that are not UTF-8 shows it. Publishers garble single
# titles, which say nothing of the other lines.
FOREIGN_SHARE = 20
ADVICE = "save the file as UTF-8"


@contextmanager
def reading(file: Path) -> Iterator[io.BufferedReader]:
    """The file's bytes, unpacked, and UTF-8 in place of UTF-16.

    Raises:
        InputError: the file is damaged.
    """
    with _unpacking(file) as stream:
        yield io.BufferedReader(_Utf16(file, stream), 1 << 16) if _is_utf16(stream) else stream


@contextmanager
def _unpacking(file: Path) -> Iterator[io.BufferedReader]:
    packer = name_packer(file)
    with file.open("rb") as stream:
        if not packer:
            yield stream
            return
        unpack = next(unpack for name, unpack in PACKERS.values() if name == packer)
        try:
            yield io.BufferedReader(unpack(stream), 1 << 16)
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(f"{file} is damaged: its {packer} data is cut off or wrong; fetch it again") from None


def name_packer(file: Path) -> str:
    """What a file is packed with, "" for nothing."""
    with file.open("rb") as stream:
        start = stream.read(16)
    return next((name for magic, (name, _) in PACKERS.items() if start.startswith(magic)), "")


def _is_utf16(stream: io.BufferedReader) -> bool:
    return stream.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff")


class _Utf16(io.RawIOBase):
    """The bytes of a UTF-16 file in UTF-8."""

    def __init__(self, file: Path, stream: io.BufferedReader):
        self._file, self._text = file, io.TextIOWrapper(stream, "utf-16", newline="")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            block = self._text.read(len(buffer) // 4).encode()  # a character has at most 4 bytes
        except UnicodeError:
            raise InputError(f"{self._file} begins as UTF-16 and is not; {ADVICE}") from None
        buffer[: len(block)] = block
        return len(block)


class Lines:
    """The lines of a file as text, each with its line break.

    number: of the last line.
    recent: the lines since the last call of `begin`.
    fault: why one of these is no text in a known encoding, "" for nothing.
    """

    def __init__(self, file: Path):
        self.number = 0
        self.recent: list[str] = []
        self.fault = ""
        self._file = file

    def begin(self) -> None:
        """Forget the lines so far."""
        self.recent.clear()
        self.fault = ""

    def __iter__(self) -> Iterator[str]:
        for raw in _raw_lines(self._file):
            self.number += 1
            if b"\0" in raw:
                raise self._error(f"holds NUL bytes, as UTF-16 without its mark or a file that is no text; {ADVICE}")
            if len(raw) == LONGEST_LINE:
                raise self._error(f"has more than {LONGEST_LINE:,} bytes; a row per line is expected")
            try:
                line = raw.decode()
            except UnicodeDecodeError:
                line = self._decode_western(raw)
            self.recent.append(line)
            yield line

    def _decode_western(self, raw: bytes) -> str:
        """Decode a line that is not UTF-8 as cp1252, which is ISO-8859-1 with more letters."""
        as_utf8 = raw.decode(errors="ignore")
        if any(not char.isascii() and unicodedata.category(char)[0] in "LP" for char in as_utf8):
            self.fault = f"line {self.number} mixes UTF-8 with another encoding; {ADVICE}"
        elif _is_not_western(raw) or self._foreign_line == self.number:
            self.fault = f"line {self.number} is neither UTF-8 nor Western European (cp1252); {ADVICE}"
        elif self._foreign_line:
            self.fault = (
                f"line {self.number} is not UTF-8, and line {self._foreign_line} shows that the file is not Western "
                f"European (cp1252) either; {ADVICE}"
            )
        return raw.decode("cp1252", errors="replace")

    @cached_property
    def _foreign_line(self) -> int:
        return _find_foreign_line(self._file)

    def _error(self, problem: str) -> InputError:
        return InputError(f"{self._file}, line {self.number} {problem}")


def _raw_lines(file: Path) -> Iterator[bytes]:
    with reading(file) as stream:
        lines = _split(stream)
        yield next(lines, b"").removeprefix(UTF_8_MARK)
        yield from lines


def _split(stream: io.BufferedReader) -> Iterator[bytes]:
    """The lines of a stream. They end with a line feed or, where the first 64 KiB have none, a carriage return."""
    beginning = stream.peek(1 << 16)[: 1 << 16]
    if b"\n" in beginning or b"\r" not in beginning:
        yield from iter(partial(stream.readline, LONGEST_LINE), b"")
        return
    rest = b""
    while block := stream.read(1 << 16):
        *lines, rest = (rest + block).split(b"\r")
        for line in lines:
            yield line + b"\n"
        if len(rest) >= LONGEST_LINE:
            yield rest[:LONGEST_LINE]
    if rest:
        yield rest


# Encodings


def describe_encoding(file: Path) -> str:
    """In which encoding a table's lines are, as `UTF-8`; of mixed ones, the first line that is not UTF-8.

    Raises:
        InputError: the file is damaged.
    """
    with file.open("rb") as start:
        if start.read(4) == b"PAR1":
            return "UTF-8"
    beyond_ascii, other, first = 0, 0, 0
    for number, raw in enumerate(_raw_lines(file), 1):
        beyond_ascii += not raw.isascii()
        if not _is_utf8(raw):
            other, first = other + 1, first or number
    if not other:
        with _unpacking(file) as stream:
            return "UTF-16" if _is_utf16(stream) else "UTF-8" if beyond_ascii else "ASCII"
    foreign = _find_foreign_line(file)
    name = f"neither UTF-8 nor cp1252, as line {foreign} shows" if foreign else "Western European (cp1252)"
    if other == beyond_ascii:
        return name
    lines = f"{other:,} line{'s' * (other > 1)}"
    return f"UTF-8, but {name}{',' * bool(foreign)} in {lines}, the first is line {first}"


def find_foreign_word(text: str) -> str:
    """The first word whose letters no Western European language has together, "" for none.

    Words with letters beyond cp1252 do not count: they were not misread.
    """
    if misread := MISREAD.search(text):
        return misread[0]
    return next((word for word in WORD.findall(text) if not word.isascii() and _mixes_alphabets(word)), "")


def _mixes_alphabets(word: str) -> bool:
    letters = {char for char in word.lower() if not char.isascii() and char.isalpha()} - set("ªºµˆ")
    try:
        "".join(letters).encode("cp1252")
    except UnicodeEncodeError:
        return False
    return not any(letters <= alphabet for alphabet in ALPHABETS)


def _find_foreign_line(file: Path) -> int:
    """The first line that shows that a file's lines beyond UTF-8 are not cp1252 either, 0 where too few show it."""
    other = foreign = first = 0
    for number, raw in enumerate(_raw_lines(file), 1):
        if not _is_utf8(raw):
            other += 1
            if _is_not_western(raw) or find_foreign_word(raw.decode("cp1252")):
                foreign, first = foreign + 1, first or number
    return first if foreign * FOREIGN_SHARE >= other else 0


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_not_western(raw: bytes) -> bool:
    """Whether a line certainly is not cp1252."""
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return True
    return bool(FOREIGN_RUN.search(raw))
