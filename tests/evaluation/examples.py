"""Labels and probabilities for the tests of the evaluation, and what scikit-learn computes from them."""

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sklearn_metrics

from postergenre.evaluation.bootstrap import original_counts
from postergenre.evaluation.evaluator import Evaluator, Predictions

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

THRESHOLDS = np.array([0.3, 0.5, 0.2, 0.7, 0.4, 0.6])
GLOBAL_THRESHOLD = 0.4


def posters(n: int = 80) -> tuple[Labels, Floats]:
    """Labels and probabilities with many ties; the fifth genre has no positives, the sixth no negatives."""
    random = np.random.default_rng(4)
    labels = (random.random((n, 6)) < [0.5, 0.3, 0.1, 0.05, 0, 1]).astype(np.uint8)
    labels[:, 3] |= np.arange(n) == 7
    return labels, np.clip(random.random((n, 6)) * 0.7 + 0.3 * labels, 0, 1).round(1)


def predictions(scores: Floats) -> Predictions:
    """With a threshold for each of up to six genres."""
    return Predictions(scores, THRESHOLDS[: scores.shape[1]], GLOBAL_THRESHOLD)


def metrics(labels: Labels, predicted: Predictions) -> dict[str, float]:
    """Every metric on the posters as they are."""
    values = Evaluator(labels, predicted).metrics(original_counts(len(labels)))
    return {key: float(value[0]) for key, value in values.items()}


def calibration_error(labels: Labels, scores: Floats) -> float:
    """The sum over fifteen bins as in its paper, |B| / n * |acc(B) - conf(B)|; scikit-learn has no such function."""
    total = 0.0
    for number in range(15):
        inside = (scores >= number / 15) & ((scores < (number + 1) / 15) | (number == 14))
        if inside.any():
            total += inside.mean() * abs(labels[inside].mean() - scores[inside].mean())
    return total


def reference(labels: Labels, scores: Floats) -> dict[str, float]:
    """The metrics by scikit-learn, on the genres for which they are defined."""
    with_positives = labels.any(axis=0)
    both = with_positives & ~labels.all(axis=0)
    predicted, at_half = (scores >= THRESHOLDS[: labels.shape[1]]).astype(int), (scores >= 0.5).astype(int)
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    expected = {
        "map": sklearn_metrics.average_precision_score(labels[:, with_positives], scores[:, with_positives]),
        "map_micro": sklearn_metrics.average_precision_score(labels, scores, average="micro"),
        "roc_auc": sklearn_metrics.roc_auc_score(labels[:, both], scores[:, both]),
        "lrap": sklearn_metrics.label_ranking_average_precision_score(labels, scores),
        "coverage": sklearn_metrics.coverage_error(labels, scores),
        "hamming_at_half": sklearn_metrics.hamming_loss(labels, at_half),
        "binary_accuracy_at_half": sklearn_metrics.accuracy_score(labels.ravel(), at_half.ravel()),
        "subset_accuracy_at_half": sklearn_metrics.accuracy_score(labels, at_half),
        "bce": sklearn_metrics.log_loss(labels.ravel(), clipped.ravel()),
        "brier": sklearn_metrics.brier_score_loss(labels.ravel(), scores.ravel()),
        "ece": calibration_error(labels, scores),
    }
    at_global_threshold = (scores >= GLOBAL_THRESHOLD).astype(int)
    expected["f1_micro_at_global_threshold"] = sklearn_metrics.f1_score(labels, at_global_threshold, average="micro")
    for suffix, pairs in (("", predicted), ("_at_half", at_half)):
        for average in ("micro", "macro", "weighted", "samples"):
            columns = with_positives if average == "macro" else slice(None)
            expected[f"f1_{average}{suffix}"] = sklearn_metrics.f1_score(
                labels[:, columns], pairs[:, columns], average=average, zero_division=0
            )
    return expected
