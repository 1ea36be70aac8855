"""Training one network: the best epoch by validation mAP, resumable after any interruption."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.networks import (
    architecture,
    backend,
    calibration,
    features,
    memory,
    optimizers,
    pretrained,
    thresholds,
)
from postergenre.networks.backend import keras
from postergenre.networks.batches import Batches, Inputs
from postergenre.networks.calibration import Calibration
from postergenre.networks.callbacks import LogEpoch, Progress, Reseed, Validate
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import HeadFirst, Network, TrainParams
from postergenre.networks.losses import Loss, rarity
from postergenre.networks.training_data import TrainingData
from postergenre.networks.validation import predictions
from postergenre.networks.weight_average import use_average

# Each head's seed is so much higher than the one's before, so that trainings with other seeds share no heads.
HEAD_SEED_STEP = 1_000_003


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
        training.train_heads(model, training.features(model))
    else:
        if network.backbone and network.backbone.head_first:
            if not checkpoint.epochs:
                training.of_heads_first(network.backbone.head_first).train_heads(model, training.features(model))
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


@dataclass(frozen=True)
class Training:
    """One training.

    network: what is trained, and its recipe.
    params: the section `train` of params.yaml.
    data: the posters and splits.
    checkpoint: keeps each epoch.
    log_epoch: called after each epoch.
    """

    network: Network
    params: TrainParams
    data: TrainingData
    checkpoint: Checkpoint
    log_epoch: LogEpoch

    def build(self) -> keras.Model:
        """The whole network with its initial weights, with all heads in one."""
        posters, backbone = self.data.store, self.network.backbone
        imagenet = backbone is not None and backbone.weights == "imagenet"
        name, seed = f"postergenre_{self.params.network}", self.params.seed
        size = posters.height, posters.width
        return architecture.build(self.network.merged, *size, self._prevalence(), seed, name, imagenet)

    def features(self, model: keras.Model) -> npt.NDArray[np.float32]:
        """The features that the model's frozen backbone gives each poster."""
        return features.cached(pretrained.backbone(model), self.network, self.data, self.checkpoint.folder.parent)

    def of_heads_first(self, first: HeadFirst) -> "Training":
        """The training of the heads before that of the whole network."""
        network, checkpoint = self.network.with_recipe_of(first), Checkpoint(self.checkpoint.folder / "head")
        return replace(self, network=network, checkpoint=checkpoint, log_epoch=lambda epoch, figures: None)

    def train_heads(self, model: keras.Model, features: npt.NDArray[np.float32]) -> None:
        """Train heads independently on the backbone's features, and merge them into the model's own head."""
        backbone, prevalence = pretrained.backbone(model), self._prevalence()
        heads = []
        for number in range(self.network.heads):
            seed, name = self.params.seed + number * HEAD_SEED_STEP, f"head{number + 1}"
            head = architecture.build_head(self.network.architecture.head, backbone, prevalence, seed, name)
            pretrained.set_norm(head, features[self.data.train.rows])
            heads.append(head)
        self.train(pretrained.side_by_side(heads), features)
        pretrained.merge(heads, model)

    def train(self, model: keras.Model, inputs: Inputs) -> None:
        """Train the model until the recipe's end; it then has the weights of its best epoch."""
        recipe, checkpoint = self.network.training, self.checkpoint
        first, batches = (
            Batches(inputs, self.data.train, recipe.batch_size, self.params.seed, epoch)
            for epoch in (0, checkpoint.epochs)
        )
        self._compile(model, len(batches))
        if checkpoint.epochs:
            model.optimizer.build(model.trainable_variables)
            model.load_weights(checkpoint.weights(checkpoint.epochs))
        if not checkpoint.is_finished(recipe.epochs, recipe.patience):
            callbacks = [
                Reseed(self.params.seed),
                Validate(first, self.data.val, recipe, checkpoint, self.log_epoch),
                Progress(checkpoint, recipe.epochs, len(batches)),
            ]
            # `shuffle` would shuffle the batches once more, by a global generator.
            options = {"shuffle": False, "verbose": 0}
            model.fit(batches, epochs=recipe.epochs, initial_epoch=checkpoint.epochs, callbacks=callbacks, **options)
        model.load_weights(checkpoint.weights(checkpoint.best_epoch))
        if recipe.ema:
            use_average(model, first)

    def _compile(self, model: keras.Model, steps: int) -> None:
        """steps: batches in an epoch."""
        recipe, share = self.network.training, self.data.train.labels.mean(axis=0)
        weights = rarity(share) if recipe.class_weights else np.ones_like(share)
        model.compile(
            optimizer=optimizers.build(self.network, steps),
            loss=Loss(recipe.loss, recipe.label_smoothing, weights),
            jit_compile=self.params.xla,
            auto_scale_loss=True,
        )

    def _prevalence(self) -> npt.NDArray[np.float64]:
        """Each genre's share of the posters from which its bias starts."""
        labels = self.data.train.labels
        return labels.mean(axis=0) if self.network.training.frequency_bias else np.full(labels.shape[1], 0.5)
