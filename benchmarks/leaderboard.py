"""Every network that was trained on the present dataset, beside the baselines, as a Markdown table.

    dvc exp run -S train.network=resnet
    dvc exp run -S train.network=pretrained
    python -m benchmarks.leaderboard

Takes the newest run of each network from MLflow, on the same test posters. Prints the table and writes it into
reports/leaderboard.md. A model that reads the posters has rows for its picture alone and its text alone, too. Posters a
second are measured now, one network after another, as `postergenre predict --no-text` runs it, without the decoding of
files. They and the weights are those of the network for pictures. Training seconds are those of the run; a run that
found the features or vectors of an earlier one in checkpoints/ did not compute them again.
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import yaml

from benchmarks.predict import TIMES
from postergenre import files
from postergenre.data import split_tables, store
from postergenre.evaluation.comparison import MODEL, Comparison
from postergenre.evaluation.metrics import METRICS
from postergenre.prediction.predictor import BATCH
from postergenre.tracking import mlflow_settings

if TYPE_CHECKING:
    from postergenre.tracking.logged_models import EvaluatedRun

SHOWN = ("map", "roc_auc", "f1_macro", "f1_micro_at_global_threshold", "lrap", "top1_hit", "ece")
OUTPUT = Path("reports/leaderboard.md")
POSTERS = 512


def table(networks: "Mapping[str, EvaluatedRun]", speeds: Mapping[str, float]) -> str:
    """The networks, the best by mAP first, each before its parts, then the baselines; speeds: posters a second."""
    headings = [METRICS[key].heading for key in SHOWN]
    lines = [
        f"| | {' | '.join(headings)} | weights | training, s | posters a second |",
        "|---" + "|--:" * (len(SHOWN) + 3) + "|",
    ]
    by_map = sorted(networks, key=lambda name: networks[name].comparison.score("map").value, reverse=True)
    for name in by_map:
        run = networks[name]
        cells = [*_scores(run.comparison, MODEL), f"{run.weights:,}", f"{run.seconds:.0f}", f"{speeds[name]:.0f}"]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
        for part in run.comparison.parts:
            lines.append(f"| `{name}`, {part} | {' | '.join(_scores(run.comparison, part))} | | | |")
    comparison = networks[by_map[0]].comparison  # the baselines are the same in all
    for baseline in comparison.baselines:
        values = [comparison.score(key, baseline).format().value for key in SHOWN]
        lines.append(f"| {baseline} | {' | '.join(values)} | | | |")
    return "\n".join(lines)


def speed(network: "EvaluatedRun", posters: npt.NDArray[np.uint8]) -> float:
    """Posters a second as ONNX, in the fastest of a few rounds."""
    model = _as_onnx(network.run_id)
    model(posters[:BATCH])
    seconds = []
    for _ in range(TIMES):
        started = time.monotonic()
        for start in range(0, len(posters), BATCH):
            model(posters[start : start + BATCH])
        seconds.append(time.monotonic() - started)
    return len(posters) / min(seconds)


def _as_onnx(run_id: str) -> Any:
    from postergenre.networks import backend, onnx_model
    from postergenre.tracking import logged_models

    backend.start()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx_model.export(logged_models.load_keras(run_id), file)
        return onnx_model.OnnxModel(file)


def _scores(comparison: Comparison, predictor: str) -> list[str]:
    scores = [comparison.score(key, predictor).format() for key in SHOWN]
    return [f"{score.value} ({score.low}-{score.high})" for score in scores]


def main() -> None:
    if not Path("dvc.lock").exists():
        sys.exit("error: dvc.lock is missing; run this in the project's folder, after `dvc repro`")
    locked = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]["dataset"]["outs"][0]["md5"]
    mlflow_settings.configure(mlflow_settings.COMMAND_TIMEOUT)
    from postergenre.tracking import logged_models

    networks = logged_models.newest(locked)
    if not networks:
        sys.exit("error: MLflow has no evaluated run of the present dataset; `dvc repro` makes one")
    test = split_tables.read_split(Path("data/dataset/test.csv"))
    posters = store.Store(Path("data/resized"))[test.rows[:POSTERS]]
    text = table(networks, {name: speed(run, posters) for name, run in networks.items()})
    counts = files.read_json(Path("data/dataset/summary.json"), "`dvc repro dataset`")["posters"]
    about = f"{counts['train']:,} training, {counts['val']:,} validation and {counts['test']:,} test posters"
    with files.atomic_write(OUTPUT) as new:
        new.write_text(f"# Leaderboard\n\n{about}; {len(test.genres)} genres.\n\n{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
