"""The features of a frozen backbone: computed once, and kept for other heads on the same backbone and posters."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from postergenre import files
from postergenre.data.store import batches
from postergenre.networks.backend import keras
from postergenre.networks.config import Network
from postergenre.networks.training_data import TrainingData
from postergenre.networks.validation import CHUNK

Features = npt.NDArray[np.float32]
# From rows of the store to their features.
Compute = Callable[[npt.NDArray[np.int64]], Features]


def cached(backbone: keras.Model, network: Network, data: TrainingData, folder: Path) -> Features:
    """The features of each poster that is trained or validated on, `(rows of the store, k)`; other rows are 0.

    They come from a file in `folder` where it was written for the same backbone, posters and precision, else they are
    computed and written there. The folder keeps the features of the last backbone only.
    """
    file = _file(network, data, folder)
    rows = np.concatenate([data.train.rows, data.val.rows])

    def compute(chunk: npt.NDArray[np.int64]) -> Features:
        return np.asarray(backbone.predict_on_batch(data.store[chunk]), np.float32)

    # One batch is computed again, because other code or weights may have left the file.
    features, first = _read(file), rows[:CHUNK]
    if features is not None and np.allclose(features[first], compute(first), rtol=1e-3, atol=1e-3):
        return features
    features = _compute_all(compute, rows, (len(data.store), backbone.output_shape[-1]))
    folder.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(file) as new, new.open("wb") as stream:
        np.save(stream, features)
    for other in set(folder.glob("features-*.npy")) - {file}:
        other.unlink(missing_ok=True)
    return features


def kept(network: Network, data: TrainingData, folder: Path) -> Features | None:
    """The features that `cached` has just left in `folder`; None where there are none."""
    return _read(_file(network, data, folder))


def _file(network: Network, data: TrainingData, folder: Path) -> Path:
    return folder / f"features-{files.sha256_text(json.dumps(_key(network, data), sort_keys=True))[:16]}.npy"


def _key(network: Network, data: TrainingData) -> list[object]:
    """What decides the features."""
    architecture = network.architecture.model_dump(exclude={"head": {"norm", "dropout", "dense"}, "augmentation": True})
    weights = network.backbone and network.backbone.weights
    backend = {"name": keras.backend.backend(), "keras": keras.__version__}
    return [data.store.digest, data.digest, architecture, weights, backend, keras.config.dtype_policy().name]


def _compute_all(compute: Compute, rows: npt.NDArray[np.int64], shape: tuple[int, int]) -> Features:
    features = np.zeros(shape, np.float32)
    with tqdm(total=len(rows), unit=" posters", desc="features", disable=None) as bar:
        for chunk in batches(rows, CHUNK):
            features[chunk] = compute(chunk)
            bar.update(len(chunk))
    return features


def _read(file: Path) -> Features | None:
    """The array in a file; none where there is no file, or it is damaged."""
    try:
        return np.load(file)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError):
        return None
