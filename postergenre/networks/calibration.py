"""Calibration: of the posters that get a probability of 0.3 for a genre, three in ten should have it.

It maps each genre's log-odds z to `slope * z + intercept`, with a slope above 0: no genre's ranking of posters changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit
from sklearn.model_selection import KFold

from postergenre.networks.layer_names import GENRES

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]
Method = Literal["none", "temperature", "platt"]
# From labels and log-odds, both `(posters, genres)`, to slope and intercept, both `(genres,)`.
Fit = Callable[[Labels, Floats], tuple[Floats, Floats]]

# Of the cross-validation by which a method is chosen.
FOLDS = 5
# How far a genre's log slope and intercept are expected to differ from those of all genres: the standard deviation of
# a normal prior.
SPREAD = 0.3
# Probabilities of 0 and 1 have no log-odds.
SMALLEST = 1e-7


@dataclass(frozen=True)
class Calibration:
    """A calibration of all genres.

    method: how it was fitted, see `fit`.
    slope, intercept: `(genres,)`.
    cross_entropy: of each method, in nats per pair of poster and genre, on posters that it was not fitted to.
    """

    method: Method
    slope: Floats
    intercept: Floats
    cross_entropy: dict[str, float]

    def apply(self, probabilities: npt.NDArray[np.floating]) -> Floats:
        """The network's probabilities `(posters, genres)`, calibrated."""
        return probabilities_of(log_odds(probabilities), self.slope, self.intercept)

    def undo(self, probabilities: npt.NDArray[np.floating]) -> Floats:
        """The network's probabilities `(posters, genres)` from calibrated ones."""
        uncalibrated: Floats = expit((log_odds(probabilities) - self.intercept) / self.slope)
        return uncalibrated


def fit(labels: Labels, probabilities: npt.NDArray[np.floating]) -> Calibration:
    """The calibration of least cross-entropy on posters it was not fitted to; of equals the simplest.

    `none` leaves the probabilities as they are. `temperature` has one slope for all genres and no intercept (Guo et al.
    2017, arXiv:1706.04599). `platt` has a slope and an intercept for each genre (Platt 1999), which a prior pulls
    towards the temperature; few posters leave them near it. They are compared by cross-validation in five folds.

    Args:
        labels: multi-hot, `(posters, genres)`, of the validation split.
        probabilities: the network's, in [0, 1], same shape.
    """
    odds = log_odds(probabilities)
    if len(labels) < FOLDS:
        return Calibration("none", *fit_none(labels, odds), {})
    methods: dict[Method, Fit] = {"none": fit_none, "temperature": fit_temperature, "platt": fit_platt}
    loss: dict[str, float] = {
        method: float(binary_cross_entropy(labels, _cross_validated(fit_method, labels, odds)).mean())
        for method, fit_method in methods.items()
    }
    best = min(methods, key=loss.__getitem__)
    return Calibration(best, *methods[best](labels, odds), loss)


def _cross_validated(fit_method: Fit, labels: Labels, odds: Floats) -> Floats:
    """The probabilities of all posters, each by a calibration that was fitted to the other folds."""
    probabilities = np.empty_like(odds)
    for others, fold in KFold(FOLDS, shuffle=True, random_state=0).split(odds):
        probabilities[fold] = probabilities_of(odds[fold], *fit_method(labels[others], odds[others]))
    return probabilities


def fit_none(labels: Labels, odds: Floats) -> tuple[Floats, Floats]:
    """Slope 1 and intercept 0."""
    return np.ones(odds.shape[1]), np.zeros(odds.shape[1])


def fit_temperature(labels: Labels, odds: Floats) -> tuple[Floats, Floats]:
    """One slope for all genres, and intercept 0."""
    best = minimize_scalar(lambda log: _loss(labels, odds * np.exp(log)), bounds=(-3, 3), method="bounded")
    return np.full(odds.shape[1], np.exp(best.x)), np.zeros(odds.shape[1])


def fit_platt(labels: Labels, odds: Floats) -> tuple[Floats, Floats]:
    """A slope and an intercept for each genre, near the temperature where it has few posters."""
    temperature = np.log(fit_temperature(labels, odds)[0][0])

    def fit_genre(genre: int) -> Floats:
        def loss(x: Floats) -> float:
            prior = ((x[0] - temperature) ** 2 + x[1] ** 2) / (2 * SPREAD**2)
            return _loss(labels[:, genre], np.exp(x[0]) * odds[:, genre] + x[1]) + float(prior)

        best: Floats = minimize(loss, np.array([temperature, 0.0])).x
        return best

    log_slopes, intercept = np.transpose([fit_genre(genre) for genre in range(odds.shape[1])])
    return np.exp(log_slopes), intercept


def log_odds(probabilities: npt.NDArray[np.floating]) -> Floats:
    """Of probabilities in [0, 1], which are first clipped to `SMALLEST` from 0 and 1."""
    odds: Floats = logit(np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST))
    return odds


def probabilities_of(odds: Floats, slope: Floats, intercept: Floats) -> Floats:
    """The calibrated probabilities of log-odds `(posters, genres)`; slope, intercept: `(genres,)`."""
    calibrated: Floats = expit(slope * odds + intercept)
    return calibrated


def binary_cross_entropy(labels: npt.NDArray[Any], probabilities: npt.NDArray[np.floating]) -> Floats:
    """Of each pair, `(posters, genres)`, in nats; probabilities are clipped to 1e-7 from 0 and 1, as Keras does."""
    p = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return -np.where(labels, np.log(p), np.log1p(-p))


def apply_to_model(model: Any, calibration: Calibration) -> None:
    """Put the calibration into the weights of a Keras model's last layer, which gives the log-odds.

    The model then predicts calibrated probabilities by itself.
    """
    layer = model.get_layer(GENRES)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * calibration.slope, bias * calibration.slope + calibration.intercept])


def to_json(calibration: Calibration, genres: list[str]) -> dict[str, Any]:
    """The contents of calibration.json."""
    pairs = zip(genres, calibration.slope.tolist(), calibration.intercept.tolist(), strict=True)
    return {
        "method": calibration.method,
        "cross_entropy": {method: round(loss, 6) for method, loss in calibration.cross_entropy.items()},
        "genres": {genre: {"slope": round(a, 6), "intercept": round(b, 6)} for genre, a, b in pairs},
    }


def from_json(contents: dict[str, Any], genres: list[str]) -> Calibration:
    """The calibration in calibration.json, in the order of `genres`.

    Raises:
        ValueError: it is none, or of other genres.
    """
    try:
        rows = [contents["genres"][genre] for genre in genres]
        slope, intercept = (np.array([row[key] for row in rows], np.float64) for key in ("slope", "intercept"))
        method, loss = contents["method"], contents["cross_entropy"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no calibration of these genres ({error!r})") from None
    if method not in get_args(Method) or not np.all(slope > 0):
        raise ValueError(
            f"no calibration: its slopes should be above 0, its method one of {', '.join(get_args(Method))}"
        )
    return Calibration(method, slope, intercept, loss)


def _loss(labels: npt.NDArray[np.uint8], odds: Floats) -> float:
    """Cross-entropy in nats, summed over the pairs."""
    return float(np.sum(np.logaddexp(0, odds) - labels * odds))
