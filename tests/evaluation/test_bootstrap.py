import numpy as np
import pytest
from scipy.special import expit

from postergenre.evaluation import comparison
from postergenre.evaluation.bootstrap import clipped_interval, resample_counts
from postergenre.evaluation.evaluator import Evaluator, Predictions
from postergenre.evaluation.model_difference import map_difference
from tests.evaluation.examples import Floats, Labels, metrics, posters, predictions


def test_resamples_have_as_many_posters_and_are_decided_by_the_seed() -> None:
    counts = resample_counts(80, 100, seed=3)
    assert counts.shape == (100, 80)
    assert (counts.sum(axis=1) == 80).all()
    assert (counts == resample_counts(80, 100, seed=3)).all()
    assert not (counts == resample_counts(80, 100, seed=4)).all()


def test_the_interval_of_map_contains_the_true_value_where_plain_percentiles_do_not() -> None:
    random = np.random.default_rng(1)
    prevalence, strength = np.geomspace(0.03, 0.5, 15), 0.6

    def draw(n: int) -> tuple[Labels, Floats]:
        labels = (random.random((n, 15)) < prevalence).astype(np.uint8)
        return labels, expit(random.normal(size=labels.shape) + strength * labels)

    thresholds = np.full(15, 0.5)
    labels, scores = draw(60_000)
    true = metrics(labels, Predictions(scores, thresholds, 0.5))["map"]
    mirrored, plain = [], []
    for seed in range(40):
        labels, scores = draw(300)
        predicted, counts = Predictions(scores, thresholds, 0.5), resample_counts(300, 200, seed)
        samples = Evaluator(labels, predicted).metrics(counts)["map"]
        low, high = clipped_interval(metrics(labels, predicted)["map"], samples)
        mirrored.append(low <= true <= high)
        plain.append(np.percentile(samples, 2.5) <= true <= np.percentile(samples, 97.5))
    assert sum(mirrored) >= 34
    assert sum(plain) <= 20


def test_the_interval_of_a_difference_contains_the_true_one_and_is_narrower_than_each_models() -> None:
    random = np.random.default_rng(1)
    prevalence = np.geomspace(0.03, 0.5, 15)
    contained, better, widths = [], [], []
    for seed in range(40):
        labels = (random.random((300, 15)) < prevalence).astype(np.uint8)
        shared = random.normal(size=labels.shape) + labels
        one, other = (expit(shared + random.normal(size=labels.shape) / 2) for _ in range(2))
        counts = resample_counts(300, 200, seed)
        difference = map_difference(labels, one, other, counts)
        contained.append(difference.low <= 0 <= difference.high)  # the two are equally good
        better.append(difference.low > 0)
        alone = comparison.evaluate(labels, Predictions(one, np.full(15, 0.5), 0.5), counts)["map"]
        widths.append((difference.high - difference.low) / (alone.high - alone.low))
    assert sum(contained) >= 34
    assert sum(better) <= 4
    assert np.mean(widths) < 1  # for two independent models, the square root of 2


def test_a_difference_is_that_of_the_two_values_and_changes_its_sign_with_the_order() -> None:
    labels, scores = posters()
    counts = resample_counts(len(labels), 200, seed=3)
    worse = np.random.default_rng(5).random(scores.shape)
    up, down = map_difference(labels, scores, worse, counts), map_difference(labels, worse, scores, counts)
    assert up.one == metrics(labels, predictions(scores))["map"] == down.other
    assert up.value == up.one - up.other
    assert 0 < up.low < up.value < up.high
    assert (down.low, down.value, down.high) == pytest.approx((-up.high, -up.value, -up.low))
    same = map_difference(labels, scores, scores, counts)
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_an_interval_stays_in_the_range_of_its_metric() -> None:
    assert clipped_interval(0.99, np.array([0.9, 0.99, 1.0])) == pytest.approx((0.9805, 1.0))
    assert clipped_interval(0.01, np.array([0.0, 0.01, 0.1])) == pytest.approx((0.0, 0.0195))
    assert clipped_interval(9.0, np.array([8.0, 9.0, 10.0]), np.inf) == pytest.approx((8.05, 9.95))
