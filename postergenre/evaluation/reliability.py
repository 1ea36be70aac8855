"""Reliability: whether a predicted probability matches the share of true pairs (Niculescu-Mizil and Caruana 2005)."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from postergenre.evaluation.arrays import ratio

Floats = npt.NDArray[np.float64]

# Bins of equal width, as many as Guo et al. 2017 used.
BINS = 15


class CalibrationError:
    """The expected calibration error (Guo et al. 2017, arXiv:1706.04599) of resampled posters.

    Over all pairs of poster and genre: the distance between a bin's mean probability and its share of true pairs,
    averaged over the bins, weighted by their pairs.

    Args:
        truth: `(posters, genres)`.
        scores: probabilities, same shape.
    """

    def __init__(self, truth: npt.NDArray[np.bool_], scores: Floats):
        bins = _bin_indices(scores)
        posters = np.broadcast_to(np.arange(len(scores))[:, None], scores.shape)
        excess = (scores - truth).ravel()
        # Row k: by how much the scores of each poster's pairs in bin k exceed the truth.
        self._excess = sparse.csr_array((excess, (bins.ravel(), posters.ravel())), shape=(BINS, len(scores)))
        self._genres = scores.shape[1]

    def values(self, weights: Floats) -> Floats:
        """The error on each resample, `(resamples,)`; weights: how often each poster counts, `(posters, resamples)`."""
        error: Floats = np.abs(self._excess @ weights).sum(axis=0) / (weights.sum(axis=0) * self._genres)
        return error


def reliability_table(labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.floating]) -> pd.DataFrame:
    """A row for each bin that has pairs.

    bin: the bin's middle.
    pairs: how many pairs of poster and genre have a probability in the bin.
    probability: their mean probability.
    share: the share of them that is true.

    Args:
        labels: multi-hot, `(posters, genres)`.
        probabilities: same shape, in [0, 1].
    """
    bins, scores = _bin_indices(probabilities).ravel(), probabilities.astype(np.float64).ravel()
    pairs = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, values, BINS).astype(np.float64) for values in (scores, labels.ravel()))
    means = [ratio(total, pairs.astype(np.float64)) for total in sums]
    columns = {"bin": (np.arange(BINS) + 0.5) / BINS, "pairs": pairs, "probability": means[0], "share": means[1]}
    return pd.DataFrame(columns)[pairs > 0].reset_index(drop=True)


def _bin_indices(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The bin of each score; a score of 1 is in the last."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)
