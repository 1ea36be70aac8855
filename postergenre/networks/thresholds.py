"""Thresholds: the probability from which on a poster is given a genre."""

import numpy as np
import numpy.typing as npt

# thresholds.json keeps six decimals, and a threshold stays strictly between 0 and 1 there too.
SMALLEST = 1e-6


def fit(
    labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.floating], shrinkage: float
) -> npt.NDArray[np.float64]:
    """The threshold of each genre, `(genres,)` in (0, 1); a probability equal to it counts as above.

    A genre's own threshold is that of best F1 on the given posters, those of the validation split (Lipton, Elkan and
    Narayanaswamy 2014, arXiv:1402.1892). With few positives it is mostly chance, as they show too. So it is shrunk
    towards the global threshold, which rests on the positives of all genres: a genre with n positives has
    `(n * own + shrinkage * global threshold) / (n + shrinkage)`.

    Args:
        labels: multi-hot, `(posters, genres)`.
        probabilities: same shape, in [0, 1].
        shrinkage: the global threshold weighs as much as this many positives; 0 leaves every genre its own.
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
    """The one threshold for all genres, in (0, 1), of best micro F1; both arguments are `(posters, genres)`.

    With calibrated probabilities no set of thresholds has a better micro F1, because a pair of poster and genre counts
    the same in it whatever its genre. Thresholds of each genre's own serve macro F1, the mean of the genres' F1.
    """
    return float(np.clip(_best(labels.ravel(), probabilities.astype(np.float64).ravel()), SMALLEST, 1 - SMALLEST))


def _best(truth: npt.NDArray[np.uint8], scores: npt.NDArray[np.float64]) -> float:
    """The threshold of best F1, midway to the next lower score; the higher one of equals; 0.5 without positives."""
    if not truth.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last = np.append(np.flatnonzero(np.diff(descending)), len(scores) - 1)
    hits = np.cumsum(truth[order], dtype=np.int64)[last]
    best = int(np.argmax(2 * hits / (last + 1 + truth.sum(dtype=np.int64))))
    below = descending[last[best] + 1] if best + 1 < len(last) else 0.0
    return float((descending[last[best]] + below) / 2)
