"""What it is worth to look at each poster several times, or with several networks that differ by their seed alone.

    python -m benchmarks.ensemble pretrained --seeds 3

Averages are of log-odds. Prints a Markdown table of validation mAPs, and how often a network looks at each poster; the
test posters are not asked. The networks are trained as `benchmarks.ablation` trains them, and models/ holds the last.
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
    """Posters `(n, height, width, 3)` moved by shares of their height and width; what comes in repeats the edge."""
    height, width = posters.shape[1:3]
    rows = np.clip(np.arange(height) - round(down * height), 0, height - 1)
    columns = np.clip(np.arange(width) - round(right * width), 0, width - 1)
    return posters[:, rows][:, :, columns]


# What a network is shown of each poster.
LOOKS: dict[str, list[Callable[[Posters], Posters]]] = {
    "once": [lambda posters: posters],
    "and mirrored": [lambda posters: posters, lambda posters: posters[:, :, ::-1]],
    "and moved four ways": [
        lambda posters: posters,
        lambda posters: shifted(posters, SHIFT, 0),
        lambda posters: shifted(posters, -SHIFT, 0),
        lambda posters: shifted(posters, 0, SHIFT),
        lambda posters: shifted(posters, 0, -SHIFT),
    ],
}


def log_odds(posters: Posters) -> dict[str, LogOdds]:
    """Of the network in models/, by what it is shown: `(n, genres)`."""
    network = predictor.load(MODELS)
    return {
        name: np.mean([logit(network.predict(look(posters)).clip(1e-7, 1 - 1e-7)) for look in looks], axis=0)
        for name, looks in LOOKS.items()
    }


def table(labels: npt.NDArray[np.uint8], answers: list[dict[str, LogOdds]]) -> str:
    """answers: of each network, by what it is shown."""
    lines = [f"| shown | one network | {len(answers)} networks | looks at each poster |", "|---|--:|--:|--:|"]
    for name, looks in LOOKS.items():
        seen = [answer[name].astype(np.float32) for answer in answers]
        alone = mean(mean_average_precision(labels, one) for one in seen)
        together = mean_average_precision(labels, np.mean(seen, axis=0))
        lines.append(f"| {name} | {alone:.4f} | {together:.4f} | {len(looks)} or {len(looks) * len(answers)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ensemble")
    parser.add_argument("network")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if not ablation.PARAMS.exists():
        sys.exit(f"error: {ablation.PARAMS} is missing; run this in the project's folder")
    before, answers = ablation.PARAMS.read_bytes(), []
    try:
        for seed in range(1, given.seeds + 1):
            ablation.PARAMS.write_bytes(before)
            ablation.trained(given.network, [], seed)
            val = split_tables.read_split(Path("data/dataset/val.csv"))
            answers.append(log_odds(Store(Path("data/resized"))[val.rows]))
    finally:
        ablation.PARAMS.write_bytes(before)
    print(table(val.labels, answers))


if __name__ == "__main__":
    main()
