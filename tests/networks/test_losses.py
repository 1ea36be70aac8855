from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from postergenre.networks.losses import Loss, rarity

RANDOM = np.random.default_rng(5)
LABELS = RANDOM.integers(0, 2, (6, 4)).astype(np.float32)
PROBABILITIES = RANDOM.uniform(0.02, 0.98, (6, 4)).astype(np.float32)


def loss(kind: str, smoothing: float = 0.0, weights: Any = (1, 1, 1, 1)) -> np.ndarray[Any, Any]:
    return np.asarray(Loss(kind, smoothing, weights).call(LABELS, PROBABILITIES))


def test_bce_is_the_log_loss() -> None:
    expected = [log_loss(labels, answers.astype(float)) for labels, answers in zip(LABELS, PROBABILITIES, strict=True)]
    np.testing.assert_allclose(loss("bce"), expected, rtol=1e-5)


def test_focal_is_its_papers_formula() -> None:
    right = np.where(LABELS == 1, PROBABILITIES, 1 - PROBABILITIES)
    np.testing.assert_allclose(loss("focal"), (-((1 - right) ** 2) * np.log(right)).mean(axis=1), rtol=1e-5)


def test_asymmetric_is_its_papers_formula() -> None:
    shifted = np.maximum(PROBABILITIES - 0.05, 0)
    present = -LABELS * (1 - PROBABILITIES) * np.log(PROBABILITIES)
    absent = -(1 - LABELS) * shifted**4 * np.log(1 - shifted)
    np.testing.assert_allclose(loss("asymmetric"), (present + absent).mean(axis=1), rtol=1e-5)


def test_each_of_several_heads_has_its_own_loss() -> None:
    heads = np.stack([PROBABILITIES, PROBABILITIES[::-1]], axis=1)
    both = np.asarray(Loss("bce", 0.0, np.ones(4)).call(LABELS, heads))
    np.testing.assert_allclose(both[:, 0], loss("bce"), rtol=1e-6)
    np.testing.assert_allclose(
        both[:, 1], np.asarray(Loss("bce", 0.0, np.ones(4)).call(LABELS, PROBABILITIES[::-1])), rtol=1e-6
    )


def test_smoothing_moves_labels_towards_a_half() -> None:
    smooth = LABELS * 0.8 + 0.1
    expected = -(smooth * np.log(PROBABILITIES) + (1 - smooth) * np.log(1 - PROBABILITIES)).mean(axis=1)
    np.testing.assert_allclose(loss("bce", smoothing=0.2), expected, rtol=1e-5)


def test_a_weight_counts_its_genre() -> None:
    only = [loss("bce", weights=np.eye(4)[k]) for k in range(4)]
    np.testing.assert_allclose(loss("bce", weights=[1, 2, 3, 4]), sum((k + 1) * only[k] for k in range(4)), rtol=1e-5)


def test_rare_genres_weigh_more_and_the_mean_positive_one() -> None:
    share = np.array([0.5, 0.1, 0.02])
    weights = rarity(share)
    assert weights[0] < weights[1] < weights[2]
    assert (weights * share).sum() == pytest.approx(share.sum())
    np.testing.assert_allclose(weights[2] / weights[0], 5)
    assert rarity([0.5, 0.0]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("kind", ["bce", "focal", "asymmetric"])
def test_sure_answers_have_a_finite_loss(kind: str) -> None:
    sure = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    assert np.isfinite(np.asarray(Loss(kind, 0.0, [1, 1]).call(sure, sure[::-1]))).all()
