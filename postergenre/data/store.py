"""The store: all packed posters as one array, gathered from memory maps in any order."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre import files
from postergenre.errors import InputError


class Store:
    """The posters of `data/resized` as one read-only array of uint8 `(posters, height, width, 3)`.

    It joins the array shards: store row k is the k-th row of index.csv, which names an array shard and the poster's
    position in it.

    height, width: pixels.
    fit: how the posters were fitted into them: crop, pad or stretch.
    film_ids: the film of each store row.
    digest: SHA-256 of the store's content.

    Raises:
        InputError: the folder holds no complete store.
    """

    def __init__(self, folder: Path):
        description = files.read_json(folder / "store.json", "`dvc repro resize`")
        index = pd.read_csv(folder / "index.csv", dtype={"film_id": str, "shard": str, "row": np.int64})
        self.height, self.width, self.fit = int(description["height"]), int(description["width"]), description["fit"]
        self.film_ids: list[str] = index["film_id"].tolist()
        self.digest: str = description["sha256"]
        self._shards = [_map(folder / name, self.height, self.width) for name in index["shard"].unique()]
        self._shard_of = pd.factorize(index["shard"])[0]
        self._position_of = index["row"].to_numpy()
        if len(index) != description["posters"] or len(index) != sum(map(len, self._shards)):
            raise InputError(
                f"{folder} is not one store: its index, arrays and store.json count differently; run `dvc repro`"
            )

    def __len__(self) -> int:
        return len(self.film_ids)

    def __getitem__(self, rows: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """The posters in these store rows (integers `(n,)`, in any order), copied to uint8 `(n, height, width, 3)`."""
        rows = np.asarray(rows, dtype=np.int64)
        posters = np.empty((len(rows), self.height, self.width, 3), dtype=np.uint8)
        for number in np.unique(self._shard_of[rows]):
            in_shard = np.flatnonzero(self._shard_of[rows] == number)
            posters[in_shard] = self._shards[number][self._position_of[rows[in_shard]]]
        return posters


def _map(file: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    """An array shard, mapped into memory."""
    try:
        array: npt.NDArray[np.uint8] = np.load(file, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError) as error:
        raise InputError(f"{file} cannot be read ({error}); run `dvc repro resize`") from None
    if array.dtype != np.uint8 or array.shape[1:] != (height, width, 3):
        raise InputError(
            f"{file} holds {array.dtype} {array.shape[1:]}; store.json requires uint8 ({height}, {width}, 3)"
        )
    return array


def batches(rows: npt.NDArray[np.int64], size: int) -> Iterator[npt.NDArray[np.int64]]:
    """`rows` in batches of at most `size`."""
    yield from (rows[start : start + size] for start in range(0, len(rows), size))
