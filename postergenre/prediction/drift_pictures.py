"""What drift compares of pictures, and of a table that `postergenre predict --csv` wrote."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre.errors import InputError
from postergenre.networks.poster_index import PosterIndex
from postergenre.prediction import drift_reference, picture_statistics, pictures
from postergenre.prediction.drift_reference import Pictures
from postergenre.prediction.predictor import Picture, Prediction, Predictor

# So many pictures are looked at; of more, as many at random.
MOST = 2000


@dataclass(frozen=True)
class Found:
    """Pictures to compare.

    pictures: what is known of them.
    given: how many pictures there were.
    failed: the name of each that could not be read, with the reason.
    by_picture: whether the probabilities are by the pictures alone.
    """

    pictures: Pictures
    given: int
    failed: list[tuple[str, str]]
    by_picture: bool


def describe(prediction: Prediction, index: PosterIndex | None) -> Pictures:
    """What drift compares of one picture, by the picture alone."""
    probabilities = prediction.by_picture[None]
    features = None if prediction.features is None else prediction.features[None]
    statistics = picture_statistics.of_poster(prediction.poster, prediction.width, prediction.height)
    return Pictures(probabilities, drift_reference.project(index, probabilities, features), statistics[None])


def join(described: Iterable[Pictures], genres: int) -> Pictures:
    """Several pictures in one. genres: their number, where there is no picture."""
    none = Pictures(*(np.zeros((0, columns), np.float32) for columns in (genres, 0, len(picture_statistics.NAMES))))
    parts = list(described) or [none]
    columns = zip(*((part.probabilities, part.vectors, part.statistics) for part in parts), strict=True)
    return Pictures(*map(np.concatenate, columns))


def from_files(predictor: Predictor, index: PosterIndex | None, given: Sequence[Picture]) -> Found:
    """Look at the pictures, and read nothing on them."""
    failed: list[tuple[str, str]] = []
    described: list[Pictures] = []
    for name, made in predictor.predict_pictures([given[row] for row in _some(len(given))]):
        if isinstance(made, str):
            failed.append((name, made))
        else:
            described.append(describe(made, index))
    return Found(join(described, len(predictor.genres)), len(given), failed, by_picture=True)


def from_table(predictor: Predictor, index: PosterIndex | None, file: Path) -> Found:
    """Take the probabilities from a table of `predict --csv`, and look at those of its pictures that are still there.

    Raises:
        InputError: it is no such table, or has other genres than the model.
    """
    names, probabilities = read_table(file, predictor.genres)
    still_there = [pictures.from_file(name) for name in names if Path(name).is_file()]
    found = from_files(predictor, index, still_there)
    known = replace(found.pictures, probabilities=probabilities)
    return Found(known, len(names), found.failed, by_picture=False)


def read_table(file: Path, genres: Sequence[str]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """The pictures' names and their probabilities `(n, genres)` in a table of `predict --csv`.

    Raises:
        InputError: it is no such table, or has other genres.
    """
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise InputError(f"{file} cannot be read as a table of `postergenre predict --csv`: {error}") from None
    if header != ["path", *genres]:
        raise InputError(
            f"{file} has the columns {', '.join(header[:4])}...; a table of `postergenre predict --csv` by this model "
            f"has path, {', '.join(genres[:3])}..."
        )
    try:
        values = np.array([row[1:] for row in rows], np.float32).reshape(-1, len(genres))
    except ValueError:
        raise InputError(f"{file} has a row that is not a path and {len(genres)} numbers") from None
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"{file} has a probability that is not between 0 and 1")
    return [row[0] for row in rows], values


def _some(count: int) -> npt.NDArray[np.int64]:
    """At most `MOST` of so many rows, in their order."""
    return np.sort(np.random.default_rng(0).permutation(count)[:MOST])
