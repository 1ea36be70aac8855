"""The metrics that the evaluation reports: their names, which direction is better, and their range.

A new metric is described here and computed in `evaluator.Evaluator`; `html_report.GROUPS` shows it in the report.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A metric of predictions for labelled posters; its smallest value is 0.

    A pair is one poster and one genre. Averages over genres are over the genres that have test posters.

    key: the metric's name in metrics.json, comparison.csv and MLflow.
    label: the name that people read.
    description: what it measures, for the report.
    higher_is_better: False for losses and errors.
    maximum: the largest possible value.
    """

    key: str
    label: str
    description: str
    higher_is_better: bool = True
    maximum: float = 1.0

    @property
    def heading(self) -> str:
        """The label, with the direction where lower is better."""
        return self.label if self.higher_is_better else f"{self.label} (lower is better)"

    def is_better(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`; False if either is NaN."""
        return value > other if self.higher_is_better else value < other

    def worst(self, *values: float) -> float:
        """The worst of some values."""
        return min(values) if self.higher_is_better else max(values)

    def best(self, values: Mapping[str, float]) -> str:
        """The name of the best value, the first of equals; a NaN is never the best unless all are."""
        sign = 1 if self.higher_is_better else -1
        return max(values, key=lambda name: -np.inf if np.isnan(values[name]) else sign * values[name])


_METRICS = (
    Metric("map", "mAP", "Average precision, averaged over the genres"),
    Metric("map_micro", "mAP, micro", "Average precision of all pairs in one ranking"),
    Metric(
        "roc_auc", "ROC-AUC", "Chance that a poster of a genre ranks above one without it, averaged over the genres"
    ),
    Metric("f1_micro", "F1, micro", "F1 over all pairs"),
    Metric("f1_macro", "F1, macro", "F1 averaged over the genres"),
    Metric("f1_weighted", "F1, weighted", "F1 averaged over the genres, weighted by their posters"),
    Metric("f1_samples", "F1, samples", "F1 of each poster's genres, averaged over the posters"),
    Metric(
        "f1_micro_at_global_threshold", "F1, micro, one threshold", "F1 over all pairs, one threshold for all genres"
    ),
    Metric("f1_micro_at_half", "F1, micro, at 0.5", "F1 over all pairs"),
    Metric("f1_macro_at_half", "F1, macro, at 0.5", "F1 averaged over the genres"),
    Metric("f1_weighted_at_half", "F1, weighted, at 0.5", "F1 averaged over the genres, weighted by their posters"),
    Metric("f1_samples_at_half", "F1, samples, at 0.5", "F1 of each poster's genres, averaged over the posters"),
    Metric(
        "lrap", "LRAP", "Label ranking average precision: share of true genres in the ranking down to each true genre"
    ),
    Metric("coverage", "Coverage error", "How many genres to go down the ranking to find all true ones", False, np.inf),
    Metric("top1_hit", "Top-1 hit rate", "The most probable genre is a true one"),
    Metric("top3_hit", "Top-3 hit rate", "One of the three most probable genres is a true one"),
    Metric("hamming_at_half", "Hamming loss, at 0.5", "Share of pairs predicted wrongly", False),
    Metric("binary_accuracy_at_half", "Binary accuracy, at 0.5", "Share of pairs predicted correctly"),
    Metric(
        "subset_accuracy_at_half", "Subset accuracy, at 0.5", "Share of posters with all genres predicted correctly"
    ),
    Metric("bce", "Cross-entropy", "In nats per pair; probabilities are clipped to 1e-7", False, np.inf),
    Metric("brier", "Brier score", "Mean squared error of the probabilities", False),
    Metric("ece", "Calibration error", "Mean distance between a probability and the share of true pairs", False),
)

METRICS: dict[str, Metric] = {metric.key: metric for metric in _METRICS}

# The metrics in the terminal's table and in the model card.
MAIN = (
    "map",
    "roc_auc",
    "f1_macro",
    "f1_micro_at_global_threshold",
    "lrap",
    "top1_hit",
    "top3_hit",
    "binary_accuracy_at_half",
    "brier",
)

# The metrics that calibration should improve.
CALIBRATION = ("bce", "brier", "ece")
