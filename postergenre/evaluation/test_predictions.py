"""`test_answers.csv.gz`: what a network says of each test poster, so that another can be held against it.

A row per poster: imdb_id, its true genres as `Comedy|Drama`, and each genre's probability to the last bit.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre import files
from postergenre.data.split_tables import Split
from postergenre.errors import InputError

FILE = "test_answers.csv.gz"
FIRST = ["imdb_id", "genres"]
GZIP = 31  # zlib's number for gzip's format, here without a name and a time, which would make equal files differ


@dataclass(frozen=True)
class Transcript:
    """labels: uint8, multi-hot; probabilities: float32; both `(posters, genres)`."""

    imdb_ids: list[str]
    genres: list[str]
    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]

    def same_test(self, other: "Transcript") -> bool:
        """Whether both were asked the same: the same films with the same labels, of the same genres.

        The posters may have another size, and the films that were trained on may be others.
        """
        asked = (self.imdb_ids, self.genres) == (other.imdb_ids, other.genres)
        return asked and np.array_equal(self.labels, other.labels)


def write(file: Path, test: Split, probabilities: npt.NDArray[np.floating]) -> None:
    """Write the probabilities `(posters, genres)` of the test posters; the same answers give the same bytes."""
    genres = np.array(test.genres)
    table = pd.DataFrame(probabilities.astype(np.float32), columns=test.genres)
    table.insert(0, "genres", ["|".join(genres[row]) for row in test.labels.astype(bool)])
    table.insert(0, "imdb_id", test.imdb_ids)
    text = table.to_csv(index=False, lineterminator="\n")
    with files.atomic_write(file) as new:
        new.write_bytes(zlib.compress(text.encode(), wbits=GZIP))


def read(file: Path) -> Transcript:
    """The answers in a file.

    Raises:
        InputError: it is no such table.
    """
    try:
        table = pd.read_csv(file, compression="gzip", keep_default_na=False, dtype=dict.fromkeys(FIRST, str))
        genres = [str(name) for name in table.columns[2:]]
        probabilities = table[genres].to_numpy(dtype=np.float32)
    except (OSError, EOFError, zlib.error, ValueError) as error:  # pandas' own kinds are ValueErrors
        raise InputError(f"{file.name} cannot be read: {' '.join(str(error).split())}") from None
    if list(table.columns[:2]) != FIRST or not genres:
        raise InputError(f"{file.name} has the columns {', '.join(table.columns)}; it should have imdb_id, genres, ...")
    said = [set(text.split("|")) for text in table["genres"]]
    labels = np.array([[genre in true for genre in genres] for true in said], dtype=np.uint8)
    return Transcript(table["imdb_id"].tolist(), genres, labels, probabilities)
