"""`postergenre import`: a folder of pictures becomes a catalogue that the reader and the scrape stage take."""

import re
import shutil
from pathlib import Path

import pytest

from postergenre import params
from postergenre.data import catalogue
from scraper import picture_folder, plan
from scraper.downloads import open_downloads
from scraper.plan import ManifestRows, Plan
from tests.support import command, encode, make_picture

FILE = Path("data/catalogues/pics.csv")
SOURCE = "folder:pics/**/{id}.*"


def put(name: str, seed: int = 1) -> Path:
    """Put a picture into the folder."""
    file = Path("pics", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encode(make_picture(seed)))
    return file


def read_films() -> dict[str, str]:
    """The genres of the catalogue's films, by id."""
    return {film.film_id: "|".join(film.genres) for film in catalogue.read(FILE)}


def test_subfolders_are_genres_and_a_film_in_two_has_both(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("Drama/a.jpg"), put("science fiction/a.jpg"), put("drama/b.png", 2), put("Comedy/tt0084058.jpg", 3)
    put("c.webp", 4), put("Drama/._a.jpg", 9), put(".cache/a.jpg", 9)
    assert command("import", "pics") == 0
    assert read_films() == {"a": "Drama|Sci-Fi", "b": "Drama", "c": "", "tt0084058": "Comedy"}
    assert capsys.readouterr().out.splitlines() == [
        f"{FILE} is written",
        "  4 films, 3 of them with a genre; 3 genres",
        "  films without a genre, because their pictures lie in no subfolder: 1, the first is c.webp",
        f"`postergenre use {FILE}` writes these into params.yaml:",
        f"  scrape.catalogue: {FILE}",
        f"  scrape.source: {SOURCE}",
    ]


def test_the_scrape_stage_finds_each_films_picture(in_project: Path) -> None:
    put("Drama/a.jpg"), put("Comedy/a.jpg"), put("Comedy/b.jpg", 2), put("Comedy/deep.jpg", 3)
    assert command("import", "pics") == 0
    section = params.load("scrape", plan.ScrapeParams).model_dump() | {"source": SOURCE, "catalogue": str(FILE)}
    films = Plan.read(FILE, params.parse("scrape", plan.ScrapeParams, section))
    with open_downloads(Path("downloads")) as downloads:
        assert list(films.wanted(downloads)) == []
        rows = {row.film_id: (row.status, row.genres, row.url) for row in ManifestRows(films, downloads)}
    assert rows == {
        "a": ("ok", "Comedy|Drama", "folder:pics/Comedy/a.jpg"),
        "b": ("ok", "Comedy", "folder:pics/Comedy/b.jpg"),
        "deep": ("ok", "Comedy", "folder:pics/Comedy/deep.jpg"),
    }


def test_what_is_left_out_is_counted_with_an_example(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("Drama/a.jpg"), put("Drama/my film (1999).jpg"), put("Drama/tt5.jpg"), put("Drama/é.jpg")
    put("Drama/1.jpg", 1), put("Comedy/1.jpg", 2), put("Drama/Thumbs.db"), put("notes.txt")
    assert command("import", "pics") == 0
    assert read_films() == {"a": "Drama"}
    assert capsys.readouterr().out.splitlines()[2:5] == [
        "  films left out, because several pictures have their name and differ: 1, the first is Comedy/1.jpg and "
        "Drama/1.jpg",
        "  pictures left out, because their names are no ids (1 to 64 of A-Z a-z 0-9 . _ -): 3, the first is "
        "Drama/my film (1999).jpg",
        "  .txt files passed over, because posters are JPEG, PNG, WebP, GIF or BMP: 1, the first is notes.txt",
    ]


def test_a_picture_that_a_crawl_would_refuse_is_no_film(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("Drama/a.jpg"), put("scans/b.tif", 2), put("scans/c.TIF", 3), put("scans/d", 4)
    whole = put("Drama/half.jpg", 5).read_bytes()
    Path("pics/Drama/half.jpg").write_bytes(whole[: len(whole) // 2])
    Path("pics/Drama/page.png").write_text("<html>")
    assert command("import", "pics") == 0
    assert read_films() == {"a": "Drama"}
    out = capsys.readouterr().out
    assert "because a crawl would refuse them: 2, the first is Drama/half.jpg: it is damaged" in out
    assert ".tif files passed over, because posters are JPEG, PNG, WebP, GIF or BMP: 2, the first is scans/b.tif" in out
    assert "files without a suffix passed over, because posters are JPEG" in out
    Path("pics/Drama/a.jpg").unlink()
    assert "pics has no picture" in (message := str(command("import", "pics")))
    assert "2, the first is Drama/half.jpg: it is damaged" in message


def test_links_are_told_by_name(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("Drama/a.jpg"), put("Drama/b.jpg", 2)
    Path("away").mkdir()
    shutil.copy("pics/Drama/b.jpg", "away/c.jpg")
    Path("pics/Comedy").symlink_to("../away")
    Path("pics/Drama/in.jpg").symlink_to("b.jpg")
    for name, target in (("lost", "nowhere.jpg"), ("loop", "loop.jpg"), ("out", Path("away/c.jpg").resolve())):
        Path(f"pics/Drama/{name}.jpg").symlink_to(target)
    assert command("import", "pics") == 0
    assert read_films() == {"a": "Drama", "b": "Drama", "in": "Drama"}
    out = capsys.readouterr().out
    assert "because they are links; copy what they lead to: 1, the first is Comedy" in out
    assert "because a crawl would refuse them: 3, the first is Drama/loop.jpg: its link leads nowhere" in out
    for name in ("a", "b", "loop", "lost", "in"):
        Path(f"pics/Drama/{name}.jpg").unlink()
    assert "the first is Drama/out.jpg: it leads out of the folder" in str(command("import", "pics"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.jpg"], "pics has no subfolders with pictures, which would be genres; give them with --labels"),
        (["train/Drama/a.jpg"], "pics/train/Drama/a.jpg lies 2 folders deep.* import pics/train, or give the genres"),
        (
            ["Drama/notes.txt"],
            "pics has no picture .* that can be a film's; .txt files passed over.* is Drama/notes.txt",
        ),
        (["1990s/a.jpg"], ""),
        (["2001/a.jpg", "Drama/b.jpg"], "pics/2001 should be named as a genre"),
        (["Drama/b.jpg", "Comedy, Drama/a.jpg", "A|B/c.jpg"], "should be named as a genre"),
        (["unknown/a.jpg"], "no film of pics has a genre"),
        (["no genre/a.jpg", "No_Genre/b.jpg"], "no film .* because their subfolder's name stands for none: 2"),
        (["no-genres-listed/a.jpg", "N-A/b.jpg"], "no film .* because their subfolder's name stands for none: 2"),
    ],
)
def test_a_folder_that_tells_no_genres_is_refused(in_project: Path, names: list[str], message: str) -> None:
    for seed, name in enumerate(names):
        put(name, seed)
    ended = str(command("import", "pics"))
    if message:
        assert re.search(message, ended), ended
        assert not FILE.exists()
    else:
        assert ended == "0"


def test_a_folder_may_be_named_in_any_notation(in_project: Path) -> None:
    put("Comedy, Drama/a.jpg", 1), put("Horror/b.jpg", 2)
    assert command("import", "pics") == 0
    assert read_films() == {"a": "Comedy|Drama", "b": "Horror"}


@pytest.mark.parametrize(
    "table",
    [
        'file,genres,title\nx/a.jpg,"Drama, Comedy",A\nb.JPG,Drama,\nc,(no genres listed),\n',
        "film\ttags\tname\na\t['Drama', 'Comedy']\tA\nb\t['Drama']\t\n",
        "id;genre;title\na;drama;A\na;comedy;A\nb;DRAMA;\n",
        '{"id": "a", "genres": [{"name": "Drama"}, {"name": "Comedy"}], "title": "A"}\n'
        '{"id": "b", "genres": ["Drama"]}\n',
    ],
)
def test_a_table_has_the_labels(in_project: Path, table: str) -> None:
    for seed, name in enumerate(["x/a.jpg", "x/y/b.png", "c.jpg"]):
        put(name, seed)
    Path("labels").write_text(table)
    assert command("import", "pics", "--labels", "labels") == 0
    assert read_films() == {"a": "Comedy|Drama", "b": "Drama", "c": ""}
    assert [film.title for film in catalogue.read(FILE)] == ["A", "", ""]


def test_a_number_of_the_row_is_no_film(in_project: Path) -> None:
    """A row's number looks like an id, and the pictures are called by numbers too."""
    put("1.jpg", 1), put("2.jpg", 2), put("3.jpg", 3)
    for column, suffix in (("file", ".jpg"), ("movieId", "")):
        rows = [f"{n},{n % 3 + 1}{suffix},{genre}" for n, genre in enumerate(("Drama", "War", "Horror"), 1)]
        Path("labels.csv").write_text("\n".join([f"id,{column},genres", *rows]) + "\n")
        if suffix:
            assert command("import", "pics", "--labels", "labels.csv") == 0
            assert read_films() == {"2": "Drama", "3": "War", "1": "Horror"}
        else:
            message = str(command("import", "pics", "--labels", "labels.csv"))
            assert "the columns id and movieId both name pictures of the folder" in message
    Path("labels.csv").write_text("id,title,genres\n1,1,Drama\n2,2,War\n3,3,Horror\n")  # which say the same
    assert command("import", "pics", "--labels", "labels.csv") == 0


def test_labels_have_published_ids(in_project: Path) -> None:
    put("tt0000007.jpg", 1), put("tt0000008.jpg", 2)
    Path("labels.csv").write_text("Id,Genre,Drama\ntt0000007,\"['Drama', 'Comedy']\",1\ntt0000008,['Drama'],1\n")
    assert command("import", "pics", "--labels", "labels.csv") == 0
    Path("labels.csv").write_text("imdb_id,genres\n7,Drama|Comedy\n8,Drama\n")
    FILE.unlink()
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert read_films() == {"tt0000007": "Comedy|Drama", "tt0000008": "Drama"}


def test_published_ids_are_no_pictures_names(in_project: Path) -> None:
    """Such as OMDb's columns with the names of one's own pictures, as ids or beside the ids."""
    put("alien.jpg", 1), put("x/heat.jpg", 2)
    Path("labels.csv").write_text("imdbID,Title,Genre\nalien,Alien,Horror\nheat,Heat,Crime\n")
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert read_films() == {"alien": "Horror", "heat": "Crime"}
    rows = [
        f"tt{n},F,{genre},https://e.org/p{n}.jpg,{name}.jpg"
        for n, (genre, name) in enumerate((("War", "alien"), ("Drama", "heat")), 1)
    ]
    Path("labels.csv").write_text("\n".join(["imdbID,Title,Genre,Poster,picture", *rows, ""]))
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert read_films() == {"alien": "War", "heat": "Drama"}


def test_the_links_of_posters_name_no_pictures(in_project: Path) -> None:
    put("a.jpg", 1), put("b.jpg", 2)
    Path("labels.csv").write_text("id,tags,poster\na,War,https://e.org/1.jpg\nb,Drama,https://e.org/2.jpg\n")
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert read_films() == {"a": "War", "b": "Drama"}


def test_labels_in_several_columns_are_not_taken_from_one_of_them(in_project: Path) -> None:
    put("a.jpg", 1)
    Path("labels.csv").write_text("file,genre1,genre2\na.jpg,War,Drama\n")
    message = str(command("import", "pics", "--labels", "labels.csv"))
    assert message.endswith("one named genres; put the genres of genre1, genre2 into one column, such as A|B")


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("new/a.jpg", True),
        ("a.jpg", True),
        ("/a.jpg", True),
        ("./new/a.jpg", True),
        ("pics/new/a.jpg", True),
        ("C:\\data\\new\\a.jpg", True),
        ("/data/pics/new/a.jpg", True),
        ("old/a.jpg", False),
        ("new/old/a.jpg", False),
        ("pics/a.jpg", False),
        ("../a", False),
    ],
)
def test_a_path_in_the_labels_names_its_folders(
    in_project: Path, capsys: pytest.CaptureFixture[str], path: str, fits: bool
) -> None:
    put("new/a.jpg", 1), put("new/b.jpg", 2)
    Path("labels.csv").write_text(f"file,genres\nb.jpg,Drama\n{path},War\n")
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert read_films() == {"a": "War" if fits else "", "b": "Drama"}
    assert ("line 3: " in capsys.readouterr().out) is not fits


def test_of_paths_that_fit_one_picture_none_is_chosen(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("a.jpg", 1), put("x/b.jpg", 2), put("y/b.jpg", 2), put("y/c.jpg", 3)
    rows = ["old/a.jpg,War", "new/a.jpg,Drama", "x/b.jpg,War", "y/b.jpg,Drama", "c.jpg,War", "y/c.jpg,War"]
    Path("labels.csv").write_text("\n".join(["file,genres", *rows, ""]))
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert read_films() == {"a": "", "b": "Drama|War", "c": "War"}
    assert (
        "rows of labels.csv left out: 2, the first is line 2: old/a.jpg and another row's path both fit a.jpg"
        in capsys.readouterr().out
    )


def test_rows_with_another_title_are_told(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("a.jpg", 1), put("b.jpg", 2)
    Path("labels.csv").write_text("id,title,genres\na,Heat,Crime\na,Alien,Horror\nb,Big,Drama\nb,,War\n")
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert "another title for their film, put together: 1, the first is a, line 3: 'Alien' after 'Heat'" in (
        capsys.readouterr().out
    )


def test_labels_that_are_missing_are_named(in_project: Path) -> None:
    put("a.jpg")
    for name in ("none.csv", "pics"):
        message = str(command("import", "pics", "--labels", name))
        assert message == f"error: {name} is not a file; --labels should name a table of pictures and their genres"


def test_rows_and_pictures_that_do_not_meet_are_counted(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("a.jpg", 1), put("b.jpg", 2)
    Path("labels.csv").write_text("id,genres\na,Drama|Comedy\nz,Drama\nb b,Drama\nq,Dra;ma|x\n")
    assert command("import", "pics", "--labels", "labels.csv") == 0
    assert read_films() == {"a": "Comedy|Drama", "b": ""}
    out = capsys.readouterr().out
    assert "rows of labels.csv that name no picture: 1, the first is z, line 3" in out
    assert "rows of labels.csv left out: 2, the first is line 4: 'b b' is not an id" in out
    assert "films without a genre in labels.csv: 1, the first is b" in out


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "id,genres\nz,Drama\n",
            "names a picture; its first film is 'z' and the first picture a.jpg",
        ),
        ("x,y\n1,2\n", "labels.csv has the columns x, y; it should have one named id or file and one named genres"),
        ("id,genres\na,\n", "no film of pics has a genre"),
        ("", "labels.csv is empty"),
        ("imdb_id,genres\na b,Drama\n", "no row of labels.csv can be read; rows of labels.csv left out: 1"),
    ],
)
def test_labels_that_give_no_genres_are_refused(in_project: Path, table: str, message: str) -> None:
    put("a.jpg")
    Path("labels.csv").write_text(table)
    assert message in str(command("import", "pics", "--labels", "labels.csv"))


def test_a_catalogue_is_replaced_by_its_own_folder_alone(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("Drama/a.jpg"), put("Comedy/b.jpg", 2)
    assert command("import", "pics") == command("import", "pics/") == 0
    assert capsys.readouterr().out.count(f"{FILE} is unchanged") == 1
    put("Comedy/c.jpg", 3)
    assert command("import", "pics") == 0
    assert f"{FILE} is replaced, for the folder or its labels have changed" in capsys.readouterr().out
    before = FILE.read_bytes()
    shutil.copytree("pics", "other/pics")
    assert "is there and was not made of this folder" in str(command("import", "other/pics"))
    assert FILE.read_bytes() == before
    FILE.write_text("mine")
    assert "is there and was not made of this folder" in str(command("import", "pics"))
    assert FILE.read_text() == "mine"


def test_a_folder_has_a_name_that_a_source_can_have(in_project: Path) -> None:
    assert "none is no folder" in str(command("import", "none"))
    Path("a{b}").mkdir()
    Path("a\\b").mkdir()
    for name in ("a{b}", "a\\b"):
        assert "has {, }, * or \\ in its path, or ~ at its start; rename it" in str(command("import", name))


def test_only_an_imported_catalogue_names_a_source(in_project: Path) -> None:
    Path("a.csv").write_text("film_id,title,genres,source\na,,Drama,http://127.0.0.1/{id}\n")
    assert picture_folder.read_source(Path("a.csv")) == ""
    assert picture_folder.read_source(Path("none.csv")) == ""
    Path("a.csv").write_text(f"film_id,title,genres,source\na,,Drama,{SOURCE}\n")
    assert picture_folder.read_source(Path("a.csv")) == SOURCE
