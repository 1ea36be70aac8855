"""How much each choice in a network contributes: change it alone, train with several seeds, compare on validation.

    python -m benchmarks.ablation pretrained --seeds 3
    python -m benchmarks.ablation resnet --seeds 1

Each training is a `dvc exp run` of the stages up to train, with the values of params.yaml, so DVC takes a training that
was done before from its cache. Prints a Markdown table of the best epoch's validation mAP; the test posters are not
used. params.yaml is unchanged in the end. models/ holds the last training; `dvc repro` restores that of params.yaml.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

import pandas as pd

PARAMS = Path("params.yaml")
HISTORY = Path("models/history.csv")

# By network: the text of a row, and the values that it changes, as `dvc exp run -S` takes them. `@` stands for the
# network's section of params.yaml, and `+` adds a key that the section lacks.
CHANGES: dict[str, dict[str, list[str]]] = {
    "pretrained": {
        "unchanged": [],
        "one head": ["@backbone.heads=1"],
        "no normalisation": ["@architecture.head.norm=none"],
        "no hidden layer": ["@architecture.head.dense=[]"],
        "dropout 0.5 on the features": ["@architecture.head.dropout=0.5"],
        "asymmetric loss": ["@training.loss=asymmetric"],
        "focal loss": ["@training.loss=focal"],
        "label smoothing 0.1": ["@training.label_smoothing=0.1"],
        "class weights": ["@training.class_weights=true"],
        "moving average of the weights": ["@training.ema=0.99"],
        "features of the last block only": ["@architecture.head.blocks=[9]"],
        "input of 592 x 400": ["@architecture.input.height=592", "@architecture.input.width=400"],
        "input of 444 x 300": ["@architecture.input.height=444", "@architecture.input.width=300"],
        "input of 236 x 160": ["@architecture.input.height=236", "@architecture.input.width=160"],
        "input of 150 x 100": ["@architecture.input.height=150", "@architecture.input.width=100"],
    },
    "resnet": {
        "unchanged": [],
        "features of blocks 2 to 4": ["+@architecture.head.blocks=[2,3,4]"],
        "moving average of the weights": ["@training.ema=0.99"],
        "horizontal flip": ["@architecture.augmentation.horizontal_flip=true"],
        "squeeze-excitation": [f"+@architecture.blocks.{number}.squeeze=8" for number in (1, 2, 3)],
        "stochastic depth": [f"+@architecture.blocks.{number}.drop_path=0.1" for number in (1, 2, 3)],
        "no norm": [f"@architecture.blocks.{number}.norm=none" for number in (1, 2, 3)],
        "group norm": [f"@architecture.blocks.{number}.norm=group" for number in (1, 2, 3)],
        "two units in blocks 2 and 3": [f"@architecture.blocks.{number}.repeats=2" for number in (1, 2)],
        "no augmentation": [f"@architecture.augmentation.{key}=0.0" for key in ("shift", "brightness", "contrast")],
    },
}


def train(network: str, changes: list[str], seed: int) -> float:
    """Train once; returns the best validation mAP.

    Raises:
        SystemExit: the training failed.
    """
    values = [change.replace("@", f"networks.{network}.") for change in changes]
    settings = [f"train.network={network}", f"train.seed={seed}", *values]
    options = [word for value in settings for word in ("-S", value)]
    command = ["dvc", "exp", "run", "--quiet", *options, "train"]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"error: the training with {', '.join(settings)} failed; the trainings before it are kept")
    return float(pd.read_csv(HISTORY)["val_map"].max())


def table(results: dict[str, list[float]]) -> str:
    """A Markdown table; results: the validation mAPs of each change, those of the unchanged network first."""
    lines = ["| | validation mAP | | difference |", "|---|--:|--:|--:|"]
    unchanged = mean(next(iter(results.values())))
    for name, values in results.items():
        spread = f"± {stdev(values):.4f}" if len(values) > 1 else ""
        difference = f"{mean(values) - unchanged:+.4f}" if mean(values) != unchanged else ""
        lines.append(f"| {name} | {mean(values):.4f} | {spread} | {difference} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation")
    parser.add_argument("network", choices=list(CHANGES))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if not PARAMS.exists():
        sys.exit(f"error: {PARAMS} is missing; run this in the project's folder")
    original, results = PARAMS.read_bytes(), dict[str, list[float]]()
    try:
        for name, changes in CHANGES[arguments.network].items():
            for seed in range(1, arguments.seeds + 1):
                PARAMS.write_bytes(original)  # `dvc exp run -S` writes its values into the file
                results.setdefault(name, []).append(train(arguments.network, changes, seed))
                print(f"{name}, seed {seed}: {results[name][-1]:.4f}", file=sys.stderr)
    finally:
        PARAMS.write_bytes(original)
    print(table(results))


if __name__ == "__main__":
    main()
