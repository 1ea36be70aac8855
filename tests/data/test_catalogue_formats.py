"""Each format with rows as its publisher documents them."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from postergenre import params
from postergenre.data import catalogue
from postergenre.data.catalogue import Catalogue, Film
from postergenre.data.catalogue_formats import Columns
from postergenre.errors import InputError

TITLE_BASICS = """\
tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres
tt0000001\tshort\tCarmencita\tCarmencita\t0\t1894\t\\N\t1\tDocumentary,Short
tt0000502\tmovie\t"Bohemios\tBohemios\t0\t1905\t\\N\t100\t\\N
tt0041038\ttvSeries\tThe Lone Ranger\tThe Lone Ranger\t0\t1949\t1957\t30\tAction,Adventure,Drama
"""
OMDB = """\
Title,Year,Rated,Released,Genre,Director,Plot,Poster,imdbRating,imdbID,Type
Guardians of the Galaxy Vol. 2,2017,PG-13,05 May 2017,"Action, Adventure, Comedy",James Gunn,"The Guardians, again.",\
https://m.media-amazon.com/images/M/MV5B._V1_SX300.jpg,7.6,tt3896198,movie
Nothing,2003,N/A,N/A,N/A,N/A,N/A,N/A,N/A,tt0298482,movie
Game of Thrones,2011\u20132019,TV-MA,17 Apr 2011,"Action, Adventure, Drama",N/A,N/A,N/A,9.2,tt0944947,series
"""
MOVIES_METADATA = """\
adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,original_language,original_title,overview,popularity,\
poster_path,production_companies,production_countries,release_date,revenue,runtime,spoken_languages,status,tagline,\
title,video,vote_average,vote_count
False,"{'id': 10194, 'name': 'Toy Story Collection'}",30000000,"[{'id': 16, 'name': 'Animation'}, {'id': 35, 'name': \
'Comedy'}, {'id': 10751, 'name': 'Family'}]",http://toystory.disney.com/toy-story,862,tt0114709,en,Toy Story,\
"Led by Woody, Andy's toys live happily.
Until Andy's birthday.",21.946943,/rhIRbceoE9lR4veEXuwCC2wARtG.jpg,"[{'name': 'Pixar Animation Studios', 'id': 3}]",\
"[{'iso_3166_1': 'US', 'name': 'United States of America'}]",1995-10-30,373554033,81.0,"[]",Released,,Toy Story,False,\
7.7,5415.0
False,,0,"[{'id': 878, 'name': 'Science Fiction'}]",,82663,,en,Midnight Man,Soldiers,0.06,,[],[],,0,0,[],Released,,\
Midnight Man,False,6.0,1
False,,0,"[{'id': 28, 'name': 'Action'}]",,82664,tt0113002,en,Midnight Man,"Soldiers
 - Written by Ørnås
",0.065736,/ff9.jpg
"""
TMDB_5000 = """\
budget,genres,homepage,id,keywords,original_language,original_title,overview,popularity,production_companies,\
production_countries,release_date,revenue,runtime,spoken_languages,status,tagline,title,vote_average,vote_count
237000000,"[{""id"": 28, ""name"": ""Action""}, {""id"": 878, ""name"": ""Science Fiction""}]",http://www.avatar.com/,\
19995,"[{""id"": 1463, ""name"": ""culture clash""}]",en,Avatar,"In the 22nd century, a Marine.",150.4,[],[],\
2009-12-10,2787965087,162,[],Released,Enter the World of Pandora.,Avatar,7.2,11800
"""
MOVIES = """\
movieId,title,genres
1,Toy Story (1995),Adventure|Animation|Children|Comedy|Fantasy
11,"American President, The (1995)",Comedy|Drama|Romance
791,"Last Klezmer, The (1994)",(no genres listed)
99,Of no link,Drama
"""
LINKS = "movieId,imdbId,tmdbId\n1,0114709,862\n11,0112346,9087\n791,,113610\n"


def read(folder: Path, name: str, content: str | bytes, **columns: str | None) -> list[Film]:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(catalogue.read(file, parse(**columns) if columns else None))


def parse(**columns: str | None) -> Columns:
    return params.parse("scrape.columns", Columns, {"title": None, "poster": None, "page": None} | columns)


@pytest.mark.parametrize("packed", [False, True])
def test_imdbs_title_basics(tmp_path: Path, packed: bool) -> None:
    content = TITLE_BASICS.encode()
    short, film, series = read(tmp_path, "title.basics.tsv.gz", gzip.compress(content) if packed else content)
    page = "https://www.imdb.com/title/tt0000001/"
    assert short == Film(1, "tt0000001", "Carmencita (1894)", ("Documentary", "Short"), page, "")
    assert (film.title, film.genres, film.problem) == ('"Bohemios (1905)', (), "")
    assert (series.film_id, series.problem, series.reason) == ("tt0041038", "no-film", "line 4: its type is tvSeries")


def test_omdb(tmp_path: Path) -> None:
    film, without, series = read(tmp_path, "omdb.csv", OMDB)
    assert film.title == "Guardians of the Galaxy Vol. 2 (2017)"
    assert film.genres == ("Action", "Adventure", "Comedy")
    assert film.poster == "https://m.media-amazon.com/images/M/MV5B._V1_SX300.jpg"
    assert (without.film_id, without.genres, without.poster) == ("tt0298482", (), "")
    assert series.problem == "no-film"


def test_movies_metadata(tmp_path: Path) -> None:
    toys, later, broken = read(tmp_path, "movies_metadata.csv", MOVIES_METADATA)
    genres = ("Animation", "Comedy", "Family")
    page, poster = "https://www.imdb.com/title/tt0114709/", "/rhIRbceoE9lR4veEXuwCC2wARtG.jpg"
    assert toys == Film(1, "tt0114709", "Toy Story (1995)", genres, page, poster, tmdb_id=862)
    assert (later.film_id, later.genres, later.tmdb_id) == ("tmdb82663", ("Sci-Fi",), 82663)
    assert later.page == "https://www.themoviedb.org/movie/82663"
    assert (broken.problem, broken.reason) == ("bad-row", "line 5: it has 12 fields and the header 24")


def test_two_ids_of_which_one_is_wrong_are_refused(tmp_path: Path) -> None:
    moved = MOVIES_METADATA.replace(",862,", ",1997-08-20,")
    assert read(tmp_path, "m.csv", moved)[0].reason == "line 2: '1997-08-20' is not a TMDB id such as 603"


def test_tmdb_5000_movies(tmp_path: Path) -> None:
    (film,) = read(tmp_path, "tmdb_5000_movies.csv", TMDB_5000)
    page = "https://www.themoviedb.org/movie/19995"
    assert film == Film(1, "tmdb19995", "Avatar (2009)", ("Action", "Sci-Fi"), page, "", tmdb_id=19995)


@pytest.mark.parametrize("by_folder", [False, True])
def test_movielens_has_its_ids_in_a_second_table(tmp_path: Path, by_folder: bool) -> None:
    (tmp_path / "movies.csv").write_text(MOVIES)
    (tmp_path / "links.csv").write_text(LINKS)
    films = Catalogue(tmp_path if by_folder else tmp_path / "movies.csv")
    assert [file.name for file in films.files] == ["movies.csv", "links.csv"]
    toys, president, klezmer, lost = films
    assert (toys.film_id, toys.title, toys.tmdb_id) == ("tt0114709", "Toy Story (1995)", 862)
    assert toys.genres == ("Adventure", "Animation", "Children", "Comedy", "Fantasy")
    assert (president.title, klezmer.film_id) == ("American President, The (1995)", "tmdb113610")
    assert klezmer.genres == ()
    assert lost.reason == "line 5: links.csv has no row for movie '99'"


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (None, "put links.csv beside it"),
        ("movieId,imdbId\n1,2\n", "has the columns movieId, imdbId; it should have movieId, imdbId, tmdbId"),
        (LINKS + "1,0114709,862\n", "line 5: movie 1 has a row above"),
        (LINKS + "2,0114709\n", "line 5: it has 2 fields and the header 3"),
    ],
)
def test_movielens_without_sound_links_is_refused(tmp_path: Path, links: str | None, expected: str) -> None:
    if links:
        (tmp_path / "links.csv").write_text(links)
    with pytest.raises(InputError, match=expected):
        read(tmp_path, "movies.csv", MOVIES)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_any_other_table_is_read_by_its_columns(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"film": ["a.1", "tt0084058"], "tags": ["Drama, War", "Drama"], "picture": ["http://h/1", ""]})
    file = tmp_path / f"films{suffix}"
    if suffix == ".jsonl":
        table.to_json(file, orient="records", lines=True)
    elif suffix == ".parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep={".csv": ",", ".tsv": "\t"}[suffix])
    own, imdb = catalogue.read(file, parse(id="film", genres="tags", poster="picture"))
    assert own == Film(1, "a.1", "", ("Drama", "War"), "", "http://h/1")
    assert (imdb.film_id, imdb.page, imdb.poster) == ("tt0084058", "https://www.imdb.com/title/tt0084058/", "")


def test_one_column_may_serve_twice_and_a_missing_one_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, "f.csv", "a,b\n1,Drama\n", id="a", title="a", genres="b")[0].title == "1"
    with pytest.raises(InputError, match=r"has the columns a, b; scrape\.columns\.poster names picture"):
        read(tmp_path, "f.csv", "a,b\n1,Drama\n", id="a", genres="b", poster="picture")


def test_every_field_of_columns_must_be_given() -> None:
    with pytest.raises(InputError, match=r"scrape\.columns\.title is missing"):
        params.parse("scrape.columns", Columns, {"id": "a", "genres": "b", "poster": None, "page": None})


@pytest.mark.parametrize("value", [603, 603.0, "603", " 603 "])
def test_numbers_are_ids_too(tmp_path: Path, value: Any) -> None:
    file = tmp_path / "f.parquet"
    pd.DataFrame({"tmdb_id": [value], "tags": [["Drama"]]}).to_parquet(file)
    assert [film.film_id for film in catalogue.read(file, parse(id="tmdb_id", genres="tags"))] == ["tmdb603"]


OWN = "Id,Title,Genre,Poster\ntt0000007,T,Drama,http://h/1.jpg\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("Id,Genre\ntt0000007,Drama\n", "the 7,254-poster set"),
        ("Id,Genre,Drama,N/A,Sci-Fi\ntt0000007,['Drama'],1,0,0\nx,['Drama'],1,0,0\n", "the 7,254-poster set"),
        (TMDB_5000, "TMDB"),
        ("id,title,genres,poster_path\n603.0,T,Drama,/a.jpg\n", "TMDB"),
    ],
)
def test_a_common_header_has_a_published_formats_ids(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / "f.csv").write_text(content)
    assert Catalogue(tmp_path / "f.csv").format.name == name


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (OWN, "the 7,254-poster set"),
        ("Id,Genre\n1,Drama\n2,Comedy\n", "the 7,254-poster set"),
        ("Id,Genre,Drama\na.jpg,Drama,1\n", "the 7,254-poster set"),
        ("id,title,genres,poster_path\nmatrix,T,Drama,http://h/1.jpg\n", "TMDB"),
        ("film_id,title,genres,source,poster\n1,T,Drama,Netflix,http://h/1.jpg\n", "postergenre import"),
    ],
)
def test_a_common_header_with_other_ids_or_columns_needs_columns(tmp_path: Path, content: str, name: str) -> None:
    with pytest.raises(InputError, match=f"but not the rest of {name}; .* scrape.columns names its columns"):
        read(tmp_path, "f.csv", content)


def test_columns_read_a_common_header(tmp_path: Path) -> None:
    (film,) = read(tmp_path, "f.csv", OWN, id="Id", title="Title", genres="Genre", poster="Poster")
    assert (film.film_id, film.title, film.poster) == ("tt0000007", "T", "http://h/1.jpg")


def test_a_spreadsheets_numbers_are_the_films_of_its_integers(tmp_path: Path) -> None:
    rows = "film,tags\n1.0,Drama\n1,Comedy\n TT0084058 ,Drama\ntt0084058,Drama\n"
    films = read(tmp_path, "f.csv", rows, id="film", genres="tags")
    assert [film.film_id for film in films] == ["1", "1", "tt0084058", "tt0084058"]
