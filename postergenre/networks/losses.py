"""Losses for several genres a film: each genre is a binary label."""

from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.networks.backend import keras

ops = keras.ops
# Of Lin et al. 2017; the asymmetric loss's three are those of Ridnik et al. 2021.
FOCAL_GAMMA = 2.0
GAMMA_POSITIVE, GAMMA_NEGATIVE, MARGIN = 1.0, 4.0, 0.05


class Loss(keras.losses.Loss):
    """The loss of labels and probabilities, both float32 `(n, genres)` in [0, 1]: one number a poster, `(n,)`.

    Probabilities of several heads, `(n, heads, genres)`, give one number a head, `(n, heads)`.

    kind: `bce`, binary cross-entropy; `focal`, which gives predictions that are nearly right less weight (Lin et al.
        2017, arXiv:1708.02002); `asymmetric`, which does so for absent genres more than for present ones, and ignores
        those with a probability below a margin (Ridnik et al. 2021, arXiv:2009.14119).
    smoothing: labels of 0 and 1 become `smoothing / 2` and `1 - smoothing / 2` (Szegedy et al. 2016, arXiv:1512.00567).
    weights: of the genres, `(genres,)`.
    """

    def __init__(self, kind: str, smoothing: float, weights: npt.ArrayLike):
        super().__init__(name=kind)
        self.kind, self.smoothing = kind, smoothing
        self.weights = np.asarray(weights, dtype=np.float32)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        p = ops.clip(y_pred, 1e-7, 1 - 1e-7)
        if len(y_pred.shape) == 3:
            y_true = y_true[:, None]
        y = y_true * (1 - self.smoothing) + self.smoothing / 2
        if self.kind == "asymmetric":
            absent = ops.clip(p - MARGIN, 1e-7, 1 - 1e-7)
            present, missing = (1 - p) ** GAMMA_POSITIVE * ops.log(p), absent**GAMMA_NEGATIVE * ops.log(1 - absent)
        else:
            gamma = FOCAL_GAMMA if self.kind == "focal" else 0.0
            present, missing = (1 - p) ** gamma * ops.log(p), p**gamma * ops.log(1 - p)
        return -ops.mean(self.weights * (y * present + (1 - y) * missing), axis=-1)


def rarity(prevalence: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """A weight for each genre, `(genres,)`: one over the square root of its share of the posters.

    They are scaled so that they average to 1 over the positives of all genres; a genre without any has the weight 0.
    """
    share = np.asarray(prevalence, dtype=np.float64)
    weights: npt.NDArray[np.float64] = np.where(share > 0, share.clip(1e-12) ** -0.5, 0.0)
    weights *= share.sum() / (weights * share).sum()
    return weights
