import numpy as np

from postergenre.data.split_tables import Split
from postergenre.evaluation import baselines
from postergenre.networks import thresholds
from tests.evaluation.examples import metrics


def split(labels: list[list[int]]) -> Split:
    ids = [f"tt{k:07d}" for k in range(len(labels))]
    return Split(ids, np.arange(len(labels)), ["Comedy", "Drama", "Horror"], np.array(labels, dtype=np.uint8))


def test_baselines_are_named_by_what_they_predict_and_fitted_on_the_training_posters() -> None:
    train = split([[0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1]])
    val = split([[0, 0, 1], [1, 0, 1], [0, 1, 1]])
    fitted = baselines.fit(train, val, shrinkage=2)
    assert {name: each.probabilities.tolist() for name, each in fitted.items()} == {
        "no genre": [0, 0, 0],
        "genre prior": [0.5, 0.75, 0.25],
        "{Drama}": [0, 1, 0],
        "{Drama, Comedy}": [1, 1, 0],
        "all genres": [1, 1, 1],
    }
    assert [name for name in fitted if baselines.is_constant_set(name)] == ["{Drama}", "{Drama, Comedy}"]
    prior = np.array([[0.5, 0.75, 0.25]] * 3)
    assert fitted["genre prior"].thresholds.tolist() == thresholds.fit(val.labels, prior, 2).tolist()
    assert fitted["genre prior"].global_threshold == thresholds.global_threshold(val.labels, prior)


def test_a_single_genre_has_no_constant_of_two() -> None:
    one = Split(["tt0000001", "tt0000002"], np.arange(2), ["Drama"], np.array([[1], [0]], dtype=np.uint8))
    fitted = baselines.fit(one, one, shrinkage=2)
    assert list(fitted) == ["no genre", "genre prior", "{Drama}", "all genres"]
    assert metrics(one.labels, fitted["{Drama}"])["top3_hit"] == 0.5
