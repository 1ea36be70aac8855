"""Every network that was trained on the present dataset, beside answers that look at no poster, as a Markdown table.

    dvc exp run -S train.network=resnet
    dvc exp run -S train.network=pretrained
    python -m benchmarks.leaderboard

The newest run of each network in MLflow, on the same test posters; writes reports/leaderboard.md too. Posters a second
are those of the network as `postergenre predict` runs it, the decoding of files aside, measured now and one by one.
Training seconds are of that run: features that an earlier one had left were not looked for again.
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

from benchmarks.predict import TIMES
from postergenre import files
from postergenre.data import split_tables, store
from postergenre.evaluation.metrics import METRICS
from postergenre.evaluation.report import MODEL
from postergenre.prediction.predictor import BATCH
from postergenre.tracking import runs
from postergenre.tracking.runs import EvaluatedRun

SHOWN = ("map", "roc_auc", "f1_macro", "f1_micro_at_global_threshold", "lrap", "top1_hit", "ece")
OUTPUT = Path("reports/leaderboard.md")
POSTERS = 512


def table(networks: Mapping[str, EvaluatedRun], speeds: Mapping[str, float]) -> str:
    """The networks, the best by mAP first, then those that guess; speeds: posters a second."""
    heads = [METRICS[key].label + ("" if METRICS[key].higher_is_better else " (low is good)") for key in SHOWN]
    lines = [
        f"| | {' | '.join(heads)} | weights | training, s | posters a second |",
        "|---" + "|--:" * (len(SHOWN) + 3) + "|",
    ]
    cells = {name: _cells(judged.comparison, MODEL) for name, judged in networks.items()}
    for name in sorted(networks, key=lambda name: cells[name]["map"], reverse=True):
        judged = networks[name]
        rest = [f"{judged.weights:,}", f"{judged.seconds:.0f}", f"{speeds[name]:.0f}"]
        lines.append(f"| `{name}` | {' | '.join([*(cells[name][key] for key in SHOWN), *rest])} |")
    any_one = next(iter(networks.values())).comparison
    for guess in any_one["answer"].unique():
        if guess != MODEL:
            values = [text.split(" ")[0] for text in (_cells(any_one, guess)[key] for key in SHOWN)]
            lines.append(f"| {guess} | {' | '.join(values)} | | | |")
    return "\n".join(lines)


def speed(network: EvaluatedRun, posters: npt.NDArray[np.uint8]) -> float:
    """Posters a second as ONNX: the best of a few rounds."""
    answer = _as_onnx(network.run_id)
    answer(posters[:BATCH])
    taken = []
    for _ in range(TIMES):
        started = time.monotonic()
        for start in range(0, len(posters), BATCH):
            answer(posters[start : start + BATCH])
        taken.append(time.monotonic() - started)
    return len(posters) / min(taken)


def _as_onnx(run_id: str) -> Any:
    from postergenre.networks import backend, onnx_model

    backend.start()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx_model.export(runs.load_keras(run_id), file)
        return onnx_model.OnnxModel(file)


def _cells(comparison: pd.DataFrame, answer: str) -> dict[str, str]:
    rows = comparison[comparison["answer"] == answer].set_index("metric")
    cells = rows[["value", "low", "high"]].map("{:.3f}".format).to_dict("index")
    return {str(key): f"{cell['value']} ({cell['low']}-{cell['high']})" for key, cell in cells.items()}


def main() -> None:
    if not Path("dvc.lock").exists():
        sys.exit("error: dvc.lock is missing; run this in the project's folder, after `dvc repro`")
    locked = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]["dataset"]["outs"][0]["md5"]
    networks = runs.newest(locked)
    if not networks:
        sys.exit("error: MLflow has no judged run of the present dataset; `dvc repro` makes one")
    test = split_tables.read_split(Path("data/dataset/test.csv"))
    posters = store.Store(Path("data/resized"))[test.rows[:POSTERS]]
    text = table(networks, {name: speed(judged, posters) for name, judged in networks.items()})
    counts = files.read_json(Path("data/dataset/summary.json"), "`dvc repro dataset`")["posters"]
    about = f"{counts['train']:,} posters to train on, {counts['val']:,} to choose by, {counts['test']:,} to judge by"
    with files.atomic_write(OUTPUT) as new:
        new.write_text(f"# Leaderboard\n\n{about}; {len(test.genres)} genres.\n\n{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
