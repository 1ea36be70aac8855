from itertools import permutations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from postergenre.evaluation import evaluator
from postergenre.evaluation.bootstrap import resample_counts
from postergenre.evaluation.evaluator import Evaluator, Predictions
from postergenre.evaluation.metrics import METRICS
from postergenre.evaluation.per_genre import per_genre_table
from postergenre.evaluation.reliability import reliability_table
from tests.evaluation.examples import GLOBAL_THRESHOLD, THRESHOLDS, metrics, posters, predictions, reference


# The first five genres leave some posters without any.
@pytest.mark.parametrize("count", [5, 6])
def test_every_metric_equals_scikit_learns_with_ties_and_without_positives(count: int) -> None:
    labels, scores = posters()
    labels, scores = labels[:, :count], scores[:, :count]
    values, expected = metrics(labels, predictions(scores)), reference(labels, scores)
    assert set(values) == set(METRICS) == set(expected) | {"top1_hit", "top3_hit"}
    for key, value in expected.items():
        assert values[key] == pytest.approx(value, abs=1e-12), key


def test_a_resample_counts_as_the_posters_repeated() -> None:
    labels, scores = posters()
    counts = resample_counts(len(labels), 5, seed=2)
    samples = Evaluator(labels, predictions(scores)).metrics(counts)
    for number, row in enumerate(counts):
        repeated = reference(np.repeat(labels, row, axis=0), np.repeat(scores, row, axis=0))
        for key, value in repeated.items():
            assert samples[key][number] == pytest.approx(value, abs=1e-12), key


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores = posters()
    whole, counts = Evaluator(labels, predictions(scores)), resample_counts(len(labels), 7, seed=2)
    expected = whole.metrics(counts)
    monkeypatch.setattr(evaluator, "BLOCK", 2 * len(labels))
    for key, values in whole.metrics(counts).items():
        np.testing.assert_allclose(values, expected[key], rtol=1e-12)


def test_the_constant_drama_comedy_by_hand() -> None:
    #                 Comedy, Drama, Horror
    labels = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.uint8)
    values = metrics(labels, Predictions(np.array([1.0, 1.0, 0.0]), np.full(3, 0.5), 0.5))
    assert values == pytest.approx(
        {
            "map": (1 / 3 + 2 / 3 + 1 / 3) / 3,
            "map_micro": 3 / 4 * 3 / 6 + 1 / 4 * 4 / 9,
            "roc_auc": 0.5,
            "f1_micro": 2 * 3 / (6 + 4),
            "f1_macro": (2 / 4 + 4 / 5 + 0) / 3,
            "f1_weighted": (1 * 2 / 4 + 2 * 4 / 5 + 0) / 4,
            "f1_samples": (2 / 3 + 1 + 0) / 3,
            "f1_micro_at_global_threshold": 2 * 3 / (6 + 4),
            "f1_micro_at_half": 2 * 3 / (6 + 4),
            "f1_macro_at_half": (2 / 4 + 4 / 5 + 0) / 3,
            "f1_weighted_at_half": (1 * 2 / 4 + 2 * 4 / 5 + 0) / 4,
            "f1_samples_at_half": (2 / 3 + 1 + 0) / 3,
            "lrap": (1 / 2 + 1 + 1 / 3) / 3,
            "coverage": (2 + 2 + 3) / 3,
            "top1_hit": (1 / 2 + 1 + 0) / 3,
            "top3_hit": 1.0,
            "hamming_at_half": 4 / 9,
            "binary_accuracy_at_half": 5 / 9,
            "subset_accuracy_at_half": 1 / 3,
            "bce": -4 / 9 * np.log(1e-7) - 5 / 9 * np.log(1 - 1e-7),
            "ece": (2 / 3 * abs(3 / 6 - 1)) + 1 / 3 * abs(1 / 3 - 0),
            "brier": 4 / 9,
        }
    )


@pytest.mark.parametrize(("key", "k"), [("top1_hit", 1), ("top3_hit", 3)])
def test_a_hit_rate_breaks_ties_at_random(key: str, k: int) -> None:
    labels, scores = posters(30)
    labels, scores = labels[:, :5], (scores[:, :5] * 3).round() / 3
    orders = list(permutations(range(5)))
    hits = [
        labels[row, sorted(order, key=lambda genre: -scores[row, genre])[:k]].any()
        for row in range(30)
        for order in orders
    ]
    assert metrics(labels, predictions(scores))[key] == pytest.approx(np.mean(hits))


def test_a_genre_without_positives_does_not_count() -> None:
    labels, scores = posters()
    others = [0, 1, 2, 3, 5]
    values = metrics(labels, predictions(scores))
    without = metrics(labels[:, others], Predictions(scores[:, others], THRESHOLDS[others], GLOBAL_THRESHOLD))
    for key in ("map", "roc_auc", "f1_macro"):
        assert values[key] == without[key]
    table = per_genre_table(labels, predictions(scores), resample_counts(80, 100, seed=1))
    assert table["average_precision"].isna().tolist() == [False] * 4 + [True, False]
    assert table["roc_auc"].isna().tolist() == [False] * 4 + [True, True]


def test_the_table_of_genres_equals_scikit_learns() -> None:
    labels, scores = posters()
    table = per_genre_table(labels, predictions(scores), resample_counts(80, 200, seed=1))
    for genre in range(4):
        predicted = scores[:, genre] >= THRESHOLDS[genre]
        precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
            labels[:, genre], predicted, average="binary", zero_division=0
        )
        expected = {
            "prevalence": labels[:, genre].mean(),
            "average_precision": sklearn_metrics.average_precision_score(labels[:, genre], scores[:, genre]),
            "roc_auc": sklearn_metrics.roc_auc_score(labels[:, genre], scores[:, genre]),
            "threshold": THRESHOLDS[genre],
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }
        row = table.iloc[genre].to_dict()
        assert row["low"] < row["average_precision"] < row["high"]
        assert {key: row[key] for key in expected} == pytest.approx(expected)


def test_the_reliability_table_counts_every_pair_in_its_bin() -> None:
    labels, scores = np.array([[1, 0], [1, 0], [0, 1]], np.uint8), np.array([[1.0, 0.02], [0.96, 0.04], [0.5, 0.5]])
    table = reliability_table(labels, scores)
    assert table["pairs"].tolist() == [2, 2, 2]
    assert table["bin"].tolist() == pytest.approx([0.5 / 15, 7.5 / 15, 14.5 / 15])
    assert table["probability"].tolist() == pytest.approx([0.03, 0.5, 0.98])
    assert table["share"].tolist() == pytest.approx([0, 0.5, 1])
    assert metrics(labels, predictions(scores))["ece"] == pytest.approx((0.03 + 0 + 0.02) / 3)
