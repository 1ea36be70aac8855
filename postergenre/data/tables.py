"""Reads tables as people have them: bytes to rows with their true line numbers.

CSV with commas, semicolons or tabs, JSON lines and Parquet; the first two also in gzip. A row is read right, or it has
a fault, or the file is refused with the line. No value ever moves to another column or another row.
"""

import csv
import gzip
import io
import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from postergenre.errors import InputError

# Rows that are read at a time, where a format comes in batches.
CHUNK = 10_000
# Bytes of the longest line. It keeps memory bounded where a file has no line breaks.
LONGEST_LINE = 1 << 22
# Objects at the top of a JSON lines file whose keys are its columns: an object may lack what it has no value for.
KEYS_FROM = 1000
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# Files that people take for tables, by their first bytes.
OTHER_FILES = {
    b"PK\x03\x04": "is a ZIP archive or an Excel sheet; unpack it, or save the sheet as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "is an Excel sheet; save it as CSV in UTF-8",
    b"SQLite format 3": "is an SQLite database; export its table as CSV",
}
# Four bytes in a row that are letters or signs of cp1252 beyond ASCII, but spaces, quotation marks and dashes: Western
# European text has no such word, other alphabets have little else.
FOREIGN_WORD = re.compile(rb"[\x80-\x84\x86-\x90\x95\x98-\x9f\xa1-\xaa\xac-\xba\xbc-\xff]{4}")
CSV_FAULTS = {
    "expected after": 'a quoted field goes on after its closing quote; a quote inside a field is written twice, as ""',
    "unexpected end": "its quote is never closed",
    "field larger": f"a field has more than {csv.field_size_limit():,} characters, as after a quote that is not closed",
    "new-line": "a carriage return stands in a field without quotes, or ends a row where others end with a line feed",
}


class TableRow(NamedTuple):
    """One row of a table.

    line: of the file, where the row begins; of a Parquet file the row, from 1.
    values: of the columns that were asked for. Text, in JSON lines and Parquet also numbers, lists and None.
    fault: why the row cannot be read, "" for nothing. Its values are empty then.
    """

    line: int
    values: Sequence[Any]
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """A table in a file. Memory holds a part of it at a time.

    file: where it is.
    columns: in their order.
    kind: such as `CSV with commas, gzip`.
    rows: reads the values of columns by their names, "" for a column that the table lacks; raises InputError.
    """

    file: Path
    columns: list[str]
    kind: str
    rows: Callable[[Sequence[str]], Iterator[TableRow]]


def open_table(file: Path) -> Table:
    """Find out what kind of table a file is, and read its columns.

    Raises:
        InputError: the file is missing, empty or no table.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(16)
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{file} is not a file; scrape.catalogue must name a catalogue") from None
    for magic, problem in OTHER_FILES.items():
        if start.startswith(magic):
            raise InputError(f"{file} {problem}")
    if start.startswith(b"PAR1"):
        return _open_parquet(file)
    with _reading(file) as stream:
        beginning = stream.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not beginning:
        raise InputError(f"{file} is empty; a catalogue has a header and a row per film")
    if beginning.startswith(b"["):
        raise InputError(f"{file} is one JSON list; a catalogue in JSON has one object a line")
    packed = ", gzip" if start.startswith(b"\x1f\x8b") else ""
    if beginning.startswith(b"{"):
        return _open_json(file, packed)
    return _open_csv(file, packed)


# Lines


@contextmanager
def _reading(file: Path) -> Iterator[io.BufferedReader]:
    """The file's bytes, unpacked."""
    with file.open("rb") as stream:
        if stream.peek(2)[:2] != b"\x1f\x8b":
            yield stream
            return
        try:
            yield io.BufferedReader(gzip.GzipFile(fileobj=stream), 1 << 16)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise InputError(f"{file} is damaged: its gzip data is cut off or wrong; fetch it again") from None


class _Lines:
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
        with _reading(self._file) as stream:
            for raw in _split(stream):
                self.number += 1
                if self.number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if b"\0" in raw:
                    raise self._error("holds NUL bytes; a catalogue is a CSV file in UTF-8 or cp1252")
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
            self.fault = f"line {self.number} mixes UTF-8 with another encoding; write it in UTF-8"
        elif FOREIGN_WORD.search(raw):
            self.fault = f"line {self.number} is neither UTF-8 nor Western European (cp1252); write the file in UTF-8"
        try:
            return raw.decode("cp1252")
        except UnicodeDecodeError:
            self.fault = f"line {self.number} is neither UTF-8 nor Western European (cp1252); write the file in UTF-8"
            return raw.decode("latin-1")

    def _error(self, problem: str) -> InputError:
        return InputError(f"{self._file}, line {self.number} {problem}")


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


def describe_encoding(file: Path) -> str:
    """In which encoding a table's lines are, as `UTF-8`; of mixed ones, the first line that is not UTF-8.

    Raises:
        InputError: as `open_table`.
    """
    with file.open("rb") as start:
        if start.read(4) == b"PAR1":
            return "UTF-8"
    beyond_ascii, western, first = 0, 0, 0
    with _reading(file) as stream:
        for number, line in enumerate(_split(stream), 1):
            beyond_ascii += not line.isascii()
            try:
                line.decode()
            except UnicodeDecodeError:
                western, first = western + 1, first or number
    if not western:
        return "UTF-8" if beyond_ascii else "ASCII"
    if western == beyond_ascii:
        return "Western European (cp1252)"
    lines = f"{western:,} line{'s' * (western > 1)}"
    return f"UTF-8, but Western European (cp1252) in {lines}, the first is line {first}"


# CSV


def _open_csv(file: Path, packed: str) -> Table:
    header = next((line for line in _Lines(file) if line.strip()), "")
    delimiter = _find_delimiter(file, header)
    # IMDb writes its tables without quoting: a quote is a letter of a title.
    quoting = csv.QUOTE_NONE if header.startswith("tconst\t") else csv.QUOTE_MINIMAL
    dialect = {"delimiter": delimiter, "quoting": quoting, "strict": True}
    columns = next(_csv_records(file, dialect))[1]
    kind = f"CSV with {DELIMITERS[delimiter]}{packed}"
    return Table(file, columns, kind, partial(_csv_rows, file, dialect))


def _find_delimiter(file: Path, header: str) -> str:
    unquoted = re.sub(r'"[^"]*"', "", header)
    counts = {delimiter: unquoted.count(delimiter) for delimiter in DELIMITERS}
    most = max(counts.values())
    candidates = [delimiter for delimiter, times in counts.items() if times == most]
    if most and len(candidates) > 1:
        raise InputError(
            f"{file}, line 1 has {' and '.join(DELIMITERS[d] for d in candidates)}, {most} of each; "
            "a header has one of them between its columns"
        )
    return candidates[0]


def _csv_rows(file: Path, dialect: dict[str, Any], names: Sequence[str]) -> Iterator[TableRow]:
    records = _csv_records(file, dialect)
    _, columns, _ = next(records)
    width, empty = len(columns), [""] * len(names)
    pick = _picker(file, columns, names)
    last: TableRow | None = None
    for line, values, fault in records:
        if len(values) == width and not fault:
            row = TableRow(line, pick(values)) if any(values) else None
        else:
            fault = fault or f"it has {len(values)} field{'s' * (len(values) != 1)} and the header {width}"
            row = TableRow(line, empty, fault) if any(values) else None
            if row and last and len(values) == 1 and not last.fault:  # a line break in the last field, without quotes
                last = TableRow(last.line, empty, f"line {line} has one field, which may be the end of this row")
        if row:  # a row of nothing but delimiters is an empty row of a spreadsheet
            if last:
                yield last
            last = row
    if last:
        yield last


def _picker(file: Path, columns: list[str], names: Sequence[str]) -> Callable[[list[str]], Sequence[str]]:
    """A function from a row's values to those of the columns `names`."""
    for name in names:
        if columns.count(name) > 1:
            raise InputError(f"{file} has the column {name} {columns.count(name)} times; it should have it once")
    places = [columns.index(name) if name in columns else len(columns) for name in names]
    get = itemgetter(*places, 0)  # with a second place, for one alone gives no tuple
    absent = [""] if len(columns) in places else []
    return lambda values: get(values + absent)[:-1]


def _csv_records(file: Path, dialect: dict[str, Any]) -> Iterator[tuple[int, list[str], str]]:
    """The first line, the fields and the fault of each record. The header is the first one."""
    lines = _Lines(file)
    reader = csv.reader(lines, **dialect)
    width = 0
    while True:
        first = lines.number + 1
        lines.begin()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = next((text for part, text in CSV_FAULTS.items() if part in str(error)), str(error))
            raise InputError(f"{file}, line {first}: {problem}") from None
        if not values:
            continue
        fault = lines.fault
        if not width:
            width = len(values)
            values = [name.strip() for name in values]
            if fault:
                raise InputError(f"{file}: {fault}")
        elif len(lines.recent) > 1:
            fault = fault or _swallowed(file, lines.recent, first, width, dialect)
        yield first, values, fault


def _swallowed(file: Path, lines: list[str], first: int, width: int, dialect: dict[str, Any]) -> str:
    """Whether a field over several lines holds what could be rows: then a stray quote may have opened it.

    Returns:
        The row's fault; "" where none of the further lines has as many fields as the header.

    Raises:
        InputError: all lines have as many, so all of them are rows.
    """
    rows = [number for number, line in enumerate(lines[1:], first + 1) if _count_fields(line, dialect) == width]
    if len(rows) == len(lines) - 1 and _count_fields(lines[0], dialect) == width:
        raise InputError(
            f"{file}, line {first} opens a quote that line {first + len(lines) - 1} closes, and each line between has "
            f"a row's {width} fields; remove the quote, or write it twice"
        )
    if rows:
        return f"its quote goes to line {first + len(lines) - 1}, and line {rows[0]} could be a row by itself"
    return ""


def _count_fields(line: str, dialect: dict[str, Any]) -> int:
    """The fields that a line has by itself. A quote that it does not close is a letter."""
    text = line.rstrip("\r\n").replace("\r", " ")
    fields = next(csv.reader([f"{text}\n"], **(dialect | {"strict": False})), [])
    is_open = bool(fields) and fields[-1].endswith("\n")
    return len(fields) + (fields[-1].count(dialect["delimiter"]) if is_open else 0)


# JSON lines


def _open_json(file: Path, packed: str) -> Table:
    columns: dict[str, None] = {}
    for _, value, _ in islice(_json_objects(file), KEYS_FROM):
        columns |= dict.fromkeys(value or {})
    return Table(file, list(columns), f"JSON lines{packed}", partial(_json_rows, file))


def _json_rows(file: Path, names: Sequence[str]) -> Iterator[TableRow]:
    empty = [""] * len(names)
    for line, value, fault in _json_objects(file):
        if value is None:
            yield TableRow(line, empty, fault)
        else:
            yield TableRow(line, [value.get(name, "") for name in names])


def _json_objects(file: Path) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    lines = _Lines(file)
    for text in lines:
        if text.strip():
            value, fault = None, lines.fault
            try:
                value = None if fault else json.loads(text, object_pairs_hook=_without_repeats)
            except (ValueError, RecursionError) as error:
                fault = f"it is not JSON ({error})"
            if not fault and not isinstance(value, dict):
                value, fault = None, "it is no JSON object"
            yield lines.number, value, fault
        lines.begin()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


# Parquet


def _open_parquet(file: Path) -> Table:
    with _parquet_file(file) as table:
        return Table(file, list(table.schema_arrow.names), "Parquet", partial(_parquet_rows, file))


def _parquet_rows(file: Path, names: Sequence[str]) -> Iterator[TableRow]:
    with _parquet_file(file) as table:
        present = [name for name in names if name in table.schema_arrow.names]
        numbers = count(1)
        for batch in table.iter_batches(CHUNK, columns=present):
            columns = {name: batch.column(name).to_pylist() for name in present}
            absent = [""] * batch.num_rows
            for values in zip(*(columns.get(name, absent) for name in names), strict=True):
                yield TableRow(next(numbers), values)


@contextmanager
def _parquet_file(file: Path) -> Iterator[Any]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            yield table
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{file} is no Parquet file that can be read: {' '.join(str(error).split())}") from None
