"""What it takes to answer without looking at a poster."""

import numpy as np
import numpy.typing as npt

from postergenre.data.split_tables import Split
from postergenre.evaluation.metrics import Predictions
from postergenre.networks import thresholds


def answers(train: Split, val: Split, shrinkage: float) -> dict[str, Predictions]:
    """The answers that are the same for every poster, by what they say; the test posters are not asked.

    `no genre`; `genre prior`, each genre with its share of the training posters, and with thresholds that are fitted
    to the validation posters as the network's are; the most frequent genre; the two most frequent; `all genres`.
    """
    share = train.labels.mean(axis=0)
    frequent = np.argsort(-share, kind="stable")
    prior = np.broadcast_to(share, val.labels.shape)
    fitted = thresholds.fit(val.labels, prior, shrinkage), thresholds.global_threshold(val.labels, prior)
    return {
        "no genre": _certain(train.genres, []),
        "genre prior": Predictions(share, *fitted),
        **{_named(train.genres, frequent[:n]): _certain(train.genres, frequent[:n]) for n in (1, 2)},
        "all genres": _certain(train.genres, frequent),
    }


def _named(genres: list[str], chosen: npt.NDArray[np.int64]) -> str:
    return "{" + ", ".join(genres[k] for k in chosen) + "}"


def _certain(genres: list[str], chosen: npt.NDArray[np.int64] | list[int]) -> Predictions:
    """Probability 1 for the chosen genres, 0 for the others."""
    probabilities = np.zeros(len(genres))
    probabilities[chosen] = 1
    return Predictions(probabilities, np.full(len(genres), 0.5), 0.5)
