"""Splits posters into train, val and test: stratified, or as a given table says."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit
from pydantic import Field, model_validator

from postergenre.data import split_tables
from postergenre.data.split_tables import NAMES
from postergenre.errors import InputError
from postergenre.params import Section


class DatasetParams(Section):
    """`dataset` in params.yaml, which explains each key."""

    val_share: Annotated[float, Field(gt=0, lt=1)]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    min_posters: Annotated[int, Field(ge=1)]
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)]
    split_file: str | None
    limit: Annotated[int, Field(ge=1)] | None
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    @model_validator(mode="after")
    def _is_possible(self) -> "DatasetParams":
        if self.val_share + self.test_share >= 1:
            raise ValueError(
                f"val_share and test_share are {self.val_share} and {self.test_share}; nothing is left to train on"
            )
        if self.split_file and self.limit:
            raise ValueError("split_file and limit are both given; a published split is used whole or not at all")
        return self


@dataclass(frozen=True)
class Selection:
    """The posters to split, and those left out.

    posters: film_id, row (in the store) and one uint8 0/1 column per genre, sorted by film_id.
    genres: the names of the genre columns.
    set_aside: the reason for each film that is left out, by film_id.
    dropped: number of posters of each genre that has too few, by genre.
    """

    posters: pd.DataFrame
    genres: list[str]
    set_aside: dict[str, str]
    dropped: dict[str, int]

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """The genre columns as uint8 `(posters, genres)`, multi-hot."""
        return self.posters[self.genres].to_numpy(dtype=np.uint8)


def select(
    film_ids: list[str], genres_of: dict[str, str], given: dict[str, str] | None, params: DatasetParams
) -> Selection:
    """Choose the posters to split.

    film_ids: the film of each store row.
    genres_of: genres as `Comedy|Drama`, by film id.
    given: `train`, `val` or `test` by film id: a given split, whose films alone are chosen; None for none.

    Raises:
        InputError: fewer than two genres have `dataset.min_posters` posters.
    """
    set_aside = {film_id: "it has no genre" for film_id in film_ids if not genres_of[film_id]}
    if given is not None:
        set_aside |= {film_id: "dataset.split_file does not name it" for film_id in film_ids if film_id not in given}
    labelled = sorted((film_id for film_id in film_ids if film_id not in set_aside), key=_shuffler(params.seed))
    chosen = set(labelled[: params.limit])
    set_aside |= {film_id: "it is beyond dataset.limit" for film_id in labelled if film_id not in chosen}
    posters = pd.DataFrame({"film_id": film_ids, "row": range(len(film_ids))})
    posters = posters[posters["film_id"].isin(chosen)].sort_values("film_id", ignore_index=True)
    labels = posters["film_id"].map(genres_of).str.get_dummies("|").astype(np.uint8)
    counts = labels.sum()
    genres = sorted(counts.index[counts >= params.min_posters])
    if len(genres) < 2:
        raise InputError(_too_few_genres(counts, params))
    unlabelled = labels[genres].sum(axis=1) == 0
    set_aside |= dict.fromkeys(posters.loc[unlabelled, "film_id"], "its genres are all dropped")
    posters = pd.concat([posters, labels[genres]], axis=1)[~unlabelled].reset_index(drop=True)
    dropped = {str(genre): int(n) for genre, n in counts.items() if genre not in genres}
    return Selection(posters, genres, dict(sorted(set_aside.items())), dropped)


def _too_few_genres(counts: pd.Series, params: DatasetParams) -> str:
    """counts: the number of posters of each genre."""
    most = counts.sort_values(ascending=False, kind="stable").head(2)
    received = ", ".join(f"{genre} has {n}" for genre, n in most.items()) or "no poster has a genre"
    only = "one genre has" if (counts >= params.min_posters).any() else "no genre has"
    there = "; there is no other genre" if len(counts) == 1 else ""
    return (
        f"{only} {params.min_posters} posters (dataset.min_posters), and two genres are needed to tell one from "
        f"another: {received}{there}"
    )


def stratify(
    labels: npt.NDArray[np.uint8], groups: npt.NDArray[np.int64], params: DatasetParams
) -> npt.NDArray[np.str_]:
    """Give `train`, `val` or `test` to each poster, so that near-duplicates stay together.

    A group has the genres of all its posters. Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011,
    doi:10.1007/978-3-642-23808-6_10) keeps each genre's share nearly the same in every split.

    labels: `(posters, genres)`, multi-hot.
    groups: `(posters,)`, a number for each group of near-duplicates.

    Returns: `(posters,)`.
    """
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    merged = np.zeros((len(first), labels.shape[1]), dtype=np.uint8)
    np.maximum.at(merged, group_of, labels)
    names = np.full(len(first), "train", dtype="<U5")
    rest = np.arange(len(first))
    for name, share in (("test", params.test_share), ("val", params.val_share / (1 - params.test_share))):
        if len(rest) < 2:
            break
        splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=share, random_state=params.seed)
        others, chosen = next(splitter.split(rest, merged[rest]))
        names[rest[chosen]] = name
        rest = rest[others]
    return names[group_of]


def read_given(file: Path) -> dict[str, str]:
    """Read a given split, a table `film_id,split`; returns the split by film id.

    Raises:
        InputError: the file is missing, is no such table, or names a film twice.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{file} (dataset.split_file) cannot be read: {' '.join(str(error).split())}") from None
    table = table.rename(columns=split_tables.EARLIER_NAMES)
    if not {"film_id", "split"}.issubset(table.columns):
        raise InputError(f"{file} has the columns {', '.join(table.columns)}; a split file has film_id, split")
    for row, (film_id, name) in enumerate(zip(table["film_id"], table["split"], strict=True), 1):
        if name not in NAMES:
            raise InputError(f"{file}, row {row}: the split of {film_id} is {name!r}; it must be {', '.join(NAMES)}")
    repeated = table["film_id"][table["film_id"].duplicated()]
    if len(repeated):
        raise InputError(f"{file} names {repeated.iloc[0]} more than once; a film is in one split")
    return dict(zip(table["film_id"], table["split"], strict=True))


def check_filled(names: npt.NDArray[np.str_]) -> None:
    """Check that each split has posters.

    Raises:
        InputError: one has none.
    """
    for name in NAMES:
        if not (names == name).any():
            raise InputError(f"{len(names)} posters leave none for {name}; give more films or another share")


def _shuffler(seed: int) -> Callable[[str], bytes]:
    """A sort key that shuffles films. It depends on the seed and the film's id alone, not on the other films."""
    return lambda film_id: hashlib.sha256(f"{seed}:{film_id}".encode()).digest()
