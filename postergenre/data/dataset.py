"""From the manifest and the packed posters to `data/dataset`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre import files
from postergenre.data import genres, near_duplicates, split_tables, splits
from postergenre.data.splits import DatasetParams, Selection
from postergenre.data.store import Store
from postergenre.errors import InputError


@dataclass(frozen=True)
class Dataset:
    """A split of the posters. names: `train`, `val` or `test` per poster of the selection; groups: of near-duplicates.

    missing: films that the outside split names and the store lacks.
    """

    selection: Selection
    names: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]
    missing: int
    store: str
    params: DatasetParams


def split_file(name: str | None, folder: Path) -> dict[str, str] | None:
    """The outside split that `dataset.split_file` names, None where it names none.

    Raises:
        InputError: it lies outside `folder`, the one that DVC watches for this stage, or is no split file.
    """
    if name is None:
        return None
    if folder.resolve() not in Path(name).resolve().parents:
        raise InputError(f"dataset.split_file is {name}; it must lie in {folder}/, where DVC notices its changes")
    return splits.outside(Path(name))


def make(films: pd.DataFrame, store: Store, params: DatasetParams, given: dict[str, str] | None) -> Dataset:
    """Split the store's posters; `films` is the manifest.

    Raises:
        InputError: the store's posters are not the manifest's, or too few are left for three splits.
    """
    held = films[films["status"] == "ok"]
    genres_of: dict[str, str] = dict(zip(held["imdb_id"], held["genres"], strict=True))
    if unknown := set(store.imdb_ids) - set(genres_of):
        raise InputError(f"the store holds {min(unknown)}, which the manifest does not; run `dvc repro`")
    if given is not None and not given.keys() & set(store.imdb_ids):
        raise InputError(
            f"{params.split_file} names none of the {len(store)} posters that are here; its ids should be written as "
            f"{store.imdb_ids[0]}"
        )
    selection = splits.select(store.imdb_ids, genres_of, given, params)
    rows = selection.posters["row"].to_numpy(dtype=np.int64)
    groups = near_duplicates.groups(near_duplicates.hashes(store, rows), params.near_duplicate_bits)
    if given is None:
        names = splits.stratify(selection.labels, groups, params)
    else:
        names = selection.posters["imdb_id"].map(given).to_numpy(dtype="<U5")
    splits.check_filled(names)
    missing = len(given.keys() - set(store.imdb_ids)) if given else 0
    return Dataset(selection, names, groups, missing, store.digest, params)


def write(folder: Path, made: Dataset) -> None:
    """Write the tables, the vocabulary and what a reader needs to judge them."""
    files.write_json(folder / "genres.json", genres.vocabulary(made.selection.genres))
    for name in split_tables.NAMES:
        made.selection.posters[made.names == name].to_csv(folder / f"{name}.csv", index=False)
    aside = pd.DataFrame(list(made.selection.set_aside.items()), columns=["imdb_id", "reason"])
    aside.to_csv(folder / "set_aside.csv", index=False)
    files.write_json(folder / "summary.json", summary(made))


def summary(made: Dataset) -> dict[str, Any]:
    """What `summary.json` says."""
    posters, kept = made.selection.posters, made.selection.genres
    sizes = np.bincount(made.groups)
    apart = pd.Series(made.names).groupby(made.groups).nunique()
    return {
        "store": made.store,
        "params": made.params.model_dump(),
        "posters": {name: int((made.names == name).sum()) for name in split_tables.NAMES},
        "genres": {
            genre: {name: int(posters.loc[made.names == name, genre].sum()) for name in split_tables.NAMES}
            for genre in kept
        },
        "dropped_genres": made.selection.dropped,
        "set_aside": pd.Series(made.selection.set_aside, dtype=str).value_counts().sort_index().to_dict(),
        "near_duplicates": {
            "groups": int((sizes > 1).sum()),
            "posters": int(sizes[sizes > 1].sum()),
            # Only an outside split, which is kept as it is, can set look-alikes apart.
            "groups_across_splits": int((apart > 1).sum()),
        },
        "split_file_films_without_poster": made.missing,
    }


def describe(made: Dataset) -> str:
    """The dataset in a few lines for the terminal."""
    about = summary(made)
    lines = [
        ", ".join(f"{n:,} {name}" for name, n in about["posters"].items()) + f" posters, {len(about['genres'])} genres",
        *(f"{n:,} set aside: {reason}" for reason, n in about["set_aside"].items()),
    ]
    if about["dropped_genres"]:
        dropped = ", ".join(f"{genre} ({n})" for genre, n in about["dropped_genres"].items())
        lines.append(f"dropped for fewer than {made.params.min_posters} posters: {dropped}")
    near = about["near_duplicates"]
    if near["groups"]:
        lines.append(
            f"{near['posters']:,} near-duplicates in {near['groups']:,} groups, "
            f"{near['groups_across_splits']:,} of them across splits"
        )
    if made.missing:
        lines.append(f"{made.missing:,} films of {made.params.split_file} have no poster here")
    return "\n".join(lines)
