"""`test_predictions.csv.gz`: a model's probabilities for the test posters, to compare it with another model later.

A row for each poster: film_id, its true genres such as `Comedy|Drama`, and a column with the probability of each genre,
with all digits of a float32.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre import files
from postergenre.data.split_tables import EARLIER_NAMES, Split
from postergenre.errors import InputError

FILE = "test_predictions.csv.gz"
FIRST_COLUMNS = ["film_id", "genres"]
TEXTS = dict.fromkeys((*FIRST_COLUMNS, *EARLIER_NAMES), str)
# zlib's number for the gzip format. It writes no file name and no time, so that the same table gives the same bytes.
GZIP = 31


@dataclass(frozen=True)
class TestPredictions:
    """A model's probabilities for the test posters.

    film_ids: of the posters.
    genres: names, in the order of the columns.
    labels: uint8 `(posters, genres)`, multi-hot.
    probabilities: float32 `(posters, genres)`.
    """

    __test__ = False  # its name does not make it a test of pytest's

    film_ids: list[str]
    genres: list[str]
    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]

    def restrict(self, film_ids: list[str], genres: list[str]) -> "TestPredictions":
        """The part for these films and genres, which must all be there, in this order."""
        row_of = {film_id: row for row, film_id in enumerate(self.film_ids)}
        part = np.ix_([row_of[film_id] for film_id in film_ids], [self.genres.index(genre) for genre in genres])
        return TestPredictions(film_ids, genres, self.labels[part], self.probabilities[part])


def write(file: Path, test: Split, probabilities: npt.NDArray[np.floating]) -> None:
    """Write the probabilities `(posters, genres)` of the test posters; the same values give the same bytes."""
    genres = np.array(test.genres)
    table = pd.DataFrame(probabilities.astype(np.float32), columns=test.genres)
    table.insert(0, "genres", ["|".join(genres[row]) for row in test.labels.astype(bool)])
    table.insert(0, "film_id", test.film_ids)
    text = table.to_csv(index=False, lineterminator="\n")
    with files.atomic_write(file) as new:
        new.write_bytes(zlib.compress(text.encode(), wbits=GZIP))


def read(file: Path) -> TestPredictions:
    """Read the table.

    Raises:
        InputError: the file cannot be read or has other columns.
    """
    try:
        table = pd.read_csv(file, compression="gzip", keep_default_na=False, dtype=TEXTS).rename(columns=EARLIER_NAMES)
        genres = [str(name) for name in table.columns[2:]]
        probabilities = table[genres].to_numpy(dtype=np.float32)
    except (OSError, EOFError, zlib.error, ValueError) as error:  # pandas' own kinds are ValueErrors
        raise InputError(f"{file.name} cannot be read: {' '.join(str(error).split())}") from None
    if list(table.columns[:2]) != FIRST_COLUMNS or not genres:
        raise InputError(f"{file.name} has the columns {', '.join(table.columns)}; it should have film_id, genres, ...")
    true_genres = [set(text.split("|")) for text in table["genres"]]
    labels = np.array([[genre in true for genre in genres] for true in true_genres], dtype=np.uint8)
    return TestPredictions(table["film_id"].tolist(), genres, labels, probabilities)
