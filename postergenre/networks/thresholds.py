"""From probabilities to genres: above which probability a poster is said to have one."""

import numpy as np
import numpy.typing as npt

# thresholds.json keeps six decimals, and a threshold stays strictly between 0 and 1 there too.
SMALLEST = 1e-6


def fit(
    labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.floating], shrinkage: float
) -> npt.NDArray[np.float64]:
    """The threshold of each genre, `(genres,)` in (0, 1): a poster has the genre from it upwards.

    A genre's own threshold is the one of best F1 on the posters given, which are the validation split's (Lipton, Elkan
    and Narayanaswamy 2014, arXiv:1402.1892). With few positives that is mostly chance, as they show too, so it leans on
    the one threshold of best micro F1 over all genres, which has every positive behind it: of a genre with n positives
    the answer is `(n * own + shrinkage * global threshold) / (n + shrinkage)`.

    Args:
        labels: multi-hot, `(posters, genres)`.
        probabilities: same shape, in [0, 1].
        shrinkage: how many positives the global threshold weighs as much as; 0 leaves every genre its own.
    """
    scores = probabilities.astype(np.float64)
    shared = global_threshold(labels, probabilities)
    chosen = np.full(labels.shape[1], shared)
    positives = labels.sum(axis=0, dtype=np.int64)
    for genre in np.flatnonzero(positives):
        own, n = _best(labels[:, genre], scores[:, genre]), positives[genre]
        chosen[genre] = (n * own + shrinkage * shared) / (n + shrinkage)
    return chosen.clip(SMALLEST, 1 - SMALLEST)


def global_threshold(labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.floating]) -> float:
    """The one threshold, in (0, 1), of best micro F1 where all genres share it; both `(posters, genres)`.

    Of probabilities that are calibrated no thresholds have a better one, for what micro F1 gains by a pair does not
    depend on its genre; a genre's own is for the F1 of that genre, of which macro F1 is the mean.
    """
    return float(np.clip(_best(labels.ravel(), probabilities.astype(np.float64).ravel()), SMALLEST, 1 - SMALLEST))


def _best(truth: npt.NDArray[np.uint8], scores: npt.NDArray[np.float64]) -> float:
    """The threshold of best F1, midway to the next lower score; the higher of two that are as good, 0.5 of none."""
    if not truth.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last = np.append(np.flatnonzero(np.diff(descending)), len(scores) - 1)
    hits = np.cumsum(truth[order], dtype=np.int64)[last]
    best = int(np.argmax(2 * hits / (last + 1 + truth.sum(dtype=np.int64))))
    below = descending[last[best] + 1] if best + 1 < len(last) else 0.0
    return float((descending[last[best]] + below) / 2)
