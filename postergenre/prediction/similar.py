"""The training posters that are most like a picture, as the network sees it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre.errors import InputError
from postergenre.networks import model_folder, poster_index
from postergenre.networks.poster_index import PosterIndex

# Of two posters that look alike, at most so many bits of their hashes differ, and this is the least cosine. Of 930 real
# test posters none is taken for one of 4,307 others; copies of half the size are found, as features mind sharpness.
SAME_BITS = 8
SAME_COSINE = 0.7
# Of a picture's neighbours so many are compared with each other.
CANDIDATES = 200


@dataclass(frozen=True)
class SimilarPoster:
    """A training poster that is like a picture.

    film_id: its film.
    genres: what the catalogue says of it.
    similarity: the cosine of the two vectors, in [0, 1].
    same: whether it is the picture itself, or a copy that looks the same.
    """

    film_id: str
    genres: list[str]
    similarity: float
    same: bool


class SimilarPosters:
    """The index of a model's training posters, to search.

    genres: names, in the order of the model's outputs.
    """

    def __init__(self, index: PosterIndex, genres: list[str]):
        self.index, self._genres = index, genres
        self._vectors = _unit(index.codes.astype(np.float32))

    def find(
        self, poster: npt.NDArray[np.uint8], features: npt.NDArray[np.floating], count: int
    ) -> list[SimilarPoster]:
        """The `count` most similar posters, the most similar first; of posters that look alike, one.

        Where the picture itself is in the index, it comes first.

        Args:
            poster: uint8 `(height, width, 3)`, as the network takes it.
            features: `(k,)`, as the network tells them of the poster.
        """
        (vector,) = _unit(self.index.project(features[None]))
        cosines = self._vectors @ vector
        (picture,) = poster_index.difference_hashes([poster])
        same = (cosines >= SAME_COSINE) & (np.bitwise_count(self.index.hashes ^ picture) <= SAME_BITS)
        order = np.lexsort((-cosines, ~same))[:CANDIDATES]
        chosen: list[int] = []
        for row in order:
            if len(chosen) < count and not self._looks_like_one_of(row, chosen):
                chosen.append(int(row))
        return [self._describe(row, float(cosines[row]), bool(same[row])) for row in chosen]

    def _looks_like_one_of(self, row: int, others: list[int]) -> bool:
        alike = np.bitwise_count(self.index.hashes[others] ^ self.index.hashes[row]) <= SAME_BITS
        return bool((alike & (self._vectors[others] @ self._vectors[row] >= SAME_COSINE)).any())

    def _describe(self, row: int, cosine: float, same: bool) -> SimilarPoster:
        genres = [self._genres[number] for number in np.flatnonzero(self.index.labels[row])]
        return SimilarPoster(self.index.film_ids[row], genres, min(max(cosine, 0.0), 1.0), same)


def load(models: Path, genres: list[str]) -> SimilarPosters:
    """The index in a folder that the train stage wrote.

    Raises:
        InputError: it has no index, or not that of its model.
    """
    index = model_folder.load_index(models)
    if index is None:
        raise InputError(
            f"{models} has no index of its training posters, for an earlier version wrote it or the network has too "
            f"many features; {model_folder.TRAIN} writes one"
        )
    return SimilarPosters(index, genres)


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    unit: npt.NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    return unit
