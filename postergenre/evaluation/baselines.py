"""Baselines: predictions that are the same for every poster."""

import numpy as np
import numpy.typing as npt

from postergenre.data.split_tables import Split
from postergenre.evaluation.evaluator import Predictions
from postergenre.networks import thresholds

GENRE_PRIOR = "genre prior"


def fit(train: Split, val: Split, shrinkage: float) -> dict[str, Predictions]:
    """The baselines by their names; probabilities are `(genres,)`.

    no genre: never predicts a genre.
    genre prior: the probability of each genre is its share of the training posters. Its thresholds are fitted on the
        validation posters, as the model's are.
    {Drama}: always predicts the most frequent genre, whatever its name is.
    {Drama, Comedy}: always predicts the two most frequent genres.
    all genres: always predicts every genre.

    Args:
        train: gives the shares of the genres.
        val: gives the thresholds.
        shrinkage: see `thresholds.fit`.
    """
    shares = train.labels.mean(axis=0)
    by_frequency = np.argsort(-shares, kind="stable")
    prior = np.broadcast_to(shares, val.labels.shape)
    fitted = thresholds.fit(val.labels, prior, shrinkage), thresholds.global_threshold(val.labels, prior)
    most_frequent = {_name(train.genres, by_frequency[:n]): by_frequency[:n] for n in (1, 2)}
    return {
        "no genre": _constant(train.genres, []),
        GENRE_PRIOR: Predictions(shares, *fitted),
        **{name: _constant(train.genres, chosen) for name, chosen in most_frequent.items()},
        "all genres": _constant(train.genres, by_frequency),
    }


def is_constant_set(name: str) -> bool:
    """Whether this is the name of a baseline that always predicts the most frequent genres, such as `{Drama}`."""
    return name.startswith("{")


def _name(genres: list[str], chosen: npt.NDArray[np.int64]) -> str:
    return "{" + ", ".join(genres[k] for k in chosen) + "}"


def _constant(genres: list[str], chosen: npt.NDArray[np.int64] | list[int]) -> Predictions:
    """Probability 1 for the chosen genres, 0 for the others."""
    probabilities = np.zeros(len(genres))
    probabilities[chosen] = 1
    return Predictions(probabilities, np.full(len(genres), 0.5), 0.5)
