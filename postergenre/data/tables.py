"""Reads tables as people have them: bytes to rows with their true line numbers.

CSV with commas, semicolons, tabs or vertical bars, JSON lines, JSON lists and Parquet; all but the last also in gzip,
bzip2 and xz. A row is read right, or it has a fault, or the file is refused with the line. No value ever moves to
another column or another row.
"""

import csv
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from postergenre.data.text_lines import ADVICE, UTF_8_MARK, Lines, name_packer, reading
from postergenre.errors import InputError

# Rows that are read at a time, where a format comes in batches.
CHUNK = 10_000
# Objects at the top of a JSON lines file whose keys are its columns: an object may lack what it has no value for.
KEYS_FROM = 1000
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# A first line of Excel's that names the delimiter.
DELIMITER_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
SPACE = re.compile(r"[ \t\r\n]*")
# Files that people take for tables, by their first bytes.
OTHER_FILES = {
    b"\xd0\xcf\x11\xe0": "is an Excel sheet; save it as CSV in UTF-8",
    b"SQLite format 3": "is an SQLite database; export its table as CSV",
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "is a 7z archive; unpack it",
    b"Rar!": "is a RAR archive; unpack it",
    b"ARROW1": "is a Feather file; save it as Parquet",
    b"%PDF": "is a PDF; a table in it must be saved as CSV in UTF-8",
    b"version https://git-lfs": "is a pointer of Git LFS, not the table; fetch that with `git lfs pull`",
    b"<": "is an HTML or XML page; fetch the table itself, as CSV, JSON or Parquet",
}
CSV_FAULTS = {
    "expected after": 'a quoted field goes on after its closing quote; a quote inside a field is written twice, as ""',
    "unexpected end": "its quote is never closed",
    "field larger": f"a field has more than {csv.field_size_limit():,} characters, as after a quote that is not closed",
    "new-line": "a carriage return stands in a field without quotes, or ends a row where others end with a line feed",
}


class TableRow(NamedTuple):
    """One row of a table.

    line: of the file, where the row begins; of a Parquet file the row, from 1.
    values: of the columns that were asked for. Text, in JSON and Parquet also numbers, lists and None.
    fault: why the row cannot be read, "" for nothing. Its values are empty then.
    """

    line: int
    values: Sequence[Any]
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """A table in a file. Memory holds a part of it at a time, but all of a JSON list.

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
    if start.startswith(b"PAR1"):
        return _open_parquet(file)
    if start.startswith(b"PK\x03\x04"):
        raise InputError(f"{file} {_describe_zip(file)}")
    with reading(file) as stream:
        beginning = stream.read(1 << 16).removeprefix(UTF_8_MARK).lstrip()
    if not beginning:
        raise InputError(f"{file} is empty; a catalogue has a header and a row per film")
    for magic, problem in OTHER_FILES.items():
        if beginning.startswith(magic):
            raise InputError(f"{file} {problem}")
    packer = name_packer(file)
    packed = f", {packer}" if packer else ""
    if beginning.startswith(b"[") or beginning.splitlines()[0].strip() == b"{":
        return _open_json(file, f"a JSON list{packed}", _json_document)
    if beginning.startswith(b"{"):
        return _open_json(file, f"JSON lines{packed}", _json_lines)
    return _open_csv(file, packed)


def _describe_zip(file: Path) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return "is a damaged ZIP archive or Excel sheet; fetch it again"
    if {"xl/workbook.xml", "xl/workbook.bin", "content.xml"} & set(names):
        return "is a sheet of Excel or LibreOffice, whatever its name; save it as CSV in UTF-8"
    return f"is a ZIP archive of {', '.join(names[:3])}{', ...' * (len(names) > 3)}; unpack it"


# CSV


def _open_csv(file: Path, packed: str) -> Table:
    lines = (line for line in Lines(file) if line.strip())
    header = next(lines, "")
    named = DELIMITER_LINE.fullmatch(header)
    if named:
        header = next(lines, "")
    delimiter = named[1] if named else _find_delimiter(file, header)
    if delimiter not in DELIMITERS or not header:
        raise InputError(
            f"{file} has a first line {named and named[0].strip()!r} and no header of columns with "
            f"{', '.join(DELIMITERS.values())} below it"
        )
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
    header = [name.lower() for name in columns]
    last: TableRow | None = None
    for line, values, fault in records:
        if values[0].strip().lower() == header[0] and [value.strip().lower() for value in values] == header:
            fault = fault or "it repeats the header"
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
    _check_unique(file, columns, names)
    places = [columns.index(name) if name in columns else len(columns) for name in names]
    get = itemgetter(*places, 0)  # with a second place, for one alone gives no tuple
    absent = [""] if len(columns) in places else []
    return lambda values: get(values + absent)[:-1]


def _check_unique(file: Path, columns: Sequence[str], names: Sequence[str]) -> None:
    for name in names:
        if columns.count(name) > 1:
            raise InputError(f"{file} has the column {name} {columns.count(name)} times; it should have it once")


def _csv_records(file: Path, dialect: dict[str, Any]) -> Iterator[tuple[int, list[str], str]]:
    """The first line, the fields and the fault of each record. The header is the first one."""
    lines = Lines(file)
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
        if not values or (not width and DELIMITER_LINE.fullmatch("".join(lines.recent).lstrip())):
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


# JSON

# The line of each value, the value, and its fault: then there is no value.
JsonObject = tuple[int, dict[str, Any] | None, str]


def _open_json(file: Path, kind: str, read: Callable[[Path], Iterator[JsonObject]]) -> Table:
    columns: dict[str, None] = {}
    first = list(islice(read(file), KEYS_FROM))
    for _, value, _ in first:
        columns |= dict.fromkeys(value or {})
    parts = [part for _, value, _ in first for part in (value or {}).values()]
    if not columns or (len(first) == 1 and all(isinstance(part, dict | list) for part in parts)):
        problem = next((f", line {line}: {fault}" for line, _, fault in first if fault), " has no list of films")
        raise InputError(f"{file}{problem}; a catalogue in JSON is a list of objects, or one object a line")
    return Table(file, list(columns), kind, partial(_json_rows, read, file))


def _json_rows(read: Callable[[Path], Iterator[JsonObject]], file: Path, names: Sequence[str]) -> Iterator[TableRow]:
    empty = [""] * len(names)
    for line, value, fault in read(file):
        if value is None:
            yield TableRow(line, empty, fault)
        else:
            yield TableRow(line, [value.get(name, "") for name in names])


def _json_lines(file: Path) -> Iterator[JsonObject]:
    lines = Lines(file)
    for text in lines:
        if text.strip():
            value, fault = None, lines.fault
            try:
                value = None if fault else json.loads(text, object_pairs_hook=_without_repeats)
            except (ValueError, RecursionError) as error:
                fault = f"it is not JSON ({error})"
            yield _json_object(lines.number, value, fault)
        lines.begin()


def _json_document(file: Path) -> Iterator[JsonObject]:
    """The objects of a list, or objects one after another, over any lines."""
    with reading(file) as stream:
        try:
            text = stream.read().removeprefix(UTF_8_MARK).decode().rstrip()
        except UnicodeDecodeError:
            raise InputError(f"{file} is JSON, and not in UTF-8; {ADVICE}") from None
    if "\0" in text:
        raise InputError(f"{file} holds NUL bytes, as UTF-16 without its mark; {ADVICE}")
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeats)
    place, line, counted = _skip_space(text, 0), 1, 0
    is_list = text[place] == "["
    if is_list and not text.endswith("]"):
        raise InputError(f"{file} is a JSON list that is never closed; it may be cut off")
    end, place = len(text) - is_list, _skip_space(text, place + is_list)
    while place < end:
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
            place = _skip_space(text, place)
            if is_list and place < end:
                if text[place] != ",":
                    raise ValueError("a comma is expected after it")
                place = _skip_space(text, place + 1)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}: the object in line {line} is not JSON ({error})") from None
        yield _json_object(line, value, "")


def _skip_space(text: str, place: int) -> int:
    return SPACE.match(text, place).end()  # type: ignore[union-attr]


def _json_object(line: int, value: Any, fault: str) -> JsonObject:
    if not fault and not isinstance(value, dict):
        value, fault = None, "it is no JSON object"
    return line, value, fault


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
        _check_unique(file, table.schema_arrow.names, names)
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
