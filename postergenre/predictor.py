"""A trained network and all that it needs to answer: genres, thresholds, and the size and fit of posters."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from postergenre import files, images
from postergenre.errors import InputError
from postergenre.genres import vocabulary
from postergenre.onnx_model import OnnxModel

if TYPE_CHECKING:
    from postergenre.backend import keras
    from postergenre.store import Store

# Posters that are looked at together; more would crowd each other out of the processor's caches.
BATCH = 8
TRAIN = "`dvc repro train`"
# No poster is larger; what is would fill the memory before it could be refused.
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Predictor:
    """Attributes:

    answer: uint8 `(n, height, width, 3)` to float32 `(n, genres)` in [0, 1]. thresholds: float64 `(genres,)`, from
    which probability on a poster is said to have the genre; common: the one for all genres, for micro F1. height,
    width, fit: how posters are brought to their size, as the resize stage did it for training.
    """

    answer: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    genres: list[str]
    thresholds: npt.NDArray[np.float64]
    common: float
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
    known = about(models)
    _check(models, "onnx", models / "model.onnx")
    model = OnnxModel(models / "model.onnx")
    return _assembled(model, model.shape, model.genres, known)


def load_keras(models: Path) -> "keras.Model":
    """The network in a folder that the train stage wrote, as Keras has it.

    Raises:
        InputError: a file is missing, or they are not of one training.
    """
    from postergenre import architecture

    weights, description = models / "weights.weights.h5", models / "architecture.json"
    _check(models, "model", weights, description)
    model = architecture.from_json(description.read_text(encoding="utf-8"))
    model.load_weights(weights)
    return model


def of_keras(model: "keras.Model", about: dict[str, Any]) -> Predictor:
    """A predictor from a Keras model and what `about` says.

    Raises:
        InputError: the model takes posters of another size, or has not one output for each genre.
    """
    return _assembled(model.predict_on_batch, tuple(model.input_shape[1:]), model.output_shape[-1], about)


def about(models: Path) -> dict[str, Any]:
    """What `of_keras` needs beside the model itself, from a folder that the train stage wrote.

    Raises:
        InputError: it is no folder, a file is missing, or not as the train stage writes it.
    """
    if models.exists() and not models.is_dir():
        raise InputError(f"{models} is a file; the folder is wanted that {TRAIN} wrote")
    ids, thresholds, run = (files.read_json(models / f"{name}.json", TRAIN) for name in ("genres", "thresholds", "run"))
    try:
        genres = sorted(ids["genre2id"], key=ids["genre2id"].__getitem__)
        cuts = {genre: float(thresholds["genres"][genre]) for genre in genres}
        common = float(thresholds["common"])
        resize = {key: run["params"]["resize"][key] for key in ("height", "width", "fit")}
        if ids != vocabulary(sorted(genres)):
            raise ValueError("genres.json does not number them in alphabetical order")
        if not all(0 <= cut <= 1 for cut in (common, *cuts.values())):
            raise ValueError("a threshold is not between 0 and 1")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"genres.json, thresholds.json and run.json in {models} are not of one training ({error!r}); run {TRAIN}"
        ) from None
    return {"genres": genres, "thresholds": cuts, "common": common, "resize": resize}


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
            f"{expected[1]} genres were trained on; run {TRAIN}"
        )
    cuts = np.array([thresholds[genre] for genre in genres], dtype=np.float64)
    return Predictor(answer, genres, cuts, about["common"], resize["height"], resize["width"], resize["fit"])


def _check(models: Path, key: str, *parts: Path) -> None:
    """The parts are there, and are those that run.json knows by their hash."""
    missing = next((file for file in parts if not file.is_file()), None)
    if missing:
        raise InputError(f"{missing} is missing; {TRAIN} writes it")
    if files.sha256(*parts) != files.read_json(models / "run.json", TRAIN).get(key):
        names = " and ".join(file.name for file in parts)
        raise InputError(f"{models} is not one model: {names} is not what run.json names; run {TRAIN}")
