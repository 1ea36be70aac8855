"""Reads `train.csv`, `val.csv` and `test.csv`, which the dataset stage writes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre import files
from postergenre.errors import InputError

NAMES = ("train", "val", "test")
# Columns that tables of earlier versions have. They are read; nothing writes them.
EARLIER_NAMES = {"imdb_id": "film_id"}


@dataclass(frozen=True)
class Split:
    """One table of `data/dataset`, with n posters.

    film_ids: the film of each poster.
    rows: int64 `(n,)`, the poster's row in the store.
    genres: the names of the label columns.
    labels: uint8 `(n, genres)`, multi-hot.
    """

    film_ids: list[str]
    rows: npt.NDArray[np.int64]
    genres: list[str]
    labels: npt.NDArray[np.uint8]


def read_split(file: Path) -> Split:
    """Read one of `train.csv`, `val.csv`, `test.csv`.

    Raises:
        InputError: the file is missing or no such table.
    """
    try:
        table = pd.read_csv(file, dtype={"film_id": str})
    except FileNotFoundError:
        raise InputError(f"{file} is missing; `dvc repro dataset` writes it") from None
    if list(table.columns[:2]) != ["film_id", "row"] or len(table.columns) < 3:
        raise InputError(
            f"{file} has the columns {', '.join(table.columns[:4])}...; a split has film_id, row and its genres"
        )
    genres = [str(name) for name in table.columns[2:]]
    return Split(
        table["film_id"].tolist(), table["row"].to_numpy(dtype=np.int64), genres, table[genres].to_numpy(dtype=np.uint8)
    )


def digest(folder: Path) -> str:
    """SHA-256 of the three splits in `folder` and of their genres."""
    return files.sha256(folder / "genres.json", *(folder / f"{name}.csv" for name in NAMES))
