"""How much it helps to average over several views of a poster, or over several networks that differ by their seed.

    python -m benchmarks.ensemble pretrained --seeds 3

Averages are of log-odds. Prints a Markdown table of validation mAPs and of the predictions that each poster needs; the
test posters are not used. `benchmarks.ablation` trains the networks, and models/ holds the last.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from benchmarks import ablation
from postergenre.data import split_tables
from postergenre.data.store import Store
from postergenre.networks.validation import mean_average_precision
from postergenre.prediction import predictor

MODELS = Path("models")
SHIFT = 0.04  # of height and width
Posters = npt.NDArray[np.uint8]
LogOdds = npt.NDArray[np.float64]


def shifted(posters: Posters, down: float, right: float) -> Posters:
    """Posters `(n, height, width, 3)` moved by shares of their height and width; edge pixels fill the gap."""
    height, width = posters.shape[1:3]
    rows = np.clip(np.arange(height) - round(down * height), 0, height - 1)
    columns = np.clip(np.arange(width) - round(right * width), 0, width - 1)
    return posters[:, rows][:, :, columns]


# The views of each poster whose predictions are averaged.
VIEWS: dict[str, list[Callable[[Posters], Posters]]] = {
    "original": [lambda posters: posters],
    "original and mirrored": [lambda posters: posters, lambda posters: posters[:, :, ::-1]],
    "original and four shifts": [
        lambda posters: posters,
        lambda posters: shifted(posters, SHIFT, 0),
        lambda posters: shifted(posters, -SHIFT, 0),
        lambda posters: shifted(posters, 0, SHIFT),
        lambda posters: shifted(posters, 0, -SHIFT),
    ],
}


def log_odds(posters: Posters) -> dict[str, LogOdds]:
    """The log-odds `(n, genres)` of the network in models/, by the views."""
    network = predictor.load(MODELS)
    return {
        name: np.mean([logit(network.predict(view(posters)).clip(1e-7, 1 - 1e-7)) for view in views], axis=0)
        for name, views in VIEWS.items()
    }


def table(labels: npt.NDArray[np.uint8], networks: list[dict[str, LogOdds]]) -> str:
    """A Markdown table; networks: the log-odds of each network by the views."""
    count = len(networks)
    lines = [f"| views | one network | {count} networks | predictions for a poster |", "|---|--:|--:|--:|"]
    for name, views in VIEWS.items():
        of_networks = [network[name].astype(np.float32) for network in networks]
        single = mean(mean_average_precision(labels, each) for each in of_networks)
        average = mean_average_precision(labels, np.mean(of_networks, axis=0))
        lines.append(f"| {name} | {single:.4f} | {average:.4f} | {len(views)} or {len(views) * count} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ensemble")
    parser.add_argument("network")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if not ablation.PARAMS.exists():
        sys.exit(f"error: {ablation.PARAMS} is missing; run this in the project's folder")
    original, networks = ablation.PARAMS.read_bytes(), []
    try:
        for seed in range(1, arguments.seeds + 1):
            ablation.PARAMS.write_bytes(original)
            ablation.train(arguments.network, [], seed)
            val = split_tables.read_split(Path("data/dataset/val.csv"))
            networks.append(log_odds(Store(Path("data/resized"))[val.rows]))
    finally:
        ablation.PARAMS.write_bytes(original)
    print(table(val.labels, networks))


if __name__ == "__main__":
    main()
