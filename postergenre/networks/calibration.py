"""Calibration: of the posters that get a probability of 0.3 for a genre, three in ten should have it.

A map of each genre's log-odds, `slope * z + intercept`, with a slope above 0: no genre's ranking of posters changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit
from sklearn.model_selection import KFold

Floats = npt.NDArray[np.float64]
Method = Literal["none", "temperature", "platt"]

FOLDS = 5
# How far a genre's log slope and intercept stray from those of all genres: the standard deviation of a normal prior.
SPREAD = 0.3
# Probabilities of 0 and 1 have no log-odds.
SMALLEST = 1e-7


@dataclass(frozen=True)
class Calibration:
    """Attributes:

    method: how it was found, see `fit`. slope, intercept: `(genres,)`. cross_entropy: in nats per pair of poster and
    genre, by method, on posters that the method was not fitted to.
    """

    method: Method
    slope: Floats
    intercept: Floats
    cross_entropy: dict[str, float]

    def after(self, probabilities: npt.NDArray[np.floating]) -> Floats:
        """What the network's probabilities `(posters, genres)` become."""
        return _mapped(_odds(probabilities), self.slope, self.intercept)

    def before(self, probabilities: npt.NDArray[np.floating]) -> Floats:
        """What calibrated probabilities `(posters, genres)` were."""
        before: Floats = expit((_odds(probabilities) - self.intercept) / self.slope)
        return before


def fit(labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.floating]) -> Calibration:
    """The calibration of least cross-entropy on posters it was not fitted to, the simplest of equals.

    `none` leaves the probabilities as they are; `temperature` has one slope for all genres and no intercept (Guo et al.
    2017, arXiv:1706.04599); `platt` a slope and an intercept for each genre (Platt 1999), which lean on the temperature
    as far as the genre has few posters. They are compared by cross-validation in five folds.

    Args:
        labels: multi-hot, `(posters, genres)`, of the validation split.
        probabilities: the network's, in [0, 1], same shape.
    """
    odds = _odds(probabilities)
    ways: dict[Method, Callable[[npt.NDArray[np.uint8], Floats], tuple[Floats, Floats]]]
    ways = {"none": _none, "temperature": _temperature, "platt": _platt}
    if len(labels) < FOLDS:
        return Calibration("none", *_none(labels, odds), {})
    answers = {method: np.empty_like(odds) for method in ways}
    for fitted, held in KFold(FOLDS, shuffle=True, random_state=0).split(odds):
        for method, way in ways.items():
            answers[method][held] = _mapped(odds[held], *way(labels[fitted], odds[fitted]))
    loss: dict[str, float] = {
        method: float(binary_cross_entropy(labels, answer).mean()) for method, answer in answers.items()
    }
    best = min(ways, key=loss.__getitem__)
    return Calibration(best, *ways[best](labels, odds), loss)


def binary_cross_entropy(labels: npt.NDArray[Any], probabilities: npt.NDArray[np.floating]) -> Floats:
    """Of each pair, `(posters, genres)`, in nats; probabilities are clipped to 1e-7 from 0 and 1 as Keras does."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return -np.where(labels, np.log(p), np.log1p(-p))


def work_in(model: Any, calibration: Calibration) -> None:
    """Put the calibration into the last layer of a Keras model, whose log-odds are linear: whoever has it, has both."""
    layer = model.get_layer("genres")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * calibration.slope, bias * calibration.slope + calibration.intercept])


def described(calibration: Calibration, genres: list[str]) -> dict[str, Any]:
    """For calibration.json."""
    pairs = zip(genres, calibration.slope.tolist(), calibration.intercept.tolist(), strict=True)
    return {
        "method": calibration.method,
        "cross_entropy": {method: round(loss, 6) for method, loss in calibration.cross_entropy.items()},
        "genres": {genre: {"slope": round(a, 6), "intercept": round(b, 6)} for genre, a, b in pairs},
    }


def read(description: dict[str, Any], genres: list[str]) -> Calibration:
    """From calibration.json, in the order of `genres`.

    Raises:
        ValueError: it is none, or of other genres.
    """
    try:
        rows = [description["genres"][genre] for genre in genres]
        slope, intercept = (np.array([row[key] for row in rows], np.float64) for key in ("slope", "intercept"))
        method, loss = description["method"], description["cross_entropy"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no calibration of these genres ({error!r})") from None
    if method not in get_args(Method) or not np.all(slope > 0):
        raise ValueError("no calibration: its slopes should be above 0 and its method one that exists")
    return Calibration(method, slope, intercept, loss)


def _none(labels: npt.NDArray[np.uint8], odds: Floats) -> tuple[Floats, Floats]:
    return np.ones(odds.shape[1]), np.zeros(odds.shape[1])


def _temperature(labels: npt.NDArray[np.uint8], odds: Floats) -> tuple[Floats, Floats]:
    found = minimize_scalar(lambda log: _loss(labels, odds * np.exp(log)), bounds=(-3, 3), method="bounded")
    return np.full(odds.shape[1], np.exp(found.x)), np.zeros(odds.shape[1])


def _platt(labels: npt.NDArray[np.uint8], odds: Floats) -> tuple[Floats, Floats]:
    common = np.log(_temperature(labels, odds)[0][0])

    def of_genre(genre: int) -> Floats:
        def cost(x: Floats) -> float:
            leaning = ((x[0] - common) ** 2 + x[1] ** 2) / (2 * SPREAD**2)
            return _loss(labels[:, genre], np.exp(x[0]) * odds[:, genre] + x[1]) + float(leaning)

        found: Floats = minimize(cost, np.array([common, 0.0])).x
        return found

    logs, intercept = np.transpose([of_genre(genre) for genre in range(odds.shape[1])])
    return np.exp(logs), intercept


def _loss(labels: npt.NDArray[np.uint8], odds: Floats) -> float:
    """Cross-entropy in nats, summed over the pairs."""
    return float(np.sum(np.logaddexp(0, odds) - labels * odds))


def _odds(probabilities: npt.NDArray[np.floating]) -> Floats:
    odds: Floats = logit(np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST))
    return odds


def _mapped(odds: Floats, slope: Floats, intercept: Floats) -> Floats:
    mapped: Floats = expit(slope * odds + intercept)
    return mapped
