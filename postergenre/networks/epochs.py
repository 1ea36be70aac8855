"""Training one model by its recipe, epoch by epoch, resumable after any interruption."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from postergenre.networks import optimizers, pretrained
from postergenre.networks.backend import keras
from postergenre.networks.batches import Batches, Inputs
from postergenre.networks.callbacks import LogEpoch, Progress, Reseed, Validate
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import Trainable, TrainParams
from postergenre.networks.losses import Loss, rarity
from postergenre.networks.training_data import TrainingData
from postergenre.networks.weight_average import use_average

# Each head's seed is so much higher than the one's before, so that trainings with other seeds share no heads.
HEAD_SEED_STEP = 1_000_003
# From a head's seed and name to the head.
BuildHead = Callable[[int, str], keras.Model]


@dataclass(frozen=True)
class Epochs:
    """The epochs of one training.

    network: what is trained, and its recipe.
    params: the section `train` of params.yaml.
    data: the posters and splits.
    checkpoint: keeps each epoch.
    log_epoch: called after each epoch.
    """

    network: Trainable
    params: TrainParams
    data: TrainingData
    checkpoint: Checkpoint
    log_epoch: LogEpoch

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

    def train_heads(self, count: int, build: BuildHead, features: npt.NDArray[np.float32]) -> list[keras.Model]:
        """Train so many heads independently on features `(rows of the store, k)`."""
        heads = []
        for number in range(count):
            head = build(self.params.seed + number * HEAD_SEED_STEP, f"head{number + 1}")
            pretrained.set_norm(head, features[self.data.train.rows])
            heads.append(head)
        self.train(pretrained.side_by_side(heads), features)
        return heads

    def prevalence(self) -> npt.NDArray[np.float64]:
        """Each genre's share of the posters from which its bias starts."""
        labels = self.data.train.labels
        return labels.mean(axis=0) if self.network.training.frequency_bias else np.full(labels.shape[1], 0.5)

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
