"""Splits posters into train, val and test: stratified, or as a given table says."""

import hashlib
import io
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
    split: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
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


def stratify_around(
    film_ids: list[str],
    labels: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.int64],
    frozen: dict[str, str],
    params: DatasetParams,
) -> npt.NDArray[np.str_]:
    """Give `train`, `val` or `test` to each poster; films that have one already keep it.

    A new film follows its near-duplicates. Where those are in several splits, it goes to the first of train, val and
    test that has one, so that no further test poster has a near-duplicate elsewhere. All others are stratified, so that
    old and new films together have each genre's share in every split.

    film_ids: the film of each poster.
    labels: `(posters, genres)`, multi-hot.
    groups: `(posters,)`, a number for each group of near-duplicates.
    frozen: `train`, `val` or `test` by film id.

    Returns: `(posters,)`.
    """
    unknown = len(NAMES)
    sides = np.array([NAMES.index(frozen[film_id]) if film_id in frozen else unknown for film_id in film_ids])
    if (sides == unknown).all():
        return stratify(labels, groups, params)
    first = np.full(groups.max() + 1, unknown)
    np.minimum.at(first, groups, sides)
    sides = np.where(sides == unknown, first[groups], sides)
    new = sides == unknown
    counted = np.column_stack([labels, np.ones(len(labels))])  # in the last column, the poster itself
    lacking = np.outer(_shares(params), counted.sum(axis=0))
    np.subtract.at(lacking, sides[~new], counted[~new])
    _, start, group_of = np.unique(groups[new], return_index=True, return_inverse=True)
    group_counts = np.zeros((len(start), counted.shape[1]))
    np.add.at(group_counts, group_of, counted[new])
    shuffled = _shuffler(params.seed)
    first_films = np.array(film_ids)[new][start]
    order = np.array(sorted(range(len(start)), key=lambda group: shuffled(first_films[group])), dtype=np.int64)
    sides[new] = _fill(group_counts[order], lacking)[np.argsort(order)][group_of]
    return np.array([NAMES[side] for side in sides], dtype="<U5")


def _fill(counts: npt.NDArray[np.float64], lacking: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Place groups into splits by iterative stratification, from splits that have posters already.

    The genre with the fewest groups left comes first. Each of its groups goes where that genre lacks most, then where
    posters lack most.

    counts: `(groups, genres + 1)`, the posters of each genre in each group; the last column counts all its posters.
    lacking: `(splits, genres + 1)`, the posters that each split lacks; negative where it has too many.

    Returns: the split's number `(groups,)`.
    """
    lacking = lacking.copy()
    sides = np.full(len(counts), -1)
    while (sides < 0).any():
        left = (counts[sides < 0, :-1] > 0).sum(axis=0)
        genre = int(np.where(left > 0, left, len(counts) + 1).argmin())
        for group in np.nonzero((sides < 0) & (counts[:, genre] > 0))[0]:
            need = lacking.round(6)  # so that rounding errors break no tie
            sides[group] = max(range(len(NAMES)), key=lambda side: (need[side, genre], need[side, -1]))
            lacking[sides[group]] -= counts[group]
    return sides


def _shares(params: DatasetParams) -> npt.NDArray[np.float64]:
    """The share of the posters in each split of `NAMES`."""
    return np.array([1 - params.val_share - params.test_share, params.val_share, params.test_share])


def read_given(file: Path) -> dict[str, str]:
    """Read a given split, a table `film_id,split`; returns the split by film id.

    A first line that begins with # is passed over: `frozen_split` writes one.

    Raises:
        InputError: the file is missing, is no such table, or names a film twice.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = text.partition("\n")[2] if text.startswith("#") else text
        table = pd.read_csv(io.StringIO(rows), dtype=str, keep_default_na=False, index_col=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
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
            raise InputError(
                f"{len(names)} posters leave none for {name}; give more films or other shares, or make another split "
                "by `postergenre split --new`"
            )


def _shuffler(seed: int) -> Callable[[str], bytes]:
    """A sort key that shuffles films. It depends on the seed and the film's id alone, not on the other films."""
    return lambda film_id: hashlib.sha256(f"{seed}:{film_id}".encode()).digest()
