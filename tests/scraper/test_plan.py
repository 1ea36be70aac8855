"""What a catalogue asks for: films with several rows, and the sources of each film."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from postergenre import params
from postergenre.data.catalogue import Film
from postergenre.data.manifest import Row
from postergenre.errors import InputError
from scraper import plan, summary
from scraper.downloads import open_downloads
from scraper.tmdb import Tmdb
from tests.support import ROOT


def make_params(**changes: Any) -> plan.ScrapeParams:
    section = yaml.safe_load((ROOT / "params.yaml").read_text())["scrape"] | changes
    return params.parse("scrape", plan.ScrapeParams, section)


def read_plan(folder: Path, *rows: str) -> plan.Plan:
    """The plan of a table of one's own; its rows are id, genres, poster."""
    file = folder / "films.csv"
    file.write_text("\n".join(["film,tags,poster", *rows]) + "\n")
    columns = {"id": "film", "title": None, "genres": "tags", "poster": "poster", "page": None}
    return plan.Plan.read(file, make_params(columns=columns))


def test_a_row_per_genre_makes_one_film_of_all_its_genres(tmp_path: Path) -> None:
    films = read_plan(
        tmp_path, "a,Drama,", "b,War,l", "a,Comedy,l", "a,Drama,l", "A,Horror,l", "b,War,l", "../x,Drama,l"
    )
    assert films.repeats == {1: 3, 4: 3, 6: 2}
    assert films.merged == {3: ("Comedy", "Drama")}


def test_the_manifest_has_all_genres_where_the_film_stands(tmp_path: Path) -> None:
    films = read_plan(tmp_path, "a,Drama,l", "a,Comedy,l", "b,War,")
    with open_downloads(tmp_path / "downloads") as downloads:
        rows = list(plan.ManifestRows(films, downloads))
    assert [(row.genres, row.status, row.reason) for row in rows] == [
        ("Comedy|Drama", "failed", "not asked yet"),
        ("Comedy", "duplicate", "row 1 has the film"),
        ("War", "no-link", "the catalogue gives no link"),
    ]


def test_rows_of_one_id_with_another_title_are_told(tmp_path: Path) -> None:
    file = tmp_path / "films.csv"
    titles = [("a", "Heat"), ("a", "HEAT"), ("a", "Alien"), ("b", ""), ("b", "Big"), ("b", "Bird"), ("c", "Big")]
    file.write_text("film,name,tags\n" + "".join(f"{film_id},{title},War\n" for film_id, title in titles))
    columns = {"id": "film", "title": "name", "genres": "tags", "poster": None, "page": None}
    films = plan.Plan.read(file, make_params(columns=columns))
    assert films.retitled == {3, 6}
    with open_downloads(tmp_path / "downloads") as downloads:
        rows = list(plan.ManifestRows(films, downloads))
    assert [row.reason for row in rows[1:3]] == ["row 1 has the film", "row 1 has the film, by another title"]
    assert summary.summarize(rows, retitled=films.retitled).as_json()["reasons"] == [
        "2 rows have another title than their film, and may be other films: a in row 3 is 'Alien', b in row 6 is 'Bird'"
    ]


def test_a_row_that_is_refused_stands_for_no_film(tmp_path: Path) -> None:
    films = read_plan(tmp_path, "a,7.5,l", "a,Drama,l", "b,War,l,more", "b,War,l")
    assert films.repeats == {}


@pytest.mark.parametrize("pair", [("tt0000005", "tmdb5"), ("5", "tmdb5"), ("x1", "X1"), ("1", "01"), ("a.b", "a-b")])
def test_different_ids_are_different_films(tmp_path: Path, pair: tuple[str, str]) -> None:
    films = read_plan(tmp_path, *(f"{film_id},Drama,l" for film_id in (*pair, *pair)))
    assert films.repeats == {3: 1, 4: 2}
    assert films.merged == {}


def test_the_summary_names_films_whose_rows_differ() -> None:
    rows = [Row(n, f"f{n}", "", "Comedy|Drama", "ok") for n in range(1, 6)]
    counts = summary.summarize(rows, merged={1, 2, 4, 5})
    assert counts.as_json()["reasons"] == [
        "4 films have rows with different genres, put together: "
        "f1 has Comedy|Drama, f2 has Comedy|Drama, f4 has Comedy|Drama, ..."
    ]


def test_faulty_rows_count_against_min_success_and_their_first_reason_is_shown() -> None:
    rows = [Row(n, f"f{n}", "", "", "ok") for n in range(6)]
    rows += [Row(n, "", "", "", "bad-id", f"line {n}: {n!r} is no id") for n in (7, 8)]
    rows += [
        Row(9, "", "", "", "bad-row", "line 9: it has 2 fields"),
        Row(10, "f10", "", "", "no-film", "its type is x"),
    ]
    counts = summary.summarize(rows)
    assert counts.success == pytest.approx(6 / 9)
    assert counts.as_json()["reasons"] == ["2 bad-id; line 7: 7 is no id", "1 bad-row; line 9: it has 2 fields"]
    summary.check(counts, 0.6, {})
    with pytest.raises(
        InputError, match=r"66\.7% of 9 posters.*most often: bad-id, first line 7: 7 is no id \(2 times\)"
    ):
        summary.check(counts, 0.7, {})


def test_where_no_row_is_sound_the_first_reason_is_shown() -> None:
    counts = summary.summarize([Row(1, "", "", "", "bad-row", "line 2: it has 7 fields and the header 6")])
    with pytest.raises(
        InputError, match=r"none of the catalogue's 1 rows .*; 1 bad-row, first line 2: it has 7 fields"
    ):
        summary.check(counts, 0.0, {})


@pytest.mark.parametrize(
    ("film", "url"),
    [
        (Film(1, "tt0133093", "", (), "", "", tmdb_id=603), "https://api.themoviedb.org/3/movie/603#w342"),
        (Film(1, "tmdb603", "", (), "", "", tmdb_id=603), "https://api.themoviedb.org/3/movie/603#w342"),
        (
            Film(1, "tt0133093", "", (), "", ""),
            "https://api.themoviedb.org/3/find/tt0133093?external_source=imdb_id#w342",
        ),
    ],
)
def test_tmdb_is_asked_by_its_own_id_where_the_film_has_one(film: Film, url: str) -> None:
    assert [source.url for source in plan.sources(film, make_params(source="tmdb", poster_width=300))] == [url]


def test_tmdb_cannot_know_other_ids() -> None:
    assert plan.sources(Film(1, "603", "", (), "", ""), make_params(source="tmdb", poster_width=300)) == []


def test_a_poster_path_is_completed_by_tmdbs_host_of_pictures() -> None:
    film = Film(1, "tmdb603", "", (), "", "/rhIRbceoE9lR4veEXuwCC2wARtG.jpg")
    for width, size in ((None, "w342"), (160, "w185"), ("original", "original")):
        params = make_params(poster_width=width)
        (source,) = plan.sources(film, params)
        assert source.url == f"https://image.tmdb.org/t/p/{size}/rhIRbceoE9lR4veEXuwCC2wARtG.jpg"
        tmdb = Tmdb(params.tmdb, params.sizes)
        assert tmdb.poster_link(b'{"id": 603, "poster_path": "/a.jpg"}').endswith(f"/t/p/{size}/a.jpg")
        assert tmdb.poster_link(b'{"id": 603, "poster_path": null}') == ""


@pytest.mark.parametrize("name", ["", "A|B", " A", "A "])
def test_a_genres_name_must_fit_the_manifest(name: str) -> None:
    with pytest.raises(InputError, match=r"scrape\.genre_names"):
        make_params(genre_names={"Spiel": name})
