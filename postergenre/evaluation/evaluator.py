"""Every metric of one set of predictions, on the test posters as they are and on bootstrap resamples of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import comb

from postergenre.evaluation.arrays import nan_mean, ratio
from postergenre.evaluation.metrics import METRICS
from postergenre.evaluation.reliability import CalibrationError
from postergenre.networks.calibration import binary_cross_entropy

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Posters times resamples that are computed at once: about 100 MB, however many there are of either.
BLOCK = 1 << 19


@dataclass(frozen=True)
class Predictions:
    """What a model or a baseline predicts.

    probabilities: in [0, 1], `(posters, genres)`, or `(genres,)` if they are the same for every poster.
    thresholds: `(genres,)`; a genre is predicted if its probability is at least its threshold.
    global_threshold: the one threshold for all genres that is best for micro F1.
    """

    probabilities: npt.NDArray[np.floating]
    thresholds: npt.NDArray[np.floating]
    global_threshold: float


class Evaluator:
    """Computes the metrics of one set of predictions, for any number of resamples; what needs sorting is sorted once.

    Metrics that count wrong pairs use the threshold 0.5, at which calibrated probabilities make the fewest errors
    (Dembczynski et al. 2012, doi:10.1007/s10994-012-5285-8). The thresholds for F1 lie far below it for rare genres.

    Ties count as in scikit-learn. Where ties leave open which genres are the most probable, a hit rate is the expected
    one of a random choice among them. An average over genres leaves out genres without positives; ROC-AUC also leaves
    out genres without negatives.

    Args:
        labels: multi-hot, `(posters, genres)`.
        predictions: for these posters.
    """

    def __init__(self, labels: npt.NDArray[np.uint8], predictions: Predictions):
        truth = labels.astype(bool)
        scores = np.broadcast_to(predictions.probabilities, labels.shape).astype(np.float64)
        predicted = {
            "": scores >= predictions.thresholds,
            "_at_global_threshold": scores >= predictions.global_threshold,
            "_at_half": scores >= 0.5,
        }
        self._posters = len(labels)
        per_poster = _per_poster(truth, scores, predicted)
        self._per_poster_keys = list(per_poster)
        self._per_poster = sparse.csr_array(np.stack([per_poster[key] for key in self._per_poster_keys]))
        self._f1_scores = {suffix: _F1Scores(truth, pairs) for suffix, pairs in predicted.items()}
        self._genre_rankings = [_Ranking(truth[:, [g]], scores[:, [g]]) for g in range(labels.shape[1])]
        self._pair_ranking = _Ranking(truth, scores)
        self._calibration_error = CalibrationError(truth, scores)

    def metrics(self, resample_counts: npt.NDArray[np.integer]) -> dict[str, Floats]:
        """Every metric of `METRICS` by its key, `(resamples,)`; NaN where it is undefined.

        resample_counts: how often each poster counts, `(resamples, posters)`, in each resample at least one.
        """
        return self._in_blocks(resample_counts, self._metrics)

    def per_genre(self, resample_counts: npt.NDArray[np.integer]) -> dict[str, Floats]:
        """`average_precision` and `roc_auc` of each genre, `(resamples, genres)`; NaN where it is undefined."""
        return self._in_blocks(resample_counts, self._per_genre)

    def _metrics(self, weights: Floats) -> dict[str, Floats]:
        """weights: here and below, how often each poster counts in each resample, `(posters, resamples)`."""
        means = self._per_poster @ weights / weights.sum(axis=0)
        values: dict[str, Floats] = dict(zip(self._per_poster_keys, means, strict=True))
        for suffix, f1_scores in self._f1_scores.items():
            values |= {f"f1_{average}{suffix}": f1 for average, f1 in f1_scores.averages(weights).items()}
        areas = self._per_genre(weights)
        values["map"] = nan_mean(areas["average_precision"])
        values["roc_auc"] = nan_mean(areas["roc_auc"])
        values["map_micro"] = self._pair_ranking.areas(weights)[0]
        values["ece"] = self._calibration_error.values(weights)
        return {key: values[key] for key in METRICS}

    def _per_genre(self, weights: Floats) -> dict[str, Floats]:
        precision, roc = zip(*(ranking.areas(weights) for ranking in self._genre_rankings), strict=True)
        return {"average_precision": np.stack(precision, axis=1), "roc_auc": np.stack(roc, axis=1)}

    def _in_blocks(
        self, resample_counts: npt.NDArray[np.integer], compute: Callable[[Floats], dict[str, Floats]]
    ) -> dict[str, Floats]:
        size = max(1, BLOCK // self._posters)
        blocks = [
            compute(np.ascontiguousarray(resample_counts[start : start + size].T, dtype=np.float64))
            for start in range(0, len(resample_counts), size)
        ]
        return {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}


class _Ranking:
    """Pairs of poster and genre by descending score.

    Only the scores of true pairs matter, each distinct score once. Row k of the sparse counts `(scores + 1, posters)`
    holds for the k-th highest of them: in `positives` the true pairs with that score, in `ties` the false pairs with
    that score, in `negatives` the false pairs from that score up to the score before.

    Args:
        truth: `(posters, genres)`.
        scores: same shape.
    """

    def __init__(self, truth: Bools, scores: Floats):
        descending = np.unique(-scores[truth])
        place = np.searchsorted(descending, -scores)
        tied = np.append(descending, np.nan)[place] == -scores
        self._positives, self._negatives, self._ties = (
            sparse.csr_array(
                (np.ones(chosen.sum()), (place[chosen], np.nonzero(chosen)[0])),
                shape=(len(descending) + 1, len(scores)),
            )
            for chosen in (truth, ~truth, ~truth & tied)
        )

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """Average precision and the area under the ROC curve, both `(resamples,)`."""
        positives = self._positives @ weights
        hits, misses = np.cumsum(positives, axis=0), np.cumsum(self._negatives @ weights, axis=0)
        precision = ratio(hits, hits + misses)
        outranked = misses[-1] - misses + (self._ties @ weights) / 2
        with np.errstate(invalid="ignore"):
            return (
                (positives * precision).sum(axis=0) / hits[-1],
                (positives * outranked).sum(axis=0) / (hits[-1] * misses[-1]),
            )


class _F1Scores:
    """F1 of predicted genres; truth, predicted: `(posters, genres)`."""

    def __init__(self, truth: Bools, predicted: Bools):
        self._hits, self._predicted, self._true = (
            sparse.csr_array(pairs.T.astype(np.float64)) for pairs in (truth & predicted, predicted, truth)
        )

    def averages(self, weights: Floats) -> dict[str, Floats]:
        """F1 `(resamples,)` by its kind of average over the genres; 0 where no pair is predicted and none is true."""
        hits, predicted, true = self._hits @ weights, self._predicted @ weights, self._true @ weights
        f1 = ratio(2 * hits, predicted + true)
        return {
            "micro": ratio(2 * hits.sum(axis=0), (predicted + true).sum(axis=0)),
            "macro": nan_mean(np.where(true > 0, f1, np.nan).T),
            "weighted": ratio((f1 * true).sum(axis=0), true.sum(axis=0)),
        }


def lrap_per_poster(labels: npt.NDArray[np.uint8], predictions: Predictions) -> Floats:
    """The label ranking average precision of each poster, `(posters,)`; labels: `(posters, genres)`."""
    scores = np.broadcast_to(predictions.probabilities, labels.shape).astype(np.float64)
    return _label_ranking(labels.astype(bool), scores)["lrap"]


def _per_poster(truth: Bools, scores: Floats, predicted: Mapping[str, Bools]) -> dict[str, Floats]:
    """The metrics that are averages over posters, for each poster, `(posters,)`."""
    correct = predicted["_at_half"] == truth
    f1 = {
        f"f1_samples{suffix}": ratio(2.0 * (pairs & truth).sum(axis=1), pairs.sum(axis=1) + truth.sum(axis=1))
        for suffix, pairs in predicted.items()
    }
    return (
        f1
        | _label_ranking(truth, scores)
        | {
            "top1_hit": _hit_rate(truth, scores, 1),
            "top3_hit": _hit_rate(truth, scores, 3),
            "hamming_at_half": 1 - correct.mean(axis=1),
            "binary_accuracy_at_half": correct.mean(axis=1),
            "subset_accuracy_at_half": correct.all(axis=1).astype(np.float64),
            "bce": binary_cross_entropy(truth, scores).mean(axis=1),
            "brier": ((scores - truth) ** 2).mean(axis=1),
        }
    )


def _label_ranking(truth: Bools, scores: Floats) -> dict[str, Floats]:
    """LRAP and coverage error of each poster (Tsoumakas, Katakis and Vlahavas 2010).

    The rank of a genre is the number of genres that score at least as high.
    """
    as_high = scores[:, None, :] >= scores[:, :, None]
    rank, rank_among_true = as_high.sum(axis=2), (as_high & truth[:, None, :]).sum(axis=2)
    positives = truth.sum(axis=1)
    lrap = ratio(np.where(truth, rank_among_true / rank, 0).sum(axis=1), positives)
    coverage = np.where(truth, rank, 0).max(axis=1).astype(np.float64)
    return {"lrap": np.where(positives, lrap, 1.0), "coverage": coverage}


def _hit_rate(truth: Bools, scores: Floats, k: int) -> Floats:
    """The chance that one of the k highest scores is a true genre's; ties for the last places are broken at random."""
    k = min(k, scores.shape[1])
    last = -np.partition(-scores, k - 1, axis=1)[:, [k - 1]]
    above, tied = scores > last, scores == last
    places, true_ties = k - above.sum(axis=1), (tied & truth).sum(axis=1)
    miss = comb(tied.sum(axis=1) - true_ties, places) / comb(tied.sum(axis=1), places)
    return np.where((above & truth).any(axis=1), 1.0, 1 - miss)
