"""Training one network: the best epoch by validation mAP, resumable after any interruption."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.data.store import batches
from postergenre.networks import (
    architecture,
    backend,
    calibration,
    features,
    memory,
    poster_index,
    pretrained,
    thresholds,
)
from postergenre.networks.backend import keras
from postergenre.networks.calibration import Calibration
from postergenre.networks.callbacks import LogEpoch
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import HeadFirst, Network, TrainParams
from postergenre.networks.epochs import Epochs
from postergenre.networks.layer_names import POOLED
from postergenre.networks.poster_index import PosterIndex
from postergenre.networks.training_data import TrainingData
from postergenre.networks.validation import CHUNK, predictions

# Vectors that a head sees at once.
VECTORS = 512


def describe(network: Network, params: TrainParams, data: TrainingData) -> dict[str, Any]:
    """What decides the training's result, for run.json: parameters, data and backend."""
    resize = {"height": data.store.height, "width": data.store.width, "fit": data.store.fit}
    return {
        "params": {
            "resize": resize,
            "dataset": data.summary["params"],
            "train": params.model_dump(),
            "network": network.model_dump(),
        },
        "data": {"store": data.store.digest, "dataset": data.digest, "posters": data.summary["posters"]},
        "backend": {"name": keras.backend.backend(), "keras": keras.__version__},
    }


def fit(
    network: Network, params: TrainParams, data: TrainingData, checkpoint: Checkpoint, log_epoch: LogEpoch
) -> keras.Model:
    """Train from the checkpoint's last finished epoch to the end.

    Returns the model of the best epoch, in float32, without optimizer and with no layer frozen.
    """
    training = Training(network, params, data, checkpoint, log_epoch)
    model = training.build()
    pretrained.prepare(model, network)
    memory.warn_if_short(model, network, len(data.store))
    if network.frozen:
        training.train_head(model, training.features(model))
    else:
        if network.backbone and network.backbone.head_first:
            if not checkpoint.epochs:
                training.of_heads_first(network.backbone.head_first).train_head(model, training.features(model))
            pretrained.fix_norm(model)
        training.train(model, data.store)
    with backend.float32():
        result = training.build()
    result.set_weights(model.get_weights())
    return result


def calibrate(
    model: keras.Model, data: TrainingData, shrinkage: float
) -> tuple[Calibration, npt.NDArray[np.float64], float]:
    """Calibrate the model on the validation posters; returns its calibration, thresholds and global threshold.

    shrinkage: see `thresholds.fit`.
    """
    labels, uncalibrated = data.val.labels, predictions(model, data.store, data.val)
    fitted = calibration.fit(labels, uncalibrated)
    calibration.apply_to_model(model, fitted)
    calibrated = fitted.apply(uncalibrated)
    cuts = thresholds.fit(labels, calibrated, shrinkage)
    return fitted, cuts, thresholds.global_threshold(labels, calibrated)


def index(model: keras.Model, network: Network, data: TrainingData, checkpoint: Checkpoint) -> PosterIndex | None:
    """The index of the training posters; None for a network with more features than an index takes.

    model: as `fit` returned it.
    checkpoint: the one of `fit`, which keeps the features of a frozen backbone.
    """
    last = model.layers[-1].input
    if last.shape[-1] > poster_index.MOST_FEATURES:
        return None
    pooled = features.kept(network, data, checkpoint.folder.parent) if network.frozen else None
    part = keras.Model(model.input if pooled is None else model.get_layer(POOLED).output, last, name="features")
    inputs, size = (data.store, CHUNK) if pooled is None else (pooled, VECTORS)
    vectors = [np.asarray(part.predict_on_batch(inputs[rows]), np.float32) for rows in batches(data.train.rows, size)]
    posters = (poster for rows in batches(data.train.rows, CHUNK) for poster in data.store[rows])
    hashes = poster_index.difference_hashes(posters)
    return poster_index.build(data.train.film_ids, data.train.labels, hashes, np.concatenate(vectors))


@dataclass(frozen=True)
class Training(Epochs):
    """The training of a network on posters."""

    network: Network

    def build(self) -> keras.Model:
        """The whole network with its initial weights, with all heads in one."""
        posters, backbone = self.data.store, self.network.backbone
        imagenet = backbone is not None and backbone.weights == "imagenet"
        name, seed = f"postergenre_{self.params.network}", self.params.seed
        size = posters.height, posters.width
        return architecture.build(self.network.merged, *size, self.prevalence(), seed, name, imagenet)

    def features(self, model: keras.Model) -> npt.NDArray[np.float32]:
        """The features that the model's frozen backbone gives each poster."""
        return features.cached(pretrained.backbone(model), self.network, self.data, self.checkpoint.folder.parent)

    def of_heads_first(self, first: HeadFirst) -> "Training":
        """The training of the heads before that of the whole network."""
        network, checkpoint = self.network.with_recipe_of(first), Checkpoint(self.checkpoint.folder / "head")
        return replace(self, network=network, checkpoint=checkpoint, log_epoch=lambda epoch, figures: None)

    def train_head(self, model: keras.Model, features: npt.NDArray[np.float32]) -> None:
        """Train heads independently on the backbone's features, and merge them into the model's own head."""
        backbone, prevalence, head = pretrained.backbone(model), self.prevalence(), self.network.architecture.head

        def build(seed: int, name: str) -> keras.Model:
            return architecture.build_head(head, backbone, prevalence, seed, name)

        pretrained.merge(self.train_heads(self.network.heads, build, features), model)
