"""Predictions for a split, and the score by which the best epoch is chosen."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score

from postergenre.data.split_tables import Split
from postergenre.data.store import batches

if TYPE_CHECKING:
    import keras

    from postergenre.networks.batches import Inputs

# Posters that a network sees at once. More are no faster on a processor, and each takes 10 MB at 268 x 182.
CHUNK = 8


def predictions(model: "keras.Model", inputs: "Inputs", split: Split) -> npt.NDArray[np.float32]:
    """The model's probabilities `(n, genres)` for a split's posters; of several heads, those of their mean log-odds."""
    chunks = [model.predict_on_batch(inputs[rows]) for rows in batches(split.rows, CHUNK)]
    probabilities = np.concatenate([np.asarray(chunk, np.float32) for chunk in chunks])
    if probabilities.ndim == 2:
        return probabilities
    return expit(logit(probabilities.clip(1e-7, 1 - 1e-7)).mean(axis=1))  # type: ignore[no-any-return]


def mean_average_precision(labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float32]) -> float:
    """Average precision, averaged over the genres that have positives; both `(n, genres)`."""
    with_positives = labels.any(axis=0)
    scored = labels[:, with_positives], probabilities[:, with_positives]
    return float(average_precision_score(*scored, average="macro"))
