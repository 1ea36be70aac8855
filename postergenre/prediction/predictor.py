"""A trained network and all that it needs to answer: genres, thresholds, and the size and fit of posters."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from postergenre.data import images
from postergenre.errors import InputError
from postergenre.networks import model_folder

if TYPE_CHECKING:
    from postergenre.data.store import Store
    from postergenre.networks.backend import keras

# Posters that are looked at together; more would crowd each other out of the processor's caches.
BATCH = 8
# No poster is larger; what is would fill the memory before it could be refused.
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Predictor:
    """Attributes:

    answer: uint8 `(n, height, width, 3)` to float32 `(n, genres)` in [0, 1]. thresholds: float64 `(genres,)`, from
    which probability on a poster is said to have the genre; global_threshold: the one for all genres, for micro F1. height,
    width, fit: how posters are brought to their size, as the resize stage did it for training.
    """

    answer: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    genres: list[str]
    thresholds: npt.NDArray[np.float64]
    global_threshold: float
    height: int
    width: int
    fit: images.Fit

    def predict(self, posters: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of posters uint8 `(n, height, width, 3)`."""
        return np.concatenate([self.answer(posters[start : start + BATCH]) for start in range(0, len(posters), BATCH)])

    def predict_store(self, store: "Store", rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of the posters in these rows of a store.

        Raises:
            InputError: the store's posters are not of the network's size.
        """
        if (store.height, store.width) != (self.height, self.width):
            raise InputError(
                f"the posters are {store.height} x {store.width} and the network takes {self.height} x {self.width}; "
                "run `dvc repro`"
            )
        return np.concatenate([self.answer(store[rows[start : start + BATCH]]) for start in range(0, len(rows), BATCH)])

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
            if path.exists() and not path.is_file() and not path.is_dir():
                return "it is neither a file nor a folder"  # a pipe would be waited for
            if path.is_dir():
                next(path.iterdir(), None)  # raises where it cannot be read
                return "it is a folder without pictures"
            if (size := path.stat().st_size) > MAX_BYTES:
                return f"it has {size:,} bytes, more than {MAX_BYTES:,}"
            return images.fit(images.decode(path.read_bytes()), self.height, self.width, self.fit)
        except images.ImageError as error:
            return str(error)
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
    """The network in a folder that the train stage wrote, as ONNX.

    Raises:
        InputError: a file is missing, or they are not of one training.
    """
    metadata = model_folder.read_metadata(models)
    model = model_folder.load_onnx(models)
    return _assembled(model, model.shape, model.genres, metadata)


def of_keras(model: "keras.Model", about: dict[str, Any]) -> Predictor:
    """A predictor from a Keras model and what `about` says.

    Raises:
        InputError: the model takes posters of another size, or has not one output for each genre.
    """
    return _assembled(model.predict_on_batch, tuple(model.input_shape[1:]), model.output_shape[-1], about)


def _assembled(
    answer: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    shape: tuple[int, ...],
    outputs: int,
    about: dict[str, Any],
) -> Predictor:
    genres, thresholds, resize = about["genres"], about["thresholds"], about["resize"]
    expected = (resize["height"], resize["width"], 3), len(genres)
    if (shape, outputs) != expected:
        raise InputError(
            f"the network takes posters of {shape} and answers for {outputs} genres, but {expected[0]} and "
            f"{expected[1]} genres were trained on; run {model_folder.TRAIN}"
        )
    cuts = np.array([thresholds[genre] for genre in genres], dtype=np.float64)
    return Predictor(answer, genres, cuts, about["global_threshold"], resize["height"], resize["width"], resize["fit"])
