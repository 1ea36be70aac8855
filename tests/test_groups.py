import numpy as np
import pandas as pd
import pytest

from postergenre import groups, metrics
from postergenre.metrics import Answer
from postergenre.splits import Split

POSTERS = 400


@pytest.fixture(scope="module")
def films() -> Split:
    labels = (np.random.default_rng(1).random((POSTERS, 5)) < 0.4).astype(np.uint8)
    labels[:, 0] |= labels.sum(axis=1) == 0
    imdb_ids = [f"tt{k:07d}" for k in range(POSTERS)]
    return Split(imdb_ids, np.arange(POSTERS), ["A", "B", "C", "D", "E"], labels)


def answers(films: Split) -> dict[str, Answer]:
    half = np.full(5, 0.5)
    network = np.random.default_rng(2).random(films.labels.shape) + 0.5 * films.labels
    return {"model": Answer(network / 1.5, half, 0.5), "genre prior": Answer(films.labels.mean(axis=0), half, 0.5)}


def compare(films: Split, titles: list[str]) -> pd.DataFrame:
    named = dict(zip(films.imdb_ids, titles, strict=True))
    return groups.compare(films, named, answers(films), metrics.resamples(POSTERS, 1000, 1))


def test_intervals_hold_95_in_100_of_what_chance_would_give(films: Split) -> None:
    table = compare(films, ["A (1994)", "B (2003)"] * (POSTERS // 2)).set_index("group")
    of_network = metrics.poster_ranking(films.labels, answers(films)["model"])
    for decade, values in (("1990s", of_network[::2]), ("2000s", of_network[1::2])):
        row, error = table.loc[decade], values.std() / len(values) ** 0.5
        assert row["lrap"] == pytest.approx(values.mean())
        assert row["lrap"] - row["low"] == pytest.approx(1.96 * error, rel=0.15)
        assert row["high"] - row["lrap"] == pytest.approx(1.96 * error, rel=0.15)
