"""Commands that run the pipeline, or a part of it."""

import argparse
import sys
from pathlib import Path

from postergenre.commands.arguments import Add


def add_commands(add: Add) -> None:
    """Add these commands to the parser."""
    # With another prefix, options are arguments too, for DVC.
    add(repro, "run the pipeline", prefix_chars="+", add_help=False).add_argument("arguments", nargs="*")
    add(results, "print the results of the last evaluation")
    _take_new(add(split, "make another split of the films"))


def repro(arguments: argparse.Namespace) -> None:
    """Run the pipeline as `dvc repro` does, and explain where the kernel killed a stage for its memory.

    With --pull, stages make what is never pushed where later stages need it.

    The arguments are those of `dvc repro`.
    """
    from postergenre.dvc_project import reproduction

    sys.exit(reproduction.repro(arguments.arguments))


def results(arguments: argparse.Namespace) -> None:
    """Print the results of the last evaluation, and where the report and the runs are."""
    from postergenre.evaluation import comparison, terminal

    print(terminal.results_table(comparison.read(Path("reports/comparison.csv"))))
    if not Path("models/run.json").exists():
        print("these results are in git, but the model is not: `dvc pull models` or `dvc repro` brings it")
    print("report   reports/report.html\nruns     make mlflow\npredict  postergenre predict poster.jpg")


def split(arguments: argparse.Namespace) -> None:
    """Make another split of the films on purpose, by the seed and the shares in params.yaml.

    The split that `dataset.split` names is replaced. Without this command, a film stays in its split.
    """
    from postergenre import params
    from postergenre.data import dataset, frozen_split, manifest, splits, store

    parameters = params.load("dataset", splits.DatasetParams)
    frozen = frozen_split.read_to_replace(Path("data/splits"), parameters)
    films = manifest.read(Path("data/posters/manifest.csv"))
    made = dataset.make(films, store.Store(Path("data/resized")), parameters, None, {})
    print(frozen.replace(made.names_of))


def _take_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--new", action="store_true", required=True, help="replace the split that dataset.split names")
