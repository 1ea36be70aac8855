"""The table of texts in data/text/."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from postergenre import files
from postergenre.data import texts
from postergenre.data.texts import Engine, Line, PosterText, Texts
from postergenre.errors import InputError

BOX = (0.1, 0.2, 0.9, 0.2, 0.9, 0.4, 0.1, 0.4)
LINES = (
    Line("A film by <Zoë>", 0.91, BOX, 0.04),
    Line("HEAT", 0.99, BOX, 0.2),
    Line("and\u2028DUST", 0.98, BOX, 0.13),
    Line("熱", 0.7, BOX, 0.11),
)
POSTERS = {"tt1": "a" * 64, "tt2": "b" * 64, "tt3": "c" * 64}
MADE = [PosterText("tt1", LINES), PosterText("tt2"), PosterText("tt3", error="it is damaged")]
ENGINE = Engine("rapidocr", "3.10.0-1", {"Global.use_cls": False})


def written(folder: Path) -> Texts:
    assert texts.write(folder, ENGINE, iter(MADE), POSTERS) == 2
    return Texts.read(folder)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = written(tmp_path)
    assert [table.of(film_id) for film_id in POSTERS] == MADE
    assert (len(table), table.engine) == (3, ENGINE)
    lines = (tmp_path / "texts.jsonl").read_bytes().decode().split("\n")
    assert json.loads(lines[1]) == {"film_id": "tt2", "lines": [], "error": None}
    assert json.loads((tmp_path / "texts.json").read_text())["sha256"] == table.digest


def test_a_table_of_other_posters_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path)
    table.check(dict(reversed(POSTERS.items())))
    for others in ({"tt1": "a" * 64}, POSTERS | {"tt3": "d" * 64}, POSTERS | {"tt4": "d" * 64}):
        with pytest.raises(InputError, match=r"not the texts of the . posters in the manifest; `dvc"):
            table.check(others)
    with pytest.raises(InputError, match="no poster of tt4; `dvc repro read` reads it"):
        table.of("tt4")


def test_a_changed_table_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with (tmp_path / "texts.jsonl").open("a") as table:
        table.write("\n")
    with pytest.raises(InputError, match=r"texts\.jsonl is not the table that texts\.json describes"):
        Texts.read(tmp_path)
    (tmp_path / "texts.json").unlink()
    with pytest.raises(InputError, match=r"texts\.json is missing; `dvc repro read` writes it"):
        Texts.read(tmp_path)


@pytest.mark.parametrize("table", [b'{"film_id": "tt1", "lines": [{}]}', b"HEAT", b"\xff"])
def test_a_table_that_is_none_is_refused(tmp_path: Path, table: bytes) -> None:
    about = {
        "engine": "rapidocr",
        "version": "",
        "settings": {},
        "posters_sha256": "",
        "sha256": sha256(table).hexdigest(),
    }
    (tmp_path / "texts.jsonl").write_bytes(table)
    for description in (about, {}):
        files.write_json(tmp_path / "texts.json", description)
        with pytest.raises(InputError, match=r"does not hold texts .* `dvc repro read` writes them anew"):
            Texts.read(tmp_path)


def test_without_an_engine_no_poster_has_text(tmp_path: Path) -> None:
    texts.write(tmp_path, Engine("none", "", {}), (), POSTERS)
    table = Texts.read(tmp_path)
    table.check(POSTERS)
    assert table.of("tt2") == PosterText("tt2")
    assert (tmp_path / "texts.jsonl").read_bytes() == b""


def test_the_title_is_what_stands_largest() -> None:
    assert texts.title(LINES) == "HEAT and\u2028DUST"
    assert texts.whole(LINES) == "A film by <Zoë> HEAT and\u2028DUST 熱"
    assert (texts.title(()), texts.whole(())) == ("", "")
