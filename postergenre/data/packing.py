"""Packing posters: each decoded once, by all cores, into arrays that training maps into memory."""

import os
import tarfile
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

from postergenre import files
from postergenre.data import images
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
