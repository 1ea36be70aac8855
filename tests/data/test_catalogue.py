from pathlib import Path

import pytest

from postergenre.data import catalogue
from postergenre.errors import InputError
from tests import support
from tests.support import HEADER


def test_both_published_formats_are_read_alike(tmp_path: Path) -> None:
    published = tmp_path / "MovieGenre.csv"
    published.write_text(
        f"{HEADER}\n84058,http://h/title/tt84058,Amélie (2001),8.3,Drama|Comedy,http://h/a.jpg\n", "latin-1"
    )
    table = tmp_path / "train.csv"
    table.write_text("Id,Genre,Comedy,Drama\ntt0084058,\"['Comedy', 'Drama']\",1,1\n")
    (one,), (other,) = catalogue.read(published), catalogue.read(table)
    assert one.title == "Amélie (2001)"
    assert (one.film_id, one.genres) == (other.film_id, other.genres) == ("tt0084058", ("Comedy", "Drama"))
    assert one.poster == "http://h/a.jpg"
    assert other.page == "https://www.imdb.com/title/tt0084058/"
    assert other.poster == ""


def test_utf8_is_not_mistaken_for_latin1(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(f"\ufeff{HEADER}\n1,p,Ōkami,,Drama,l\n", "utf-8")
    assert next(catalogue.read(file)).title == "Ōkami"


@pytest.mark.parametrize(
    "text", ["", "../../x", "tt12", "0", "-5", "tt0084058/../x", "\uff11\uff12", "84058.5", "nan", "123456789"]
)
def test_what_is_no_id_is_kept_as_a_row_with_a_fault(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.csv"
    file.write_text(f"{HEADER}\n{text},p,T,,Drama,l\n84058,p,T,,Drama,l\n")
    bad, good = catalogue.read(file)
    assert (bad.row, bad.film_id) == (1, "")
    assert bad.problem == "bad-id"
    assert bad.reason == f"line 2: {text!r} is not an IMDb id such as 84058 or tt0084058"
    assert not good.problem


@pytest.mark.parametrize("names", ["", "nan", "N/A", " | ", "None"])
def test_what_says_no_genre_is_no_genre(tmp_path: Path, names: str) -> None:
    file = tmp_path / "c.csv"
    file.write_text(f"{HEADER}\n1,p,T,,{names},l\n")
    assert next(catalogue.read(file)).genres == ()


def test_genres_are_canonical_whatever_their_order(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(f"{HEADER}\n1,p,T,,Drama| Comedy |Drama|N/A,nan\n")
    film = next(catalogue.read(file))
    assert film.genres == ("Comedy", "Drama")
    assert film.poster == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (HEADER.encode() + b"\n", "has no row below its header"),
        (b"id,name\n1,x\n", "has the columns id, name; a catalogue has imdbId"),
        (f"{HEADER}\n1,p,T,,Drama,l\n".encode("utf-16-le"), "line 1 holds NUL bytes, as UTF-16 without its mark"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_in_one_sentence(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "c.csv"
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        list(catalogue.read(file))
    assert expected in str(error.value)
    assert str(file) in str(error.value)


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv is not a file; scrape\.catalogue must name"):
        list(catalogue.read(tmp_path / "gone.csv"))


def test_a_row_that_cannot_be_read_keeps_its_place_and_says_its_line(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(f'{HEADER}\n\n1,p,"A\nB",,Drama,l\n2,p,T,,Drama,l,more\n3,p,T,,A|"B",l\n4,p,T,,Drama|Horror,l\n')
    films = list(catalogue.read(file))
    assert [(film.row, film.film_id, film.problem) for film in films] == [
        (1, "tt0000001", ""),
        (2, "", "bad-row"),
        (3, "tt0000003", "bad-row"),
        (4, "tt0000004", ""),
    ]
    assert films[0].title == "A B"
    assert films[1].reason == "line 5: it has 7 fields and the header 6"
    assert films[2].reason.startswith("line 6: a genre is '\"B\"'; this file writes them as A|B")


def test_a_catalogue_longer_than_a_chunk_is_numbered_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "CHUNK", 2)
    file = support.write_catalogue(tmp_path / "films.csv", [(str(n), "Drama", "") for n in range(1, 6)])
    assert [(film.row, film.film_id) for film in catalogue.read(file)] == [(n, f"tt{n:07d}") for n in range(1, 6)]


@pytest.mark.parametrize("before", [0, 1])
def test_a_letter_that_crosses_two_blocks_is_utf_8_still(tmp_path: Path, before: int) -> None:
    link = "x" * before + "é" * (1 << 16)  # two bytes each, and a block has 1 << 16
    file = support.write_catalogue(tmp_path / "films.csv", [("1", "Drama", link)])
    assert [film.poster for film in catalogue.read(file)] == [link]


def test_letters_of_another_encoding_are_told_once_by_their_line(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_bytes(f"{HEADER}\n1,p,Сталкер,,Drama,l\n2,p,Я,,Drama,l\n3,p,T,,Drama,l\n".encode("cp1251"))
    first, second, third = catalogue.read(file)
    assert first.reason == "line 2 is neither UTF-8 nor Western European (cp1252); save the file as UTF-8"
    assert second.reason.startswith("line 3 is not UTF-8, and line 2 shows")
    assert [film.problem for film in (first, second, third)] == ["bad-row", "bad-row", ""]
