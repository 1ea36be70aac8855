"""Whether isotonic regression would calibrate the model in models/ better than what the train stage tries.

    python -m benchmarks.calibration

Five-fold cross-validation on the validation posters, as the train stage chooses by: cross-entropy in nats per pair of
poster and genre, and the mAP that is left, because isotonic regression maps several posters to one probability. It is
fitted to genres with at least so many validation positives, Platt's slope and intercept to the others.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import KFold

from postergenre import errors, files
from postergenre.data import split_tables
from postergenre.data.store import Store
from postergenre.networks import calibration
from postergenre.networks.calibration import Fit, Floats, Labels, binary_cross_entropy
from postergenre.networks.validation import mean_average_precision
from postergenre.prediction import predictor

MODELS = Path("models")
SUPPORTS = (30, 100, 200)
SMALLEST = 1e-3  # a probability of 0 that is wrong once costs more than all others
# From labels and probabilities that it is fitted to, and probabilities of other posters, to those calibrated.
Method = Callable[[Labels, Floats, Floats], Floats]


def linear(fit: Fit, labels: Labels, known: Floats, new: Floats) -> Floats:
    slope, intercept = fit(labels, calibration.log_odds(known))
    return calibration.probabilities_of(calibration.log_odds(new), slope, intercept)


def isotonic(support: int, labels: Labels, known: Floats, new: Floats) -> Floats:
    calibrated = linear(calibration.fit_platt, labels, known, new)
    for genre in np.flatnonzero(labels.sum(axis=0) >= support * (1 - 1 / calibration.FOLDS)):
        fitted = IsotonicRegression(y_min=SMALLEST, y_max=1 - SMALLEST, out_of_bounds="clip")
        calibrated[:, genre] = fitted.fit(known[:, genre], labels[:, genre]).predict(new[:, genre])
    return calibrated


def main() -> None:
    val = split_tables.read_split(Path("data/dataset/val.csv"))
    predictions = predictor.load(MODELS).predict_store(Store(Path("data/resized")), val.rows)
    written = files.read_json(MODELS / "calibration.json", "`dvc repro train`")
    probabilities = calibration.from_json(written, val.genres).undo(predictions)
    methods: dict[str, Method] = {
        "as the network predicts": partial(linear, calibration.fit_none),
        "one temperature": partial(linear, calibration.fit_temperature),
        "a slope and an intercept for each genre": partial(linear, calibration.fit_platt),
    }
    for support in SUPPORTS:
        genres = int((val.labels.sum(axis=0) >= support).sum())
        methods[f"isotonic from {support} positives on ({genres} of {len(val.genres)} genres)"] = partial(
            isotonic, support
        )
    print("| | cross-entropy | mAP |\n|---|--:|--:|")
    for name, method in methods.items():
        calibrated = np.empty_like(probabilities)
        for known, new in KFold(calibration.FOLDS, shuffle=True, random_state=0).split(probabilities):
            calibrated[new] = method(val.labels[known], probabilities[known], probabilities[new])
        loss = binary_cross_entropy(val.labels, calibrated).mean()
        ranked = mean_average_precision(val.labels, calibrated.astype(np.float32))
        print(f"| {name} | {loss:.4f} | {ranked:.4f} |")


if __name__ == "__main__":
    errors.run(main)
