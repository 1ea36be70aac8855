"""`postergenre use`: params.yaml is set to a catalogue, and back to the sample, with its comments kept."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from scraper import catalogue_settings
from tests.support import ROOT, command, encode, make_picture, write_catalogue

PARAMS = Path("params.yaml")
COMMITTED = (ROOT / "params.yaml").read_text()


@pytest.fixture
def project(in_project: Path) -> Path:
    """A folder with the project's params.yaml and its sample, and a catalogue of 120 films."""
    shutil.copytree(ROOT / "data/sample", "data/sample")
    genres = ("Drama", "Comedy|Drama")
    write_catalogue(
        Path("Films of 1999.csv"), [(str(n), genres[n % 2], f"https://e.org/{n}.jpg") for n in range(1, 121)]
    )
    return in_project


def changed_lines() -> dict[str, str]:
    """The lines that differ from the committed file: the new one by the old one."""
    before, after = COMMITTED.splitlines(), PARAMS.read_text().splitlines()
    assert len(before) == len(after)
    return {old.strip(): new.strip() for old, new in zip(before, after, strict=True) if old != new}


def test_a_catalogue_sets_its_keys_and_nothing_else(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("use", "Films of 1999.csv") == 0
    assert changed_lines() == {
        "catalogue: data/sample/MovieGenre.csv": "catalogue: Films of 1999.csv",
        "poster_width: null": "poster_width: 300",
        "engine: none": "engine: rapidocr",
        "split: sample": "split: Films-of-1999",
        "height: 268": "height: 444",
        "width: 182": "width: 300",
        "input: {height: 268, width: 182, scale: symmetric}": "input: {height: 444, width: 300, scale: symmetric}",
        "input: {height: 334, width: 226, scale: symmetric}": "input: {height: 444, width: 300, scale: symmetric}",
    }
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "params.yaml has now"
    assert re.fullmatch(
        r"the stage `read` reads 120 posters, .* \(\d\.\d+ s a poster and core; cores: \d+\)", out.pop()
    )
    assert {line.strip() for line in out[1:]} == {
        "read.engine: rapidocr",
        "scrape.catalogue: Films of 1999.csv",
        "scrape.poster_width: 300",
        "dataset.split: Films-of-1999",
        "resize.height: 444",
        "resize.width: 300",
        "networks.pretrained.architecture.input.height: 444",
        "networks.pretrained.architecture.input.width: 300",
        "networks.finetuned.architecture.input.height: 444",
        "networks.finetuned.architecture.input.width: 300",
    }
    first = PARAMS.read_bytes()
    assert command("use", str(project / "Films of 1999.csv")) == 0
    assert PARAMS.read_bytes() == first
    assert "is set to Films of 1999.csv already" in capsys.readouterr().out


def test_without_the_extra_no_poster_is_read(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)  # as Python has it where a package is not to be found
    assert command("use", "Films of 1999.csv") == 0
    assert yaml.safe_load(PARAMS.read_text())["read"] == {"engine": "none"}
    assert "rapidocr is not installed; `uv pip install --editable '.[text]'` installs it" in capsys.readouterr().out


def test_the_sample_takes_all_back(project: Path) -> None:
    assert command("use", "data/sample/MovieGenre.csv") == 0
    assert PARAMS.read_text() == COMMITTED
    assert command("use", "Films of 1999.csv") == 0
    assert command("use", str(project / "data/sample/MovieGenre.csv")) == 0
    assert PARAMS.read_text() == COMMITTED


def test_a_folder_of_another_catalogues_pictures_is_no_source(project: Path) -> None:
    PARAMS.write_text(COMMITTED.replace("source: poster", "source: folder:mine/{id}.jpg"))
    for n in range(1, 121):
        Path("mine").mkdir(exist_ok=True)
        Path(f"mine/tt{n:07d}.jpg").touch()
    assert command("use", "Films of 1999.csv") == 0
    assert yaml.safe_load(PARAMS.read_text())["scrape"]["source"] == "poster"
    PARAMS.write_text(PARAMS.read_text().replace("source: poster", "source: folder:mine/{id}.jpg"))
    assert command("use", "Films of 1999.csv") == 0  # chosen for this catalogue
    assert yaml.safe_load(PARAMS.read_text())["scrape"]["source"] == "folder:mine/{id}.jpg"


def test_columns_of_another_table_are_none_of_a_published_one(project: Path) -> None:
    columns = "{id: imdbId, title: Title, genres: Genre, poster: Poster, page: null}"
    PARAMS.write_text(COMMITTED.replace("columns: null", f"columns: {columns}"))
    assert command("use", "Films of 1999.csv") == 0
    assert yaml.safe_load(PARAMS.read_text())["scrape"]["columns"] is None


def test_other_edits_stay(project: Path) -> None:
    mine = COMMITTED.replace("delay: 0.1", "delay: 0.5  # slowly").replace("  finetuned:", "  tuned:")
    PARAMS.write_text(mine)
    assert command("use", "Films of 1999.csv") == 0
    text = PARAMS.read_text()
    assert "delay: 0.5  # slowly" in text
    assert "input: {height: 334, width: 226, scale: symmetric}" in text  # of a network of one's own
    assert command("use", "data/sample/MovieGenre.csv") == 0
    assert PARAMS.read_text() == mine


def test_a_split_of_other_films_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/splits").mkdir()
    table = Path("data/splits/Films-of-1999.csv")
    for film_id, films in (("tt0000001", 1), ("a-film-of-another-catalogue", 0)):
        table.write_text(f"film_id,split\n{film_id},test\n")
        PARAMS.write_text(COMMITTED)
        assert command("use", "Films of 1999.csv") == 0
        out = capsys.readouterr().out
        assert f"{table} is there: {films} of the catalogue's 120 films are in it, and stay there" in out
        assert ("dataset.split: NAME" in out) is (films == 0)


def test_private_hosts_are_proposed_and_not_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(str(n), "Drama|Comedy", f"http://127.0.0.1:8765/{n}.jpg") for n in range(1, 61)]
    write_catalogue(Path("films.csv"), rows)
    assert command("use", "films.csv") == 0
    sections = yaml.safe_load(PARAMS.read_text())
    assert (sections["scrape"]["catalogue"], sections["scrape"]["private_hosts"]) == ("films.csv", [])
    assert capsys.readouterr().out.endswith("  scrape.private_hosts: ['127.0.0.1:8765']\n")


def test_an_imported_folder_is_the_source_until_another_catalogue_is_used(project: Path) -> None:
    for n in range(60):
        for genre in ("Drama", "Comedy"):
            file = Path("pics", genre, f"{n}.jpg")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(make_picture(n, 16, 24)))
    assert command("import", "pics") == command("use", "data/catalogues/pics.csv") == 0
    scrape = yaml.safe_load(PARAMS.read_text())["scrape"]
    assert (scrape["catalogue"], scrape["source"]) == ("data/catalogues/pics.csv", "folder:pics/**/{id}.*")
    assert command("use", "Films of 1999.csv") == 0
    assert yaml.safe_load(PARAMS.read_text())["scrape"]["source"] == "poster"
    assert command("use", "data/catalogues/pics.csv") == command("use", "data/sample/MovieGenre.csv") == 0
    assert PARAMS.read_text() == COMMITTED


def test_columns_of_another_table_go_when_a_published_one_is_used(project: Path) -> None:
    PARAMS.write_text(
        COMMITTED.replace("columns: null", "columns: {id: f, title: null, genres: g, poster: p, page: null}")
    )
    Path("own.csv").write_text("f,g,p\n" + "".join(f"x{n},Drama|Comedy,https://e.org/{n}.jpg\n" for n in range(60)))
    assert command("use", "own.csv") == 0
    assert yaml.safe_load(PARAMS.read_text())["scrape"]["columns"]["id"] == "f"
    assert command("use", "Films of 1999.csv") == 0
    assert yaml.safe_load(PARAMS.read_text())["scrape"]["columns"] is None


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("delay: 0.1", "delay: fast", "params.yaml: scrape.delay is 'fast'; it should be a valid number"),
        ("resize:\n", "resize: [\n", "params.yaml is not YAML"),
        ("  height: 268\n", "", "params.yaml: resize.height is missing"),
        ("dataset:\n", "data:\n", "params.yaml has no section dataset"),
        (
            "      input: {height: 268, width: 182, scale: symmetric}\n",
            "",
            "has no networks.pretrained.architecture.input",
        ),
        ("min_posters: 50", "min_posters: 999", "two genres need 999 posters each"),
        ("retries: 3", "retries: 3  # d\udce9j\udce0", " is not in UTF-8; save the file in UTF-8"),
    ],
)
def test_what_cannot_be_used_changes_nothing(project: Path, before: str, after: str, message: str) -> None:
    assert before in COMMITTED
    broken = COMMITTED.replace(before, after).encode(errors="surrogateescape")
    PARAMS.write_bytes(broken)
    assert message in str(command("use", "Films of 1999.csv"))
    assert PARAMS.read_bytes() == broken


@pytest.mark.parametrize("file", ["none.csv", "own.csv"])
def test_a_catalogue_that_cannot_be_used_changes_nothing(project: Path, file: str) -> None:
    Path("own.csv").write_text("film,name\n1,2\n")
    assert str(command("use", file)).startswith(f"error: {file}")
    assert PARAMS.read_text() == COMMITTED


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("data/MovieGenre.csv", "MovieGenre"),
        ("title.basics.tsv.gz", "title"),
        ("ml-25m/movies.csv", "ml-25m"),
        ("ml-25m", "ml-25m"),
        ("1999.csv", "films-1999"),
        ("1e3.csv", "films-1e3"),
        ("No.csv", "films-No"),
        ("null.csv", "films-null"),
        ("Été à la mer.csv", "Ete-a-la-mer"),
        ("映画.csv", "films"),
        ("sample.csv", "films-sample"),
        ("-x.csv", "films-x"),
    ],
)
def test_a_split_has_a_name_that_yaml_reads_as_a_text(file: str, name: str) -> None:
    assert catalogue_settings.split_name(Path(file)) == name
    assert yaml.safe_load(name) == name
