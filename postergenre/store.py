"""Packed posters: decoded once, gathered from memory maps in any order."""

import os
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib import format as npy
from pydantic import Field
from tqdm import tqdm

from postergenre import files, images
from postergenre.errors import InputError
from postergenre.params import Section


class ResizeParams(Section):
    """`resize` in params.yaml, where each key is explained."""

    height: Annotated[int, Field(ge=8, le=4096)]
    width: Annotated[int, Field(ge=8, le=4096)]
    fit: images.Fit


@dataclass(frozen=True)
class Member:
    """Where one poster's bytes lie in a tar file."""

    imdb_id: str
    tar: Path
    offset: int
    size: int


class Store:
    """The posters of `data/resized` as one read-only array of uint8 `(posters, height, width, 3)`.

    Attributes:
        height, width: pixels. fit: how the posters were fitted into them.
        imdb_ids: the film of each row.
        digest: SHA-256 of what the store holds, for those who must know whether it is still the same.

    Raises:
        InputError: the folder holds no complete store.
    """

    def __init__(self, folder: Path):
        about = files.read_json(folder / "store.json", "`dvc repro resize`")
        index = pd.read_csv(folder / "index.csv", dtype={"imdb_id": str, "shard": str, "row": np.int64})
        self.height, self.width, self.fit = int(about["height"]), int(about["width"]), about["fit"]
        self.imdb_ids: list[str] = index["imdb_id"].tolist()
        self.digest: str = about["sha256"]
        self._shards = [_mapped(folder / name, self.height, self.width) for name in index["shard"].unique()]
        self._shard = pd.factorize(index["shard"])[0]
        self._row = index["row"].to_numpy()
        if len(index) != about["posters"] or len(index) != sum(map(len, self._shards)):
            raise InputError(
                f"{folder} is not one store: its index, arrays and store.json count differently; run `dvc repro`"
            )

    def __len__(self) -> int:
        return len(self.imdb_ids)

    def __getitem__(self, rows: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """The posters in `rows` (integers `(n,)`, in any order), copied to uint8 `(n, height, width, 3)`."""
        rows = np.asarray(rows, dtype=np.int64)
        posters = np.empty((len(rows), self.height, self.width, 3), dtype=np.uint8)
        for number in np.unique(self._shard[rows]):
            here = np.flatnonzero(self._shard[rows] == number)
            posters[here] = self._shards[number][self._row[rows[here]]]
        return posters


def write(posters: Path, folder: Path, params: ResizeParams) -> tuple[int, int]:
    """Decode every poster in the tar shards of `posters` into `folder`, on all cores; how many, and how many refused.

    One array per tar, so that a change in one tar changes one array. Memory does not grow with their number: workers
    read their poster from the tar, and the arrays are written row by row.
    """
    index, rejects, digests = [], [], {}
    tars = sorted(posters.glob("shard-*.tar"))
    fit = partial(_fitted, height=params.height, width=params.width, mode=params.fit)
    with ProcessPoolExecutor(_cores()) as workers, tqdm(unit=" posters", desc="resize", disable=None) as progress:
        for tar in tars:
            members = _members(tar)
            array, row = folder / f"{tar.stem}.npy", 0
            with _ArrayWriter(array, (params.height, params.width, 3)) as writer:
                for member, fitted in zip(members, workers.map(fit, members, chunksize=16), strict=True):
                    progress.update()
                    if isinstance(fitted, str):
                        rejects.append((member.imdb_id, fitted))
                        continue
                    writer.append(fitted)
                    index.append((member.imdb_id, array.name, row))
                    row += 1
            digests[array.name] = files.sha256(array)
            if not row:
                files.remove(array)
    pd.DataFrame(index, columns=["imdb_id", "shard", "row"]).to_csv(folder / "index.csv", index=False)
    pd.DataFrame(rejects, columns=["imdb_id", "reason"]).to_csv(folder / "rejects.csv", index=False)
    _write_about(folder, params, len(index), digests)
    return len(index), len(rejects)


def _write_about(folder: Path, params: ResizeParams, posters: int, digests: dict[str, str]) -> None:
    digest = files.sha256_text(files.sha256(folder / "index.csv") + "".join(digests.values()))
    files.write_json(folder / "store.json", params.model_dump() | {"posters": posters, "sha256": digest})


def _mapped(file: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    try:
        array: npt.NDArray[np.uint8] = np.load(file, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError) as error:
        raise InputError(f"{file} cannot be read ({error}); run `dvc repro resize`") from None
    if array.dtype != np.uint8 or array.shape[1:] != (height, width, 3):
        raise InputError(f"{file} holds {array.dtype} {array.shape[1:]}; the store says uint8 ({height}, {width}, 3)")
    return array


def _members(tar: Path) -> list[Member]:
    with tarfile.open(tar) as shard:
        return [Member(Path(member.name).stem, tar, member.offset_data, member.size) for member in shard]


def _fitted(member: Member, height: int, width: int, mode: images.Fit) -> npt.NDArray[np.uint8] | str:
    """The poster at its size, or why not. Runs in a worker, which reads the bytes itself."""
    with member.tar.open("rb") as tar:
        tar.seek(member.offset)
        data = tar.read(member.size)
    try:
        return images.fit(images.decode(data), height, width, mode)
    except images.ImageError as error:
        return str(error)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _ArrayWriter:
    """A .npy file that grows row by row; NumPy pads the header so that the count can be written last."""

    def __init__(self, file: Path, row_shape: tuple[int, ...]):
        self._stream = file.open("wb")
        self._row_shape, self._rows = row_shape, 0
        self._write_header()

    def __enter__(self) -> "_ArrayWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def append(self, row: npt.NDArray[np.uint8]) -> None:
        self._stream.write(row.tobytes())
        self._rows += 1

    def _write_header(self) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._rows, *self._row_shape)}
        npy.write_array_header_1_0(self._stream, header)


def batches(rows: Sequence[int] | npt.NDArray[np.int64], size: int) -> Iterator[npt.NDArray[np.int64]]:
    """`rows` in pieces of at most `size`."""
    rows = np.asarray(rows, dtype=np.int64)
    yield from (rows[start : start + size] for start in range(0, len(rows), size))
