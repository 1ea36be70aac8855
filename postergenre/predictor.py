"""A trained network and all that it needs to answer: genres, thresholds, and the size and fit of posters."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre import architecture, files, images
from postergenre.backend import keras
from postergenre.errors import InputError
from postergenre.store import Store, batches

BATCH = 128
TRAIN = "`dvc repro train`"


@dataclass(frozen=True)
class Predictor:
    """Attributes:

    model: uint8 `(n, height, width, 3)` to float32 `(n, genres)` in [0, 1]. thresholds: float64 `(genres,)`, from which
    probability on a poster is said to have the genre. height, width, fit: how posters are brought to their size, as the
    resize stage did it for training.
    """

    model: keras.Model
    genres: list[str]
    thresholds: npt.NDArray[np.float64]
    height: int
    width: int
    fit: images.Fit

    def predict(self, posters: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of posters uint8 `(n, height, width, 3)`."""
        return architecture.probabilities(self.model, (posters[k : k + BATCH] for k in range(0, len(posters), BATCH)))

    def predict_store(self, store: Store, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of the posters in these rows of a store.

        Raises:
            InputError: the store's posters are not of the network's size.
        """
        if (store.height, store.width) != (self.height, self.width):
            raise InputError(
                f"the posters are {store.height} x {store.width} and the network takes {self.height} x {self.width}; "
                "run `dvc repro`"
            )
        return architecture.probabilities(self.model, (store[piece] for piece in batches(rows, BATCH)))

    def predict_files(self, paths: Iterable[Path]) -> Iterator[tuple[Path, npt.NDArray[np.float32] | str]]:
        """Each path with its probabilities `(genres,)`, or with the reason why it has none; in their order.

        No more than `BATCH` pictures are in memory at a time.
        """
        held: list[tuple[Path, npt.NDArray[np.uint8] | str]] = []
        for path in paths:
            held.append((path, self._fitted(path)))
            if len(held) == BATCH:
                yield from self._answered(held)
                held = []
        yield from self._answered(held)

    def _fitted(self, path: Path) -> npt.NDArray[np.uint8] | str:
        try:
            return images.fit(images.decode(path.read_bytes()), self.height, self.width, self.fit)
        except images.ImageError as error:
            return str(error)
        except IsADirectoryError:
            return "it is a folder without pictures"
        except OSError as error:
            return f"it cannot be read ({error.strerror})"

    def _answered(
        self, held: Sequence[tuple[Path, npt.NDArray[np.uint8] | str]]
    ) -> Iterator[tuple[Path, npt.NDArray[np.float32] | str]]:
        posters = [fitted for _, fitted in held if not isinstance(fitted, str)]
        answers = iter(self.predict(np.stack(posters)) if posters else ())
        for path, fitted in held:
            yield path, fitted if isinstance(fitted, str) else next(answers)


def load(models: Path) -> Predictor:
    """The network in a folder that the train stage wrote.

    Raises:
        InputError: a file is missing, or they are not of one training.
    """
    run = files.read_json(models / "run.json", TRAIN)
    weights, description = models / "weights.weights.h5", models / "architecture.json"
    missing = next((file for file in (weights, description) if not file.exists()), None)
    if missing:
        raise InputError(f"{missing} is missing; {TRAIN} writes it")
    if files.sha256(weights, description) != run["model"]:
        raise InputError(f"{models} is not one model: its weights are not those that run.json names; run {TRAIN}")
    model = architecture.from_json(description.read_text(encoding="utf-8"))
    model.load_weights(weights)
    return assemble(model, about(models))


def about(models: Path) -> dict[str, Any]:
    """What `assemble` needs beside the model itself, from a folder that the train stage wrote."""
    return {
        "genres": list(files.read_json(models / "genres.json", TRAIN)["genre2id"]),
        "thresholds": files.read_json(models / "thresholds.json", TRAIN),
        "resize": files.read_json(models / "run.json", TRAIN)["params"]["resize"],
    }


def assemble(model: keras.Model, about: dict[str, Any]) -> Predictor:
    """A predictor from a Keras model and what `about` says.

    Raises:
        InputError: the model has not one output for each genre.
    """
    genres, thresholds, resize = about["genres"], about["thresholds"], about["resize"]
    if model.output_shape[-1] != len(genres) or set(thresholds) != set(genres):
        raise InputError(
            f"the network has {model.output_shape[-1]} outputs, {len(genres)} genres and {len(thresholds)} thresholds; "
            f"they must be as many: run {TRAIN}"
        )
    cuts = np.array([thresholds[genre] for genre in genres], dtype=np.float64)
    return Predictor(model, genres, cuts, resize["height"], resize["width"], resize["fit"])
