import pytest

from postergenre.data import film_ids


@pytest.mark.parametrize(
    ("text", "film_id"),
    [("84058", "tt0084058"), ("84058.0", "tt0084058"), (" tt0084058 ", "tt0084058"), ("12345678", "tt12345678")],
)
def test_an_imdb_id_gets_its_padding(text: str, film_id: str) -> None:
    assert film_ids.normalize_imdb_id(text) == film_id


@pytest.mark.parametrize(
    ("text", "column", "film_id"),
    [
        ("tt0084058", "film", "tt0084058"),
        ("84058", "imdb_id", "tt0084058"),
        ("603", "tmdbId", "tmdb603"),
        ("tmdb603", "film", "tmdb603"),
        ("603", "film", "603"),
        ("007", "id", "007"),
        ("a.b_c-D", "id", "a.b_c-D"),
        ("x" * 64, "id", "x" * 64),
    ],
)
def test_an_id_is_imdbs_tmdbs_or_ones_own(text: str, column: str, film_id: str) -> None:
    assert film_ids.normalize_cell(text, column) == film_id


@pytest.mark.parametrize(
    "spellings",
    [
        ["tt0084058", "TT0084058", " Tt0084058\u00a0", "tt00084058"],
        ["tmdb603", "TMDB603", "tmdb603 "],
        ["84058", "84058.0", "84058.00", " 84058 "],
        ["7.1"],
        ["ABC.0"],
    ],
)
def test_spellings_of_one_id_are_one(spellings: list[str]) -> None:
    assert {film_ids.normalize_cell(text, "film") for text in spellings} == {spellings[0]}


@pytest.mark.parametrize("name", ["7.0", "TT0084058", "a.b"])
def test_the_name_of_a_file_stays(name: str) -> None:
    assert film_ids.normalize(name) == name


@pytest.mark.parametrize(
    "text", ["TBD", "tba", "n.a.", "N.A", "N/A", "#N/A", "(unknown)", "Not available", "--", "??", ""]
)
def test_many_texts_stand_for_no_value(text: str) -> None:
    assert film_ids.is_no_value(text)
    assert film_ids.is_no_value(f" {text} ")


@pytest.mark.parametrize("text", ["Nana", "Noneya", "?????", "[", "a-", "http://h/na"])
def test_other_texts_are_values(text: str) -> None:
    assert not film_ids.is_no_value(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "../x",
        "a/b",
        "a\\b",
        "a b",
        "é",
        "x" * 65,
        "nan",
        "NA",
        "None",
        "-",
        "tt12",
        "tmdb0",
        "a\nb",
    ],
)
def test_a_path_or_a_placeholder_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        film_ids.normalize(text)


def test_only_ids_of_imdb_and_tmdb_have_a_number() -> None:
    assert [film_ids.number(film_id) for film_id in ("tt0084058", "tmdb603", "603", "ttx")] == [84058, 603, 0, 0]
