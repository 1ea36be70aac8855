"""Packs posters: decodes each once, on all cores, into arrays that training maps into memory.

A tar shard holds posters as files. It becomes one array shard, a .npy file with the decoded posters.
"""

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib import format as npy
from pydantic import Field
from tqdm import tqdm

from postergenre import files, machine
from postergenre.data import images, tar_shards
from postergenre.data.tar_shards import Member
from postergenre.errors import InputError
from postergenre.params import Section


class ResizeParams(Section):
    """`resize` in params.yaml, which explains each key."""

    height: Annotated[int, Field(ge=8, le=4096)]
    width: Annotated[int, Field(ge=8, le=4096)]
    fit: images.Fit


def write(posters: Path, folder: Path, params: ResizeParams) -> tuple[int, int]:
    """Decode every poster in the tar shards of `posters` into `folder`, on all cores.

    Each tar shard becomes one array shard, so a change in one changes the other alone. Memory does not grow with the
    number of posters: each worker reads its poster from the tar shard, and the arrays are written poster by poster.

    Returns: how many posters were packed, and how many were refused.

    Raises:
        InputError: a worker was killed.
    """
    index, rejects, digests = [], [], {}
    fit = partial(_decode_and_fit, height=params.height, width=params.width, mode=params.fit)
    with _workers() as workers, tqdm(unit=" posters", desc="resize", disable=None) as progress:
        for tar in sorted(posters.glob("shard-*.tar")):
            members = tar_shards.members(tar)
            array, position = folder / f"{tar.stem}.npy", 0
            decoded = workers.map(fit, members, chunksize=16) if workers else map(fit, members)
            with _ArrayWriter(array, (params.height, params.width, 3)) as writer:
                for member, pixels in zip(members, decoded, strict=True):
                    progress.update()
                    if isinstance(pixels, str):
                        rejects.append((member.film_id, pixels))
                        continue
                    writer.append(pixels)
                    index.append((member.film_id, array.name, position))
                    position += 1
            digests[array.name] = files.sha256(array)
            if not position:
                files.remove(array)
    pd.DataFrame(index, columns=["film_id", "shard", "row"]).to_csv(folder / "index.csv", index=False)
    pd.DataFrame(rejects, columns=["film_id", "reason"]).to_csv(folder / "rejects.csv", index=False)
    _write_description(folder, params, len(index), digests)
    return len(index), len(rejects)


@contextmanager
def _workers() -> Iterator[ProcessPoolExecutor | None]:
    """A worker process for each processor; None where the system has no semaphores, which share the work out."""
    count = machine.processors()
    try:
        multiprocessing.Lock()
    except (ImportError, OSError) as error:  # /dev/shm is missing, full or read-only, as in some containers
        print(
            f"warning: no semaphores, because /dev/shm cannot be written ({error}): one process decodes",
            file=sys.stderr,
        )
        yield None
        return
    try:
        with ProcessPoolExecutor(count) as workers:
            yield workers
    except BrokenProcessPool:
        raise InputError(
            f"one of {count} processes that decode posters was killed, most likely for memory: each needs 0.1 GB, and "
            f"{machine.memory() / 1e9:.1f} GB are here for all; `taskset -c 0 dvc repro` decodes with one"
        ) from None


def _write_description(folder: Path, params: ResizeParams, posters: int, digests: dict[str, str]) -> None:
    digest = files.sha256_text(files.sha256(folder / "index.csv") + "".join(digests.values()))
    files.write_json(folder / "store.json", params.model_dump() | {"posters": posters, "sha256": digest})


def _decode_and_fit(member: Member, height: int, width: int, mode: images.Fit) -> npt.NDArray[np.uint8] | str:
    """The poster as an array of its size, or the reason why not. Runs in a worker, which reads the bytes itself."""
    try:
        return images.fit(images.decode(member.read()), height, width, mode)
    except images.ImageError as error:
        return str(error)


class _ArrayWriter:
    """A .npy file that grows poster by poster. NumPy pads the header, so the count can be written last."""

    def __init__(self, file: Path, poster_shape: tuple[int, ...]):
        self._stream = file.open("wb")
        self._poster_shape, self._count = poster_shape, 0
        self._write_header()

    def __enter__(self) -> "_ArrayWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def append(self, poster: npt.NDArray[np.uint8]) -> None:
        self._stream.write(poster.tobytes())
        self._count += 1

    def _write_header(self) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._poster_shape)}
        npy.write_array_header_1_0(self._stream, header)
