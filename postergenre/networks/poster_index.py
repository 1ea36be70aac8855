"""The index of the training posters: what the network makes of each, small enough to lie beside it in `models/`.

A poster's features are what goes into the network's last layer. More than `AXES` of them are projected onto the axes
on which they are largest; each vector is stored as whole numbers of a byte: 280 bytes a poster, 13 MB for 38,000.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from postergenre.errors import InputError
from postergenre.networks import array_file

# So many dimensions are stored at most.
AXES = 256
LEVELS = 127
# Of more features than these, as where a map is flattened into the last layer, the axes would be larger than the index.
MOST_FEATURES = 8192
# Side of the grey picture, less one, whose neighbouring pixels are compared.
SIDE = 8


@dataclass(frozen=True)
class PosterIndex:
    """The training posters of a network.

    film_ids: of the posters.
    labels: uint8 `(posters, genres)`, multi-hot.
    hashes: uint64 `(posters,)`, see `difference_hash`.
    codes: int8 `(posters, axes)`, the projected features; each poster's largest is 127 or -127.
    axes: float32 `(k, axes)`, orthonormal columns; None where the features are stored as they are.
    """

    film_ids: list[str]
    labels: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint64]
    codes: npt.NDArray[np.int8]
    axes: npt.NDArray[np.float32] | None

    def project(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Features `(n, k)` of posters as vectors float32 `(n, axes)`, as the index compares them."""
        return project(features, self.axes)

    def write(self, file: Path) -> None:
        """Write the index; equal ones give the same bytes."""
        arrays = {
            "film_ids": np.frombuffer("\n".join(self.film_ids).encode(), np.uint8),
            "genres": np.array(self.labels.shape[1]),
            "labels": np.packbits(self.labels, axis=1),
            "hashes": self.hashes,
            "codes": self.codes,
            "axes": np.zeros((0, 0), np.float32) if self.axes is None else self.axes,
        }
        array_file.write(file, arrays)


def read(file: Path) -> PosterIndex:
    """Read an index that `PosterIndex.write` wrote.

    Raises:
        InputError: the file holds none.
    """
    try:
        arrays = array_file.read(file)
        ids, axes = arrays["film_ids"].tobytes().decode(), arrays["axes"]
        labels = np.unpackbits(arrays["labels"], axis=1, count=int(arrays["genres"]))
        film_ids = ids.split("\n") if ids else []
        return PosterIndex(film_ids, labels, arrays["hashes"], arrays["codes"], axes if axes.size else None)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{file} holds no index of posters ({error})") from None


def build(
    film_ids: list[str],
    labels: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.uint64],
    features: npt.NDArray[np.float32],
) -> PosterIndex:
    """The index of posters with these features, float32 `(posters, k)`."""
    axes = principal_axes(features, AXES) if features.shape[1] > AXES else None
    vectors = project(features, axes)
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    codes = np.rint(vectors / largest * LEVELS).astype(np.int8)
    return PosterIndex(film_ids, labels, hashes, codes, axes)


def project(features: npt.NDArray[np.floating], axes: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    """Features `(n, k)` on the axes, or as they are: float32 `(n, axes)`."""
    features = features.astype(np.float32)
    return features if axes is None else (features @ axes).astype(np.float32)


def principal_axes(vectors: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """The axes on which vectors `(n, k)` are largest: orthonormal columns `(k, min(n, most))`, the largest first.

    A truncated singular value decomposition (Eckart and Young 1936), by the smaller of the two matrices of inner
    products. Without their mean, vectors would be compared by what is unusual about them; the neighbours that this
    finds share fewer genres. Each axis points where its largest weight is positive, so that no solver decides it.
    """
    n, k = vectors.shape
    if n < k:
        values, columns = np.linalg.eigh((vectors @ vectors.T).astype(np.float64))
        chosen = np.flatnonzero(values > values[-1] * 1e-9)[::-1][:most]
        axes = vectors.T @ columns[:, chosen] / np.sqrt(values[chosen])
    else:
        _, columns = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
        axes = columns[:, ::-1][:, :most]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    signed: npt.NDArray[np.float32] = (axes * signs).astype(np.float32)
    return signed


def difference_hashes(posters: Iterable[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint64]:
    """A 64-bit hash `(n,)` of each poster uint8 `(height, width, 3)`; of posters that look alike, few bits differ.

    Method: whether each pixel of a grey picture of 9 x 8 is brighter than its left neighbour (difference hash, Krawetz
    2013, https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html). The splits compare posters
    by a finer hash, which takes packages that `predict` does without.
    """
    rows = []
    for poster in posters:
        grey = Image.fromarray(poster).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
        rows.append(np.packbits(np.diff(np.asarray(grey, np.int16), axis=1) > 0))
    hashes: npt.NDArray[np.uint64] = np.array(rows, np.uint8).reshape(-1, 8).view(">u8")[:, 0].astype(np.uint64)
    return hashes
