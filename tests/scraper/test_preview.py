"""`postergenre catalogue`: what a catalogue holds, and where it cannot be used, the line of params.yaml to change."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from postergenre import params
from scraper import preview, proposed_columns
from scraper.plan import ScrapeParams
from tests.support import ROOT, command, encode, make_picture, write_catalogue

PUBLIC = "https://images.example.org"


def set_scrape(**changes: Any) -> None:
    """Change the section `scrape` of the params.yaml here."""
    sections = params.read()
    sections["scrape"] |= changes
    sections["dataset"]["min_posters"] = 2
    Path("params.yaml").write_text(yaml.safe_dump(sections))


def write_films(*rows: tuple[str, str, str], name: str = "films.csv") -> None:
    """Write a catalogue of these rows and of eight films of two genres."""
    sound = [(str(n), ("Comedy|Drama", "Drama")[n % 2], f"{PUBLIC}/{n}.jpg") for n in range(1, 9)]
    write_catalogue(Path(name), [*sound, *rows])


def lines_of(output: str) -> dict[str, list[str]]:
    """The lines of each subject, by its name, with single spaces."""
    subjects: dict[str, list[str]] = {}
    for line in output.splitlines()[1:]:
        if label := line[2:13].strip():
            subjects[label] = []
        subjects[label or [*subjects][-1]].append(" ".join(line[13:].split()))
    return subjects


def test_what_a_catalogue_holds_is_counted(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_scrape(min_success=0.5, delay=0.5)
    rows = [("1", "Horror", f"{PUBLIC}/1b.jpg"), ("20", "Drama", ""), ("21", "", "https://other.example.org/21.jpg")]
    write_films(*rows, ("x", "Drama", f"{PUBLIC}/x.jpg"), ("y", "Drama", ""), ("23", "Drama", "p"))
    with Path("films.csv").open("ab") as file:
        file.write("24,p,D\xe9j\xe0,,Drama,https://other.example.org/24.jpg\n25,too,short\n".encode("latin-1"))
    assert command("catalogue", "films.csv") == 0
    subjects = lines_of(capsys.readouterr().out)
    assert subjects == {
        "format": [
            "MovieGenre.csv: CSV with commas, Western European (cp1252)",
            "by its columns imdbId, Imdb Link, Title, Genre, Poster",
        ],
        "rows": ["16"],
        "films": [
            "12, 10 of them with a poster to look for, 9 of these with a genre",
            "1 of them have rows with different genres, which are put together",
        ],
        "genres": ["3, 2 with 2 films or more (dataset.min_posters)", "Drama 9 Comedy 4", "too rare: Horror 1"],
        "posters": [
            "from 2 hosts, 4 s or more: scrape.delay is 0.5 s, scrape.concurrency 4",
            "8 images.example.org 4 s",
            "2 other.example.org 1 s",
            "1 nowhere the links are no URLs, the first is 'p'",
        ],
        "set aside": [
            "1 duplicate: a film's further rows",
            "1 no-link: films without a link that scrape.source could ask",
        ],
        "bad rows": [
            "3, which count against scrape.min_success; of each kind the first:",
            "2 bad-id, line 13: 'x' is not an IMDb id such as 84058 or tt0084058",
            "1 bad-row, line 17: it has 3 fields and the header 6",
        ],
    }


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Deja", "ASCII"),
        ("D\u00e9j\u00e0", "UTF-8"),
        (
            "D\u00e9j\u00e0,,Drama,x\n9,p,D\udce9",
            "UTF-8, but Western European (cp1252) in 1 line, the first is line 11",
        ),
    ],
)
def test_the_encoding_is_told(in_project: Path, capsys: pytest.CaptureFixture[str], text: str, encoding: str) -> None:
    set_scrape()
    write_films()
    with Path("films.csv").open("ab") as file:
        file.write(f"30,p,{text},,Drama,{PUBLIC}/30.jpg\n".encode(errors="surrogateescape"))
    assert command("catalogue", "films.csv") == 0
    assert lines_of(capsys.readouterr().out)["format"][0] == f"MovieGenre.csv: CSV with commas, {encoding}"


def test_the_sample_can_be_used_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert command("catalogue", "data/sample/MovieGenre.csv") == 0
    assert "without delay, for it is this machine; the crawl serves it itself" in capsys.readouterr().out


def refuse(*change: str) -> str:
    """The message of a catalogue that cannot be used; it ends with the line of params.yaml to change."""
    message = str(command("catalogue", "films.csv"))
    assert message.startswith("error: ")
    assert message.endswith("in params.yaml:\n    " + change[0] if change else message)
    return message


def test_columns_are_proposed_by_the_header(in_project: Path) -> None:
    set_scrape()
    Path("films.csv").write_text(f"film,name,tags,picture\na,A,drama,{PUBLIC}/a.jpg\n")
    refuse("scrape.columns: {id: film, title: name, genres: tags, poster: picture, page: null}")
    columns = {"id": "film", "title": "name", "genres": "tags", "poster": "picture", "page": None}
    set_scrape(columns=columns)
    rows = [f"{n},F,{('drama', 'comedy')[n % 2]},{PUBLIC}/{n}.jpg" for n in range(4)]
    Path("films.csv").write_text("\n".join(["film,name,tags,picture", *rows, ""]))
    assert command("catalogue", "films.csv") == 0
    write_films()
    assert "scrape.columns.id names film" in refuse("scrape.columns: null")


@pytest.mark.parametrize(
    ("header", "proposed"),
    [
        (["Film ID", "Movie Title", "Genre(s)", "Poster URL", "URL"], "Film ID|Movie Title|Genre(s)|Poster URL|URL"),
        (["title", "movie", "listed_in", "img"], "movie|title|listed_in|img|None"),
        (["id", "film", "movie_genres"], "id|film|movie_genres|None|None"),
        (["a", "b"], "None|None|None|None|None"),
        (["Const", "Title", "URL", "Genres"], "Const|Title|Genres|None|URL"),
        (["id", "genre1", "genre2"], "id|None|None|None|None"),
        (["id", "Genre", "Genre 2"], "id|None|None|None|None"),
        (["id", "main_genre", "second_genre"], "id|None|None|None|None"),
        (["id", "genre_ids", "genres"], "id|None|genres|None|None"),
    ],
)
def test_columns_are_chosen_by_their_names(header: list[str], proposed: str) -> None:
    assert "|".join(map(str, proposed_columns.choose(header).values())) == proposed


def test_genres_in_several_columns_are_not_taken_from_one_of_them(in_project: Path) -> None:
    set_scrape()
    Path("films.csv").write_text(f"film,genre1,genre2,picture\na,drama,war,{PUBLIC}/a.jpg\n")
    message = refuse("scrape.columns: {id: film, title: null, genres: COLUMN, poster: picture, page: null}")
    assert "; put the genres of genre1, genre2 into one column, such as A|B; " in message


def test_a_proposed_line_at_the_top_of_the_file_is_refused(in_project: Path) -> None:
    set_scrape()
    write_films()
    with Path("params.yaml").open("a") as file:
        file.write("scrape.columns: {id: film, title: null, genres: tags, poster: null, page: null}\n")
    assert "params.yaml has scrape.columns at its top; write columns in the section scrape there" in refuse()


def test_a_folder_of_pictures_is_imported_first(in_project: Path) -> None:
    Path("pics/Drama").mkdir(parents=True)
    expected = "pics is a folder; `postergenre import` makes a catalogue of the pictures in a folder"
    for name in ("catalogue", "use"):
        assert expected in str(command(name, "pics"))


def test_the_genres_are_counted_where_no_poster_can_come(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_scrape()
    write_catalogue(Path("films.csv"), [(str(n), ("Drama", "War|Drama")[n % 2], "") for n in range(1, 5)])
    refuse("scrape.source: page")
    assert lines_of(capsys.readouterr().out)["genres"][1:] == ["Drama 4 War 2"]


def test_a_catalogue_of_bad_rows_is_refused_by_the_first(in_project: Path) -> None:
    set_scrape()
    write_catalogue(Path("films.csv"), [(f"x{n}", "Drama", f"{PUBLIC}/{n}.jpg") for n in range(4)])
    assert refuse().startswith("error: no row of films.csv can be used; line 2: 'x0' is not an IMDb id")


def test_links_that_may_be_files_lead_to_the_import(in_project: Path) -> None:
    set_scrape()
    Path("pics").mkdir()
    for n in range(4):
        Path(f"pics/{n}.jpg").write_bytes(encode(make_picture(n)))
    rows = [f"{n + 7},{('Drama', 'War')[n % 2]},pics/{n}.jpg\n" for n in range(4)]
    Path("films.csv").write_text("".join(["film,genres,poster\n", *rows]))
    set_scrape(columns={"id": "film", "title": None, "genres": "genres", "poster": "poster", "page": None})
    assert "if they name files of yours, `postergenre import FOLDER --labels TABLE` makes" in refuse()
    assert command("import", "pics", "--labels", "films.csv") == 0
    assert Path("data/catalogues/pics.csv").read_text().splitlines()[1] == "0,,Drama,folder:pics/**/{id}.*"


def test_private_hosts_are_named(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_scrape(private_hosts=["10.0.0.5"])
    write_catalogue(
        Path("films.csv"),
        [
            (str(n), ("Drama", "Comedy")[n % 2], f"http://{h}/{n}.jpg")
            for n, h in enumerate(["[::1]:80", "127.0.0.1:8765"] * 4, 1)
        ]
        + [("99", "Drama", "http://10.0.0.5:99/a.jpg")],
    )
    message = refuse("scrape.private_hosts: [10.0.0.5, '[::1]:80', '127.0.0.1:8765']")
    assert "8 of 9 films have links to hosts of this machine or its network" in message
    assert "127.0.0.1:8765 without delay, for it is this machine; private, and not listed" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_few_private_links_are_no_reason_to_refuse(in_project: Path) -> None:
    set_scrape()
    write_films(("99", "Drama", "http://127.0.0.1:8765/a.jpg"))
    assert command("catalogue", "films.csv") == 0


def test_a_source_is_proposed_where_there_is_no_link(in_project: Path) -> None:
    set_scrape()
    write_catalogue(Path("films.csv"), [(str(n), "Drama", "") for n in range(4)])
    refuse("scrape.source: page")
    Path("films.csv").write_text("Id,Genre\ntt0000001,\"['Drama', 'Comedy']\"\n")
    refuse("scrape.source: folder:PATH/{id}.*")
    set_scrape(source="folder:mine/{id}.*")
    assert "mine is no folder" in refuse("scrape.source: folder:PATH/{id}.*")
    Path("mine").mkdir()
    assert "has a file for none of 1 films" in refuse("scrape.source: folder:PATH/{id}.*")


def test_files_in_a_folder_are_counted(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_scrape(source=["folder:mine/{id}.*", "poster"])
    write_films()
    Path("mine").mkdir()
    Path("mine/tt0000003.jpg").write_bytes(encode(make_picture(3)))
    assert command("catalogue", "films.csv") == 0
    posters = lines_of(capsys.readouterr().out)["posters"]
    assert posters[1:] == ["7 images.example.org 1 s", "1 folder:mine/{id}.* files that are there"]


def test_a_folder_is_listed_once_for_all_films(in_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_project / "mine").mkdir()
    write_films(*((f"film{number}", "Drama", "") for number in range(5)))
    set_scrape(source="folder:mine/{id}.*")
    listed: list[Path] = []
    glob = Path.glob

    def spied(self: Path, pattern: str) -> Any:
        listed.append(self)
        return glob(self, pattern)

    monkeypatch.setattr(Path, "glob", spied)
    preview.read(Path("films.csv"), params.load("scrape", ScrapeParams), 1)
    assert len(listed) == 1


def test_an_imported_catalogue_names_its_folder(in_project: Path) -> None:
    set_scrape()
    source = "folder:pics/**/{id}.*"
    Path("films.csv").write_text(f"film_id,title,genres,source\na,,Drama,{source}\nb,,War,{source}\n")
    Path("other").mkdir()
    for sources in ("poster", "page", "folder:none/{id}.*", "folder:other/{id}.JPG"):
        set_scrape(source=sources)
        refuse(f"scrape.source: {source}")


def test_rows_with_another_title_are_counted(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_scrape()
    write_films()
    with Path("films.csv").open("a") as file:
        file.write(f"1,p,Heat,,Drama,{PUBLIC}/1.jpg\n1,p,film 1,,Drama,{PUBLIC}/1.jpg\n")
    assert command("catalogue", "films.csv") == 0
    assert lines_of(capsys.readouterr().out)["films"][1:] == [
        "rows with another title than their film, perhaps other films: 1; first in row 9",
    ]


def test_two_genres_need_enough_films(in_project: Path) -> None:
    set_scrape()
    sections = params.read()
    sections["dataset"]["min_posters"] = 7
    Path("params.yaml").write_text(yaml.safe_dump(sections))
    write_films()
    assert "two genres need 7 posters each (dataset.min_posters): Drama has 8, Comedy has 4" in refuse(
        "dataset.min_posters: 4"
    )
    write_catalogue(Path("films.csv"), [(str(n), "Drama", f"{PUBLIC}/{n}.jpg") for n in range(1, 9)])
    assert refuse().endswith("Drama has 8, and no other genre is there")


def test_too_many_bad_rows_cannot_reach_min_success(in_project: Path) -> None:
    set_scrape()
    write_films(*((f"x{n}", "Drama", "") for n in range(4)), ("99", "Drama", "p"))
    message = refuse("scrape.min_success: 0.61")
    assert "at most 8 of 13 posters can come (4 rows are faulty, 1 links are no URLs, such as 'p')" in message


def test_a_table_that_cannot_be_read_on_is_refused_by_its_line(in_project: Path) -> None:
    set_scrape()
    write_films()
    with Path("films.csv").open("a") as file:
        file.write('40,p,"A" b,,Drama,x\n')
    assert "films.csv, line 10: a quoted field goes on" in refuse()
    Path("films.csv").unlink()
    assert "films.csv is not a file" in refuse()


def test_a_page_is_asked_with_time_for_each(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_scrape(source="page", delay=3600.0)
    Path("films.csv").write_text(
        "imdbId,Imdb Link,Title,IMDB Score,Genre,Poster\n"
        + "".join(f"{n},https://p.example.org/{n},F,,Drama|Comedy,\n" for n in range(1, 4))
    )
    assert command("catalogue", "films.csv") == 0
    assert lines_of(capsys.readouterr().out)["posters"][1] == "3 p.example.org 3 h 0 min, then a picture for each page"


def test_reading_asks_no_host_and_writes_nothing(in_project: Path) -> None:
    set_scrape()
    write_films()
    before = sorted(Path().iterdir())
    section = params.load("scrape", ScrapeParams)
    assert not preview.faults(preview.read(Path("films.csv"), section, 2))
    assert sorted(Path().iterdir()) == before
