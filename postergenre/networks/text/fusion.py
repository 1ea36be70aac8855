"""Fusion: one probability for each genre from several sources, the picture and what stands on it.

Each source gives log-odds. Their difference from the genre's log-odds among all films is evidence, and evidence adds
up: `prior + sum of weight * (log-odds of the source - prior)`, a logarithmic opinion pool (Genest and Zidek 1986,
doi:10.1214/ss/1177013825). One weight for each source, the same for all genres, leaves little to fit too closely.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # it imports scikit-learn, for which predictions do not wait
    from postergenre.networks.calibration import Method

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
# Probabilities of 0 and 1 have no log-odds.
SMALLEST = 1e-7


@dataclass(frozen=True)
class Fusion:
    """How sources are joined, calibrated and cut.

    weights: by source, from 0.
    prior: float64 `(genres,)`, log-odds of the genres among the training posters.
    method: of the calibration, see `calibration.fit`.
    slope, intercept: float64 `(genres,)`, of the calibration.
    thresholds: float64 `(genres,)`; a genre is predicted if its probability is at least its threshold.
    global_threshold: the one threshold for all genres that is best for micro F1.
    """

    weights: dict[str, float]
    prior: Doubles
    method: "Method"
    slope: Doubles
    intercept: Doubles
    thresholds: Doubles
    global_threshold: float

    def apply(self, sources: Mapping[str, Floats]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` from the log-odds `(n, genres)` of each source in `weights`."""
        odds = _pool(self.weights, self.prior, sources)
        return (1 / (1 + np.exp(-(self.slope * odds + self.intercept)))).astype(np.float32)

    def to_json(self, genres: list[str]) -> dict[str, Any]:
        columns = {name: getattr(self, name) for name in ("prior", "slope", "intercept", "thresholds")}
        rows = {
            genre: {name: round(float(values[place]), 6) for name, values in columns.items()}
            for place, genre in enumerate(genres)
        }
        return {
            "weights": self.weights,
            "calibration": self.method,
            "global_threshold": round(self.global_threshold, 6),
            "genres": rows,
        }


def from_json(contents: dict[str, Any], genres: list[str]) -> Fusion:
    """What `to_json` gave, in the order of `genres`.

    Raises:
        KeyError, TypeError, ValueError: it is none, or of other genres.
    """
    rows = [contents["genres"][genre] for genre in genres]
    prior, slope, intercept, cuts = (
        np.array([row[name] for row in rows], np.float64) for name in ("prior", "slope", "intercept", "thresholds")
    )
    weights = {str(name): float(weight) for name, weight in contents["weights"].items()}
    shared = float(contents["global_threshold"])
    return Fusion(weights, prior, contents["calibration"], slope, intercept, cuts, shared)


def fit(
    labels: npt.NDArray[np.uint8], sources: Mapping[str, Floats], shares: npt.ArrayLike, shrinkage: float
) -> Fusion:
    """The fusion with the weights of least cross-entropy on the given posters, those of the validation split.

    Args:
        labels: multi-hot, `(n, genres)`.
        sources: log-odds `(n, genres)` of each.
        shares: of the training posters that have each genre, `(genres,)`.
        shrinkage: see `thresholds.fit`.
    """
    from scipy.optimize import minimize

    from postergenre.networks import calibration, thresholds

    prior = log_odds(np.asarray(shares, np.float64).clip(1e-4, 1 - 1e-4))

    def named(values: npt.NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(sources, values.tolist(), strict=True))

    def loss(values: npt.NDArray[np.float64]) -> float:
        odds = _pool(named(values), prior, sources)
        return float(np.mean(np.logaddexp(0, odds) - labels * odds))

    start = np.full(len(sources), 1 / len(sources))
    values = minimize(loss, start, bounds=[(0, None)] * len(sources)).x
    weights = {name: round(weight, 6) for name, weight in named(values).items()}
    pooled = 1 / (1 + np.exp(-_pool(weights, prior, sources)))
    fitted = calibration.fit(labels, pooled)
    calibrated = fitted.apply(pooled)
    cuts = thresholds.fit(labels, calibrated, shrinkage)
    shared = thresholds.global_threshold(labels, calibrated)
    return Fusion(weights, prior, fitted.method, fitted.slope, fitted.intercept, cuts, shared)


def log_odds(probabilities: Floats) -> Doubles:
    """The log-odds of probabilities in [0, 1]."""
    p = probabilities.astype(np.float64).clip(SMALLEST, 1 - SMALLEST)
    odds: Doubles = np.log(p) - np.log1p(-p)
    return odds


def _pool(weights: Mapping[str, float], prior: Doubles, sources: Mapping[str, Floats]) -> Doubles:
    evidence: Doubles = sum((weight * (sources[name] - prior) for name, weight in weights.items()), np.zeros(()))
    return prior + evidence
