"""Makes `data/dataset` from the manifest and the packed posters."""

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
    """A split of the posters.

    selection: the posters that are split.
    names: `train`, `val` or `test` for each poster of the selection.
    groups: the group of near-duplicates of each poster.
    missing: number of films that the given split names and the store lacks.
    store: SHA-256 of the store's content.
    params: `dataset` in params.yaml.
    """

    selection: Selection
    names: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]
    missing: int
    store: str
    params: DatasetParams

    @property
    def names_of(self) -> dict[str, str]:
        """`train`, `val` or `test` by film id."""
        return dict(zip(self.selection.posters["film_id"], self.names.tolist(), strict=True))


def read_split_file(name: str | None, folder: Path) -> dict[str, str] | None:
    """The given split by film id that `dataset.split_file` names, None where it names none.

    folder: where the file must lie, because DVC watches that folder for this stage.

    Raises:
        InputError: the file lies elsewhere, or is no split file.
    """
    if name is None:
        return None
    if folder.resolve() not in Path(name).resolve().parents:
        raise InputError(f"dataset.split_file is {name}; it must lie in {folder}/, where DVC notices its changes")
    return splits.read_given(Path(name))


def make(
    films: pd.DataFrame, store: Store, params: DatasetParams, given: dict[str, str] | None, frozen: dict[str, str]
) -> Dataset:
    """Split the store's posters.

    films: the manifest.
    given: a given split by film id, None for a stratified one.
    frozen: the films that a stratified split has already, with the name of their split.

    Raises:
        InputError: the store's posters are not the manifest's, or too few are left for three splits.
    """
    with_poster = films[films["status"] == "ok"]
    genres_of: dict[str, str] = dict(zip(with_poster["film_id"], with_poster["genres"], strict=True))
    if unknown := set(store.film_ids) - set(genres_of):
        raise InputError(f"the store holds {min(unknown)}, which the manifest does not; run `dvc repro`")
    if given is not None and not given.keys() & set(store.film_ids):
        raise InputError(
            f"{params.split_file} names none of the {len(store)} posters that are here; its ids should be written as "
            f"{store.film_ids[0]}"
        )
    selection = splits.select(store.film_ids, genres_of, given, params)
    rows = selection.posters["row"].to_numpy(dtype=np.int64)
    groups = near_duplicates.find_groups(near_duplicates.compute_hashes(store, rows), params.near_duplicate_bits)
    if given is None:
        film_ids = selection.posters["film_id"].tolist()
        names = splits.stratify_around(film_ids, selection.labels, groups, frozen, params)
    else:
        names = selection.posters["film_id"].map(given).to_numpy(dtype="<U5")
    splits.check_filled(names)
    missing = len(given.keys() - set(store.film_ids)) if given else 0
    return Dataset(selection, names, groups, missing, store.digest, params)


def write(folder: Path, dataset: Dataset) -> None:
    """Write the tables, the vocabulary, the films that were set aside, and a summary."""
    files.write_json(folder / "genres.json", genres.vocabulary(dataset.selection.genres))
    for name in split_tables.NAMES:
        dataset.selection.posters[dataset.names == name].to_csv(folder / f"{name}.csv", index=False)
    set_aside = pd.DataFrame(list(dataset.selection.set_aside.items()), columns=["film_id", "reason"])
    set_aside.to_csv(folder / "set_aside.csv", index=False)
    files.write_json(folder / "summary.json", summary(dataset))


def summary(dataset: Dataset) -> dict[str, Any]:
    """The content of `summary.json`."""
    posters = dataset.selection.posters
    group_sizes = np.bincount(dataset.groups)
    splits_per_group = pd.Series(dataset.names).groupby(dataset.groups).nunique()
    return {
        "store": dataset.store,
        "params": dataset.params.model_dump(),
        "posters": {name: int((dataset.names == name).sum()) for name in split_tables.NAMES},
        "genres": {
            genre: {name: int(posters.loc[dataset.names == name, genre].sum()) for name in split_tables.NAMES}
            for genre in dataset.selection.genres
        },
        "dropped_genres": dataset.selection.dropped,
        "set_aside": pd.Series(dataset.selection.set_aside, dtype=str).value_counts().sort_index().to_dict(),
        "near_duplicates": {
            "groups": int((group_sizes > 1).sum()),
            "posters": int(group_sizes[group_sizes > 1].sum()),
            # Near-duplicates are in different splits only where a given split says so, or where their films were
            # frozen before they were near-duplicates: before a poster or dataset.near_duplicate_bits changed.
            "groups_across_splits": int((splits_per_group > 1).sum()),
        },
        "split_file_films_without_poster": dataset.missing,
    }


def describe(dataset: Dataset) -> str:
    """The summary in a few lines for the terminal."""
    content = summary(dataset)
    lines = [
        ", ".join(f"{n:,} {name}" for name, n in content["posters"].items())
        + f" posters, {len(content['genres'])} genres",
        *(f"{n:,} set aside: {reason}" for reason, n in content["set_aside"].items()),
    ]
    if content["dropped_genres"]:
        dropped = ", ".join(f"{genre} ({n})" for genre, n in content["dropped_genres"].items())
        lines.append(f"dropped for fewer than {dataset.params.min_posters} posters: {dropped}")
    near = content["near_duplicates"]
    if near["groups"]:
        lines.append(
            f"{near['posters']:,} near-duplicates in {near['groups']:,} groups, "
            f"{near['groups_across_splits']:,} of them across splits"
        )
    if near["groups_across_splits"] and dataset.params.split_file is None:
        lines.append("those across splits were frozen apart; `postergenre split --new` brings them together")
    if dataset.missing:
        lines.append(f"{dataset.missing:,} films of {dataset.params.split_file} have no poster here")
    return "\n".join(lines)
