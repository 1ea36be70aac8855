"""The posters and labels that a training sees."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postergenre import files
from postergenre.data import split_tables
from postergenre.data.split_tables import Split
from postergenre.data.store import Store
from postergenre.errors import InputError


@dataclass(frozen=True)
class TrainingData:
    """What a training sees.

    store: the posters.
    train, val: rows in the store and labels.
    summary: of the dataset, as `summary.json` holds it.
    digest: of the dataset's three splits.
    """

    store: Store
    train: Split
    val: Split
    summary: dict[str, Any]
    digest: str


def read(resized: Path, dataset: Path) -> TrainingData:
    """The posters and the splits to train on.

    Raises:
        InputError: one of them is missing, or the dataset was made from another store.
    """
    store, summary = Store(resized), files.read_json(dataset / "summary.json", "`dvc repro dataset`")
    if summary["store"] != store.digest:
        raise InputError(f"{dataset} was made from other posters than {resized} holds; run `dvc repro`")
    train, val = (split_tables.read_split(dataset / f"{name}.csv") for name in ("train", "val"))
    return TrainingData(store, train, val, summary, split_tables.digest(dataset))
