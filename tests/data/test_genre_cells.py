from typing import Any

import pytest

from postergenre.data.genre_cells import GenreCells

BOTH = ("Comedy", "Drama")


def make(*cells: Any, **names: str) -> GenreCells:
    return GenreCells(cells, names)


@pytest.mark.parametrize(
    "cell",
    [
        "Comedy|Drama",
        "Comedy, Drama",
        "Drama,Comedy",
        "Comedy; Drama",
        "Drama / Comedy",
        "['Comedy', 'Drama']",
        '["Comedy","Drama"]',
        "['Comedy' 'Drama']",
        "['Comedy'\n 'Drama']",
        '[{"id": 35, "name": "Comedy"}, {"id": 18, "name": "Drama"}]',
        "[{'id': 35, 'name': 'Comedy'}, {'id': 18, 'name': 'Drama'}]",
        '[{"id": null, "name": "Comedy"}, {"id": 18, "name": "Drama"}]',
        ["Drama", None, "Comedy"],
        [{"name": "Drama"}, {"name": "Comedy"}],
        "Comedy|Drama|Comedy||N/A",
    ],
)
def test_two_genres_are_read_in_any_notation(cell: Any) -> None:
    assert make(cell).read(cell) == BOTH


@pytest.mark.parametrize(
    "cell", ["(no genres listed)", "unknown", "Unknown", r"\N", "N/A", "n/a", "nan", "NaN", "<NA>"]
)
@pytest.mark.parametrize("others", ["A|B", "A, B", "A/B", "['A', 'B']", "[{'name': 'A'}]"])
def test_a_placeholder_is_no_genre_in_any_notation(cell: str, others: str) -> None:
    assert make(cell, others).read(cell) == ()


@pytest.mark.parametrize(
    "cell",
    [
        *("", " ", "NaT", "None", "NULL", "-", "#N/A", "[]", "['']", "[None]", None, [], [None]),
        *(
            "TBD",
            "tba",
            "n.a.",
            "n. a.",
            "(none)",
            "?",
            "??",
            "\u2014",
            "...",
            "No genres",
            "(no genre listed)",
            "To be announced",
            "Missing",
            "['N/A']",
            ["tbd"],
        ),
        *("No genre", "no_genres", "NO-GENRES-LISTED", "not_available", "Unlabelled"),
    ],
)
def test_what_says_no_genre_is_no_genre(cell: Any) -> None:
    assert make(cell).read(cell) == ()


@pytest.mark.parametrize(
    "spellings",
    [
        ["Drama", "drama", "DRAMA", " Drama ", "Dra\u200bma", "\ufeffDrama", "\uff24rama"],
        ["Sci-Fi", "sci-fi", "SciFi", "Sci Fi", "Science Fiction", "science-fiction", "SCIENCE FICTION", "Sci\u2011Fi"],
        ["Film-Noir", "film noir", "Film\u00a0Noir"],
        ["Talk-Show", "Talk", "talkshow"],
        ["Comédie", "Come\u0301die", "comédie", "COMÉDIE"],
        ["Kung-Fu", "kung fu", "KungFu"],
        ["Action & Adventure", "action and adventure", "Action &amp; Adventure", "Action &#38; Adventure"],
        ["Drama", "Drama.", "drama ,", "Drama;", "Drama!", "Drama ..."],
        ["Kung-Fu", "Kung-Fu.", "Kung-Fu;"],
    ],
)
def test_spellings_of_one_genre_are_one(spellings: list[str]) -> None:
    cells = make(*spellings)
    assert {cells.read(spelling) for spelling in spellings} == {(spellings[0],)}


def test_a_genre_that_no_table_knows_is_spelled_as_it_came_first() -> None:
    cells = make()
    assert [cells.read(name) for name in ("come\u0301die", "COMÉDIE", " Kung\u200b-Fu ")] == [
        ("Com\u00e9die",),
        ("Com\u00e9die",),
        ("Kung-Fu",),
    ]


def test_published_spellings_stay() -> None:
    names = "Action|Adult|Film-Noir|Game-Show|Music|Musical|Reality-TV|Sci-Fi|Short|Sport|Talk-Show|War"
    assert make(names).read(names) == tuple(names.split("|"))


def test_the_most_frequent_notation_is_the_files_and_other_cells_are_refused() -> None:
    cells = make("Comedy|Drama", "Comedy|Drama", "Comedy, Drama", "Drama")
    assert cells.read("Drama") == ("Drama",)
    for odd in ("Comedy, Drama", "['Comedy', 'Drama']", "Comedy/Drama", "Comedy; Drama"):
        with pytest.raises(ValueError, match=r"this file writes them as A\|B"):
            cells.read(odd)


def test_lists_of_two_kinds_are_not_mixed() -> None:
    cells = make("['Comedy', 'Drama']")
    assert cells.read("['Drama']") == ("Drama",)
    for odd in ("['Comedy' 'Drama']", "[{'name': 'Comedy'}]", "Drama", "Comedy|Drama"):
        with pytest.raises(ValueError, match="the genres are"):
            cells.read(odd)


@pytest.mark.parametrize(
    "cell",
    [
        "['Comedy''Drama']",
        "['Comedy' 'Drama', 'Horror']",
        "[{'name': 'Kung' 'Fu'}]",
        "['Comedy', 'Drama'",
        "[28, 12]",
        "[{'id': 28}]",
        r"['Com\qedy', 'Drama']",
        "[" * 3000,
        "x" * 5000,
        "Comedy\nDrama",
        "Comedy (Drama)",
        "Comedy or Drama",
        "Comedy und Drama",
        "(Krimi)",
        "+Krimi",
        "true",
        "Comedy.Drama",
        "Comedy \u00b7 Drama",
        "Genre: Drama",
        "\u201cDrama\u201d",
        "?????",
        "Genre",
        "genres",
        "28|12",
        "Sci-Fi &amp; Krimi\u00b3",
        "Kung\nFu",
        "Comedy\tDrama",
        "Comedy • Drama",
        "Comedy Drama",
        "ComedyDrama",
        "Action Adventure Science Fiction",
        "Comedy & Drama",
        "Comedy - Drama",
        '"Drama"',
        "http://h/1.jpg",
        "7.5",
        "{'Comedy', 'Drama'}",
        28,
        {"name": "Drama"},
        [["Drama"]],
        ["Comedy, Drama"],
    ],
)
def test_what_is_not_understood_is_refused(cell: Any) -> None:
    for cells in (make("A|B"), make(cell)):
        with pytest.raises(ValueError, match="genre"):
            cells.read(cell)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        *(("Драма", "cp1251"), ("Бой", "cp1251"), ("Akční", "cp1250"), ("Kryminał", "cp1250"), ("Bűvös", "cp1250")),
        *(
            ("Güneş güneşe", "cp1254"),
            ("Δράμα", "cp1253"),
            ("Dětský", "iso8859-2"),
            ("Comédie", "mac-roman"),
            ("Comédie", "cp850"),
        ),
    ],
)
def test_letters_of_another_encoding_are_no_genre(name: str, encoding: str) -> None:
    assert make().read(name) == (name,)
    with pytest.raises(ValueError, match="a genre is"):
        make().read(name.encode(encoding).decode("cp1252"))


@pytest.mark.parametrize(
    "names",
    [
        "Comédie Fantastique|Théâtre|Œuvre",
        "Ação|Ficção científica|Órfão",
        "Komödie|Märchen|Übergrößen",
        "Ævintýri|Þáttur",
        "Eventyr på sjøen|Æra|Krigsfilm",
        "Väkivalta|Jännitys|Õudus",
        "Història|Acció|Perquè",
        "Családi|Történelmi",
        "Životopisný|Drama",
        "Phiêu lưu|Gia đình",
        "剧情|喜剧",
        "Драма|Бой",
    ],
)
def test_genres_of_any_language_are_read(names: str) -> None:
    assert make(names).read(names) == tuple(sorted(names.split("|")))


@pytest.mark.parametrize("cell", ["28", "28|12"])
def test_a_genres_number_is_named(cell: str) -> None:
    with pytest.raises(ValueError, match=r"a genre is '28'.*; that is no name but a number, as in TMDB's genre_ids"):
        make(cell).read(cell)


def test_no_value_in_a_cell_with_slashes_is_none() -> None:
    assert make("Comedy/Drama").read("N/A / Drama") == ("Drama",)


def test_params_add_names() -> None:
    cells = GenreCells(["Comedy|Drama"], {"Komödie": "Comedy", "Comedy Drama": "Dramedy", "Sci-Fi/Fantasy": "Sci-Fi"})
    assert cells.read("komödie|Comedy Drama|Sci-Fi/Fantasy") == ("Comedy", "Dramedy", "Sci-Fi")


def test_a_notation_that_shows_late_is_the_files() -> None:
    cells = make("Drama", "Comedy")
    assert cells.read("Comedy, Drama") == BOTH
    with pytest.raises(ValueError, match="A, B"):
        cells.read("Comedy|Drama")
