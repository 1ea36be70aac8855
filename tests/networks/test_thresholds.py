import numpy as np
import pytest
from sklearn.metrics import f1_score

from postergenre.networks import thresholds

# Genre 0 is best cut between .6 and .4; genre 1 has no positives; all pairs together are best cut between .6 and .5.
LABELS = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], dtype=np.uint8)
SCORES = np.array([[0.9, 0.7], [0.6, 0.5], [0.4, 0.05], [0.1, 0.05]])


def test_a_genre_with_many_positives_keeps_its_own_threshold() -> None:
    assert thresholds.fit(LABELS, SCORES, shrinkage=0)[0] == pytest.approx(0.5)


def test_a_genre_is_shrunk_towards_the_global_threshold_by_its_positives() -> None:
    assert thresholds.fit(LABELS, SCORES, shrinkage=2)[0] == pytest.approx((2 * 0.5 + 2 * 0.55) / 4)
    assert thresholds.fit(LABELS, SCORES, shrinkage=1e9)[0] == pytest.approx(0.55)


def test_no_thresholds_of_a_genre_each_have_a_better_micro_f1_than_the_global_one_where_probabilities_are_true() -> (
    None
):
    random = np.random.default_rng(0)
    scores = random.beta(1, [2, 5, 20], (20_000, 3))
    labels = (random.random(scores.shape) < scores).astype(np.uint8)
    shared = thresholds.global_threshold(labels[:10_000], scores[:10_000])
    own = thresholds.fit(labels[:10_000], scores[:10_000], shrinkage=0)
    micro, macro = (
        [f1_score(labels[10_000:], scores[10_000:] >= cut, average=average) for cut in (shared, own)]
        for average in ("micro", "macro")
    )
    assert micro[0] > micro[1]
    assert macro[0] < macro[1]


@pytest.mark.parametrize("shrinkage", [0, 20])
def test_a_genre_without_positives_takes_the_global_threshold(shrinkage: float) -> None:
    assert thresholds.fit(LABELS, SCORES, shrinkage)[1] == pytest.approx(0.55)


def test_fitted_thresholds_beat_one_half_on_posters_they_have_not_seen() -> None:
    random = np.random.default_rng(0)
    shares = np.array([0.5, 0.2, 0.05])
    labels = (random.random((2000, 3)) < shares).astype(np.uint8)
    odds = np.log(shares / (1 - shares)) + random.normal(size=labels.shape) + labels - 0.5
    scores = 1 / (1 + np.exp(-odds))
    chosen = thresholds.fit(labels[:1000], scores[:1000], shrinkage=20)
    fitted, halves = (
        f1_score(labels[1000:], scores[1000:] >= cut, average="macro", zero_division=0) for cut in (chosen, 0.5)
    )
    assert fitted > halves + 0.1


def test_no_other_threshold_has_a_better_f1() -> None:
    random = np.random.default_rng(3)
    labels = (random.random((60, 1)) < 0.3).astype(np.uint8)
    scores = np.clip(0.4 * random.random((60, 1)) + 0.3 * labels, 0, 1).round(2).astype(np.float32)
    (chosen,) = thresholds.fit(labels, scores, shrinkage=0)
    best = max(f1_score(labels, scores >= cut) for cut in np.linspace(0, 1, 201)[1:-1])
    assert f1_score(labels, scores >= chosen) == pytest.approx(best)
    assert np.abs(scores - chosen).min() > 1e-4


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_threshold_stays_between_0_and_1_when_every_score_is_at_the_end(score: float) -> None:
    (chosen,) = thresholds.fit(np.ones((3, 1), dtype=np.uint8), np.full((3, 1), score), shrinkage=0)
    assert 0 < round(chosen, 6) < 1


def test_without_any_positive_the_threshold_is_one_half() -> None:
    assert thresholds.fit(np.zeros((3, 2), dtype=np.uint8), np.full((3, 2), 0.2), shrinkage=20).tolist() == [0.5, 0.5]
