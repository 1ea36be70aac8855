"""A trained network with what it needs to predict: genres, thresholds, and the size and fit of posters."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from postergenre.data import images
from postergenre.data.texts import Line
from postergenre.errors import InputError
from postergenre.networks import model_folder
from postergenre.reading import engine

if TYPE_CHECKING:
    from postergenre.data.store import Store
    from postergenre.networks.backend import keras
    from postergenre.networks.text.model import TextModel

# Posters per batch; larger batches do not fit into the processor's caches.
BATCH = 8

Network = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
# From posters as for a network to probabilities and features float32 `(n, k)`.
WithFeatures = Callable[[npt.NDArray[np.uint8]], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


@dataclass(frozen=True)
class Picture:
    """A picture to predict for.

    name: as it was given, or the path of a picture in a folder.
    read: returns its bytes; raises OSError, or ImageError where it is no picture.
    """

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Prediction:
    """What is predicted for one picture.

    probabilities: float32 `(genres,)`, in [0, 1].
    lines: what was read on it; empty where it was not read.
    by_picture: the probabilities by the picture alone.
    poster: the picture as the network takes it, uint8 `(height, width, 3)`.
    features: what goes into the network's last layer, float32 `(k,)`; None where the network does not tell it.
    width: of the picture as it came, upright, in pixels.
    height: likewise.
    """

    probabilities: npt.NDArray[np.float32]
    lines: Sequence[Line]
    by_picture: npt.NDArray[np.float32]
    poster: npt.NDArray[np.uint8]
    features: npt.NDArray[np.float32] | None
    width: int
    height: int


@dataclass(frozen=True)
class Predictor:
    """A network with its genres and thresholds.

    network: from posters uint8 `(n, height, width, 3)` to probabilities float32 `(n, genres)` in [0, 1].
    genres: names, in the order of the probabilities.
    thresholds: float64 `(genres,)`; a genre is predicted if its probability is at least its threshold.
    global_threshold: the one threshold for all genres that is best for micro F1.
    height: of the network's input, in pixels.
    width: of the network's input, in pixels.
    fit: how posters are brought to that size, as the resize stage did for training.
    text: what predicts by the text on the poster too; None for the picture alone.
    with_features: the network that tells features too; None for one that tells none, as of earlier versions.
    """

    network: Network
    genres: list[str]
    thresholds: npt.NDArray[np.float64]
    global_threshold: float
    height: int
    width: int
    fit: images.Fit
    text: "TextModel | None" = None
    with_features: WithFeatures | None = None

    def predict(self, posters: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of posters uint8 `(n, height, width, 3)`, by their pictures alone."""
        return np.concatenate([self.network(posters[start : start + BATCH]) for start in range(0, len(posters), BATCH)])

    def look(self, posters: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """The probabilities as of `predict`, and the features `(n, k)`; None where the network tells none."""
        if self.with_features is None:
            return self.predict(posters), None
        starts = range(0, len(posters), BATCH)
        probabilities, features = zip(
            *(self.with_features(posters[start : start + BATCH]) for start in starts), strict=True
        )
        return np.concatenate(probabilities), np.concatenate(features)

    def predict_store(self, store: "Store", rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of the posters in these rows of a store, by their pictures alone.

        Raises:
            InputError: the store's posters do not have the size of the network's input.
        """
        return self.look_at_store(store, rows)[0]

    def look_at_store(
        self, store: "Store", rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """The probabilities as of `predict_store`, and the features `(n, k)`; None where the network tells none.

        Raises:
            InputError: the store's posters do not have the size of the network's input.
        """
        if (store.height, store.width) != (self.height, self.width):
            raise InputError(
                f"the posters are {store.height} x {store.width} and the network takes {self.height} x {self.width}; "
                "run `dvc repro`"
            )
        looks = [self.look(store[rows[start : start + BATCH]]) for start in range(0, len(rows), BATCH)]
        features = [vectors for _, vectors in looks if vectors is not None]
        probabilities = np.concatenate([probabilities for probabilities, _ in looks])
        return probabilities, np.concatenate(features) if features else None

    def read_and_predict(self, posters: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of posters uint8 `(n, height, width, 3)`, by what stands on them too."""
        if not len(posters):
            return np.zeros((0, len(self.genres)), np.float32)
        by_picture = self.predict(posters)
        if self.text is None or self._read is None:
            return by_picture
        return self.text.predict(by_picture, [self._read(poster) for poster in posters])

    def predict_pictures(self, pictures: Iterable[Picture]) -> Iterator[tuple[str, Prediction | str]]:
        """The name of each picture in order, with what is predicted for it, or the reason why nothing is.

        No more than `BATCH` pictures are in memory at a time.

        Raises:
            InputError: pictures are to be read, and what reads them is not installed.
        """
        batch: list[tuple[str, _Poster | str]] = []
        for picture in pictures:
            batch.append((picture.name, self._open(picture)))
            if len(batch) == BATCH:
                yield from self._predict_batch(batch)
                batch = []
        yield from self._predict_batch(batch)

    @cached_property
    def _read(self) -> engine.Read | None:
        """What reads a poster; None where it is not read."""
        return engine.load_as(self.text.engine) if self.text else None

    def _open(self, picture: Picture) -> "_Poster | str":
        """A picture in the size of the network's input and what stands on it, or the reason why it cannot be read."""
        try:
            data = picture.read()
            image = images.decode(data)
            pixels = images.fit(image, self.height, self.width, self.fit)
            return _Poster(pixels, self._read(data) if self._read else [], *image.size)
        except images.ImageError as error:
            return str(error)
        except OSError as error:
            return f"it cannot be read ({error.strerror})"

    def _predict_batch(self, batch: Sequence[tuple[str, "_Poster | str"]]) -> Iterator[tuple[str, Prediction | str]]:
        posters = [poster for _, poster in batch if not isinstance(poster, str)]
        predictions = iter(self._predict_posters(posters) if posters else ())
        for name, poster in batch:
            yield name, poster if isinstance(poster, str) else next(predictions)

    def _predict_posters(self, posters: "Sequence[_Poster]") -> Iterator[Prediction]:
        by_picture, features = self.look(np.stack([poster.pixels for poster in posters]))
        lines = [poster.lines for poster in posters]
        probabilities = self.text.predict(by_picture, lines) if self.text else by_picture
        for row, poster in enumerate(posters):
            known = None if features is None else features[row]
            size = poster.width, poster.height
            yield Prediction(probabilities[row], poster.lines, by_picture[row], poster.pixels, known, *size)


@dataclass(frozen=True)
class _Poster:
    """A picture in the size of the network's input, uint8 `(height, width, 3)`; what stands on it; its own size."""

    pixels: npt.NDArray[np.uint8]
    lines: Sequence[Line]
    width: int
    height: int


def load(models: Path, with_text: bool = True) -> Predictor:
    """The network of a folder that the train stage wrote, as ONNX.

    with_text: whether to predict by the text on the poster too, where the folder has what that needs.

    Raises:
        InputError: a file is missing, or the files are not of one training.
    """
    metadata = model_folder.read_metadata(models)
    network = model_folder.load_onnx(models)
    predictor = _assemble(network, network.shape, network.genres, metadata)
    if network.has_features:
        predictor = replace(predictor, with_features=network.with_features)
    text = model_folder.load_text(models, predictor.genres) if with_text else None
    if text is None:
        return predictor
    both = text.both
    return replace(predictor, text=text, thresholds=both.thresholds, global_threshold=both.global_threshold)


def from_keras(model: "keras.Model", metadata: dict[str, Any]) -> Predictor:
    """A predictor from a Keras model and the metadata of `model_folder.read_metadata`.

    Raises:
        InputError: the model takes posters of another size, or does not have one output for each genre.
    """
    return _assemble(model.predict_on_batch, tuple(model.input_shape[1:]), model.output_shape[-1], metadata)


def _assemble(network: Network, shape: tuple[int, ...], outputs: int, metadata: dict[str, Any]) -> Predictor:
    genres, resize = metadata["genres"], metadata["resize"]
    expected = (resize["height"], resize["width"], 3), len(genres)
    if (shape, outputs) != expected:
        raise InputError(
            f"the network takes posters of {shape} and has {outputs} outputs, but it was trained on posters of "
            f"{expected[0]} and {expected[1]} genres; run {model_folder.TRAIN}"
        )
    return Predictor(
        network=network,
        genres=genres,
        thresholds=np.array([metadata["thresholds"][genre] for genre in genres], dtype=np.float64),
        global_threshold=metadata["global_threshold"],
        height=resize["height"],
        width=resize["width"],
        fit=resize["fit"],
    )
