import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from postergenre.data import tables, text_lines
from postergenre.errors import InputError


def read(file: Path, *names: str) -> list[tuple[int, list[object], str]]:
    rows = tables.open_table(file).rows(names)
    return [(line, list(values), fault) for line, values, fault in rows]


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refusal(file: Path, *names: str) -> str:
    with pytest.raises(InputError) as error:
        read(file, *names)
    assert str(file) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("delimiter", "kind"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
def test_the_header_tells_the_delimiter(tmp_path: Path, delimiter: str, kind: str) -> None:
    lines = [["id", '"a title, or; two"', "genres"], ["1", '"Good, the Bad; the Ugly"', '"A|B"']]
    file = write(tmp_path, "\n".join(delimiter.join(line) for line in lines))
    assert tables.open_table(file).kind == f"CSV with {kind}"
    assert read(file, "genres", "id") == [(2, ["A|B", "1"], "")]


def test_a_header_with_two_delimiters_is_refused(tmp_path: Path) -> None:
    assert "line 1 has commas and semicolons, 1 of each" in refusal(write(tmp_path, "id,title;genres\n1,2;3\n"), "id")


def test_a_column_that_is_not_there_is_empty_and_one_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "id,title,title\n1,A,B\n")
    assert read(file, "id", "poster") == [(2, ["1", ""], "")]
    assert "has the column title 2 times" in refusal(file, "id", "title")
    table = pa.table([["1"], ["A"], ["B"]], names=["id", "title", "title"])
    parquet.write_table(table, tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", "id") == [(1, ["1"], "")]
    assert "has the column title 2 times" in refusal(tmp_path / "t.parquet", "id", "title")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_line_ends_byte_order_marks_and_gzip_change_nothing(
    tmp_path: Path, pack: Callable[[bytes], bytes], line_end: str, encoding: str
) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    content = mark + line_end.join(["id,title", "1,A", "", "2,B", ",", "3,Ōkami", ""])
    file = write(tmp_path, pack(content.encode(encoding)))
    assert read(file, "id", "title") == [(2, ["1", "A"], ""), (4, ["2", "B"], ""), (6, ["3", "Ōkami"], "")]


def test_a_long_utf_16_file_is_read_in_blocks(tmp_path: Path) -> None:
    titles = [["\U0001f3ac" * 99], ["千と千尋の神隠し" * 99]] * 400
    content = "\n".join(["id,title", *(f"1,{title}" for (title,) in titles)])
    assert [values for _, values, _ in read(write(tmp_path, content.encode("utf-16")), "title")] == titles


@pytest.mark.parametrize(("row", "fields"), [("2,Good, the Bad,C", 4), ("2,B", 2), ("2,B,C,", 4), ('2,"B,C"', 2)])
def test_a_comma_too_many_or_too_few_costs_its_row_alone(tmp_path: Path, row: str, fields: int) -> None:
    file = write(tmp_path, f"id,title,genres\n1,A,Drama\n{row}\n3,C,Comedy\n")
    first, second, third = read(file, "id", "genres")
    assert (first[1], third[1]) == (["1", "Drama"], ["3", "Comedy"])
    assert second == (3, ["", ""], f"it has {fields} fields and the header 3")


def test_a_header_that_is_repeated_is_no_row(tmp_path: Path) -> None:
    file = write(tmp_path, "id,Genre\n1,Drama\nid,Genre\n2,War\nID, genre \n")
    assert [(line, fault) for line, _, fault in read(file, "id")] == [
        (2, ""),
        (3, "it repeats the header"),
        (4, ""),
        (5, "it repeats the header"),
    ]


@pytest.mark.parametrize(
    ("line", "delimiter"), [("sep=;", ";"), ('"sep=,"', ","), ("SEP=\t", "\t"), ("\ufeffsep=;\r", ";")]
)
def test_a_first_line_may_name_the_delimiter(tmp_path: Path, line: str, delimiter: str) -> None:
    rows = [["id", "title"], ["1", "A"]]
    file = write(tmp_path, "\n".join([line, *(delimiter.join(row) for row in rows)]))
    assert tables.open_table(file).columns == ["id", "title"]
    assert read(file, "title") == [(3, ["A"], "")]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["xl/workbook.xml"], "is a sheet of Excel or LibreOffice"),
        (["content.xml"], "is a sheet of Excel or LibreOffice"),
        (["films.csv", "a", "b", "c"], "is a ZIP archive of films.csv, a, b, ...; unpack it"),
    ],
)
def test_a_zip_archive_is_named(tmp_path: Path, names: list[str], expected: str) -> None:
    with zipfile.ZipFile(tmp_path / "films.csv", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    assert expected in refusal(tmp_path / "films.csv")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ('[{"id": 1, "genres": ["Drama"]}, {"id": "é"}, 3]', [1, 1, 1]),
        ('\n[\n  {\n  "id": 1,\n  "genres": ["Drama"]\n  },\n {"id": "é"},\n3\n]\n', [3, 7, 8]),
        ('{\n  "id": 1,\n  "genres": ["Drama"]\n}\n{\n"id": "é"\n}\n3', [1, 5, 8]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_may_go_over_lines(tmp_path: Path, content: str, lines: list[int], encoding: str) -> None:
    file = write(tmp_path, content.encode(encoding))
    assert tables.open_table(file).kind == "a JSON list"
    rows = [([1, ["Drama"]], ""), (["é", ""], ""), (["", ""], "it is no JSON object")]
    assert read(file, "id", "genres") == [(line, *row) for line, row in zip(lines, rows, strict=True)]


def test_a_line_break_without_quotes_costs_both_parts_of_its_row(tmp_path: Path) -> None:
    file = write(tmp_path, "id,title,genres\n1,A,Drama|Com\nedy\n2,B,War\n3,\nC,War\n")
    assert [(line, fault) for line, _, fault in read(file, "id")] == [
        (2, "line 3 has one field, which may be the end of this row"),
        (3, "it has 1 field and the header 3"),
        (4, ""),
        (5, "it has 2 fields and the header 3"),
        (6, "it has 2 fields and the header 3"),
    ]


@pytest.mark.parametrize(
    "rows",
    [
        ['1,"Oh God,A', "2,B,B", '3,C",C', "4,D,D"],
        ['1,"Oh God,A', '2,",B', "3,C,C"],
        ['1,"Oh ""God,A', '2,B",B'],
    ],
)
def test_a_stray_quote_that_swallows_rows_is_refused(tmp_path: Path, rows: list[str]) -> None:
    message = refusal(write(tmp_path, "\n".join(["id,title,genres", "0,Z,Z", *rows, ""])), "id")
    assert "line 3 opens a quote that line" in message


def test_a_quoted_field_may_run_over_lines(tmp_path: Path) -> None:
    plot = 'A "plot",\rof three, four\nof three, four, five, six lines\r\n\nand an end'
    quoted = plot.replace('"', '""')
    file = write(tmp_path, f'id,plot,genres\n1,"{quoted}",Drama\n2,B,Comedy\n')
    assert read(file, "plot", "genres") == [(2, [plot, "Drama"], ""), (6, ["B", "Comedy"], "")]


def test_a_field_over_lines_that_could_be_a_row_costs_its_row(tmp_path: Path) -> None:
    file = write(
        tmp_path, 'id,plot,genres\n1,"A plot, an aside, a list\nfirst, second, third\nend",Drama\n2,B,Comedy\n'
    )
    first, second = read(file, "id", "genres")
    assert first == (2, ["", ""], "its quote goes to line 4, and line 3 could be a row by itself")
    assert second == (5, ["2", "Comedy"], "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('id,title\n1,A\n2,"B\n3,C\n', "line 3: its quote is never closed"),
        ('id,title\n1,"The "Burbs"\n', "line 2: a quoted field goes on after its closing quote"),
        ("id,title\n1,A\r2,B\n", "line 2: a carriage return stands in a field without quotes"),
        ('id,title\n1,"A\n' + "x,y,z\n" * 30_000, "line 2: a field has more than 131,072 characters"),
        ("id,title\n1,A\n2,B\0\n", "line 3 holds NUL bytes"),
        ("id,title\n1,A\n".encode("utf-16-le"), "line 1 holds NUL bytes, as UTF-16 without its mark"),
        ("id,title\n1,A\n".encode("utf-16-be"), "line 1 holds NUL bytes, as UTF-16 without its mark"),
        ('[{"id": 1}]'.encode("utf-16-le"), "holds NUL bytes, as UTF-16 without its mark"),
        (b"\xff\xfei\0d\0,", "begins as UTF-16 and is not"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        (b"PK\x03\x04xxx", "is a damaged ZIP archive or Excel sheet"),
        (b"\x28\xb5\x2f\xfdxx", "is packed with zstd"),
        ("\n<!DOCTYPE html>\n<html>id,title</html>", "is an HTML or XML page"),
        (gzip.compress(b"<html>id,title</html>", mtime=0), "is an HTML or XML page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a pointer of Git LFS"),
        ("sep=;\n", "has a first line 'sep=;' and no header"),
        ("sep=#\nid#title\n", "has a first line 'sep=#' and no header"),
        ("[]", "has no list of films"),
        ('{"id": 1},\n{"id": 2},\n', "line 1: it is not JSON (Extra data"),
        ('{"films": [{"id": 1}]}', "has no list of films"),
        ('{"id": {"0": 1}, "genres": {"0": "Drama"}}', "has no list of films"),
        ('[{"id": 1},\n{"id": 2}', "is a JSON list that is never closed"),
        ('[{"id": 1},\n{"id": 2} {"id": 3}]', "the object in line 2 is not JSON (a comma is expected after it)"),
        ('[{"id": 1},\n{"id": 2, "id": 3}]', "the object in line 2 is not JSON (a key stands twice in one object)"),
        ('[{"id": "é"}]'.encode("latin-1"), "is JSON, and not in UTF-8"),
        (bz2.compress(b"id,title\n" + bytes(range(48, 58)) * 999)[:-20], "its bzip2 data is cut off or wrong"),
        (b"\xfd7zXZ\0" + b"x" * 99, "its xz data is cut off or wrong"),
        (b"BZh9" + b"x" * 99, "its bzip2 data is cut off or wrong"),
        (lzma.compress(b"id,title\n" + bytes(range(48, 58)) * 999)[:-20], "its xz data is cut off or wrong"),
        (gzip.compress(b"id,title\n" + bytes(range(48, 58)) * 999, mtime=0)[:-20], "its gzip data is cut off or wrong"),
        (b"PAR1 and no more", "is no Parquet file that can be read"),
    ],
)
def test_what_is_no_table_is_refused_by_its_line(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert expected in refusal(write(tmp_path, content), "id")


def test_a_file_without_line_breaks_is_refused_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 1000)
    assert "line 2 has more than 1,000 bytes" in refusal(write(tmp_path, "id,title\n1," + "x" * 2000), "id")


def test_each_line_has_the_encoding_that_it_is_valid_in(tmp_path: Path) -> None:
    lines = [b"id,title", "1,Amélie".encode(), "2,Déjà vu".encode("latin-1"), "3,“Œuvre”".encode("cp1252")]
    rows = read(write(tmp_path, b"\n".join(lines)), "title")
    assert [(values, fault) for _, values, fault in rows] == [(["Amélie"], ""), (["Déjà vu"], ""), (["“Œuvre”"], "")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1,Amélie ".encode() + "Comédie".encode("latin-1"), "line 3 mixes UTF-8 with another encoding"),
        ("1,Сталкер".encode("cp1251"), "line 3 is neither UTF-8 nor Western European"),
        ("1,東京物語".encode("shift-jis"), "line 3 is neither UTF-8 nor Western European"),
        ("1,霸王别姬".encode("gbk"), "line 3 is neither UTF-8 nor Western European"),
        ("1,Я".encode("cp1251"), "line 3 is neither UTF-8 nor Western European"),
        ("1,Мы".encode("cp1251"), "line 3 is neither UTF-8 nor Western European"),
        ("1,Dětský".encode("cp1250"), "line 3 is neither UTF-8 nor Western European"),
        ("1,złoty".encode("cp1250"), "line 3 is neither UTF-8 nor Western European"),
        ("1,Amélie".encode("mac-roman"), "line 3 is neither UTF-8 nor Western European"),
        ("1,Français".encode("cp850"), "line 3 is neither UTF-8 nor Western European"),
    ],
)
def test_a_line_whose_encoding_is_unclear_costs_its_row(tmp_path: Path, line: bytes, expected: str) -> None:
    rows = read(write(tmp_path, b"id,title\n0,A\n" + line + b"\n2,B\n"), "id")
    assert [values for _, values, _ in rows] == [["0"], [""], ["2"]]
    assert expected in rows[1][2]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Я|Мы|Сталкер|Он|Ъ", "cp1251"),
        ("Filantropica|Dramă|Bucureşti|Dramă|Pădurea", "cp1250"),
        ("Tanú|Erdő|Bűvös|Hölgy|Ősz", "cp1250"),
        ("Ders|Savaş|Güneşe|Çocuk|Şey", "cp1254"),
        ("Όχι|Γάμμα|Ω|Δέλτα", "cp1253"),
    ],
)
def test_one_line_tells_the_encoding_of_the_others(tmp_path: Path, text: str, encoding: str) -> None:
    """By itself, such as `Dramã`, many a word could be Western European."""
    lines = [f"{number},{word}".encode(encoding) for number, word in enumerate(text.split("|"))]
    rows = read(write(tmp_path, b"\n".join([b"id,title", *lines, "9,É".encode()])), "title")
    good = [values for _, values, fault in rows if not fault]
    assert good == [[word] for word in (*text.split("|"), "É") if word.isascii() or word == "É"]
    assert any("shows that the file is not Western European (cp1252) either; save" in fault for _, _, fault in rows)


def test_one_garbled_title_tells_nothing_of_the_others(tmp_path: Path) -> None:
    lines = [b"id,title", b"0,It\x89\xdb\xd8s \x9d", *(f"{n},Amélie".encode("cp1252") for n in range(1, 30))]
    faults = [bool(fault) for _, _, fault in read(write(tmp_path, b"\n".join(lines)), "title")]
    assert faults == [True, *[False] * 29]


@pytest.mark.parametrize(
    "title",
    [
        *("Tenue de soirée (À ma sœur)", "Død snø", "[REC]³ Génesis", "WALL·E", "Çok güzel", "Þrestir", "L\u00b4été"),
        *(
            "¡Three Amigos!",
            "Alien³",
            "1º de Abril",
            "8½",
            "Über-Maß",
            "A Missão",
            "Città è così",
            "£100",
            "Tomáš",
            "Œ",
        ),
    ],
)
def test_western_titles_are_no_other_encoding(tmp_path: Path, title: str) -> None:
    file = write(tmp_path, b"id,title\n1," + title.encode("cp1252"))
    assert read(file, "title") == [(2, [title], "")]


def test_titles_that_a_publisher_garbled_stay_readable(tmp_path: Path) -> None:
    """MovieGenre.csv has many of these: some of their bytes happen to be valid UTF-8."""
    file = write(tmp_path, b"id,title\n1,L'enl\xcc\xacvement de PresidentintekijI\xcc_t\n")
    assert read(file, "id", "title") == [(2, ["1", "L'enlÌ¬vement de PresidentintekijIÌ_t"], "")]


def test_imdbs_tables_have_no_quoting(tmp_path: Path) -> None:
    file = write(tmp_path, 'tconst\tprimaryTitle\ntt0000001\t"Rome, Open City\ntt0000002\tB"\n')
    assert [values for _, values, _ in read(file, "primaryTitle")] == [['"Rome, Open City'], ['B"']]


def test_json_lines_have_the_columns_of_all_their_objects(tmp_path: Path) -> None:
    lines = ['{"id": 1, "genres": ["Drama"]}', "", '{"id": 2, "poster": null}', "[1]", "{", '{"id": 3, "id": 4}']
    file = write(tmp_path, "\n".join(lines))
    assert tables.open_table(file).columns == ["id", "genres", "poster"]
    rows = read(file, "id", "genres", "poster")
    assert rows[:2] == [(1, [1, ["Drama"], ""], ""), (3, [2, "", None], "")]
    assert rows[2] == (4, ["", "", ""], "it is no JSON object")
    assert [(line, fault[:14]) for line, _, fault in rows[3:]] == [(5, "it is not JSON"), (6, "it is not JSON")]


def test_parquet_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK", 2)
    pd.DataFrame({"id": [1, 2, 3], "genres": [["Drama"], None, []]}).to_parquet(tmp_path / "t.parquet")
    rows = read(tmp_path / "t.parquet", "genres", "id", "title")
    assert rows == [(1, [["Drama"], 1, ""], ""), (2, [None, 2, ""], ""), (3, [[], 3, ""], "")]


def test_json_lines_may_be_packed(tmp_path: Path) -> None:
    file = write(tmp_path, gzip.compress(json.dumps({"id": "é"}, ensure_ascii=False).encode()))
    assert tables.open_table(file).kind == "JSON lines, gzip"
    assert read(file, "id") == [(1, ["é"], "")]
