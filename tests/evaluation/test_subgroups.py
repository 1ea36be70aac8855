import numpy as np
import pandas as pd
import pytest

from postergenre.data.split_tables import Split
from postergenre.evaluation import subgroups
from postergenre.evaluation.bootstrap import resample_counts
from postergenre.evaluation.evaluator import Predictions, lrap_per_poster

POSTERS = 400


@pytest.fixture(scope="module")
def films() -> Split:
    labels = (np.random.default_rng(1).random((POSTERS, 5)) < 0.4).astype(np.uint8)
    labels[:, 0] |= labels.sum(axis=1) == 0
    film_ids = [f"tt{k:07d}" for k in range(POSTERS)]
    return Split(film_ids, np.arange(POSTERS), ["A", "B", "C", "D", "E"], labels)


def predictions(films: Split) -> dict[str, Predictions]:
    half = np.full(5, 0.5)
    network = np.random.default_rng(2).random(films.labels.shape) + 0.5 * films.labels
    return {
        "model": Predictions(network / 1.5, half, 0.5),
        "genre prior": Predictions(films.labels.mean(axis=0), half, 0.5),
    }


def table_of(films: Split, titles: list[str]) -> pd.DataFrame:
    named = dict(zip(films.film_ids, titles, strict=True))
    return subgroups.subgroup_table(films, named, None, predictions(films), resample_counts(POSTERS, 1000, 1))


def test_intervals_are_as_wide_as_the_standard_error_says(films: Split) -> None:
    table = table_of(films, ["A (1994)", "B (2003)"] * (POSTERS // 2)).set_index("group")
    lrap = lrap_per_poster(films.labels, predictions(films)["model"])
    for decade, values in (("1990s", lrap[::2]), ("2000s", lrap[1::2])):
        row, error = table.loc[decade], values.std() / len(values) ** 0.5
        assert row["lrap"] == pytest.approx(values.mean())
        assert row["lrap"] - row["low"] == pytest.approx(1.96 * error, rel=0.15)
        assert row["high"] - row["lrap"] == pytest.approx(1.96 * error, rel=0.15)


@pytest.mark.parametrize(
    ("title", "group"),
    [
        ("Alien (1979)", "1970s"),
        ("2001: A Space Odyssey (1968)", "1960s"),
        ("The Haunted Castle (1896) ", "1890s"),
        ("Crash (1996/II)", "1990s"),
        ("Duel (1971) (TV)", "1970s"),
        ("Roots (TV Mini Series 1977)", "1970s"),
        ("Once and Again (TV Series 1999)", "1990s"),
        ("Lost (2004\N{EN DASH} )", "2000s"),
        ("Friends (TV Series 1994-2004)", "1990s"),
        ("The Lost Film (0000)", subgroups.NO_YEAR),
        ("The Last Film (9999)", subgroups.NO_YEAR),
        ("1984", subgroups.NO_YEAR),
        ("(500) Days", subgroups.NO_YEAR),
        ("The Making of (2001: A Space Odyssey)", subgroups.NO_YEAR),
        ("Number (19991)", subgroups.NO_YEAR),
        ("", subgroups.NO_YEAR),
    ],
)
def test_the_decade_is_that_of_the_year_in_the_title(films: Split, title: str, group: str) -> None:
    table = table_of(films, [title] * POSTERS)
    assert table.loc[table["kind"] == "decade", "group"].tolist() == [group]


def test_films_whose_titles_name_no_year_are_counted_after_the_decades(films: Split) -> None:
    table = table_of(films, ["A (2003)", "B (1994)", "C (1995)", ""] * (POSTERS // 4))
    rows = table[table["kind"] == "decade"]
    counted = dict(zip(rows["group"], rows["posters"], strict=True))
    assert list(counted.items()) == [("1990s", 200), ("2000s", 100), (subgroups.NO_YEAR, 100)]
