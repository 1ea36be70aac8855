"""What happens at the begin and end of each epoch of a training."""

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from postergenre.data.split_tables import Split
from postergenre.errors import InputError
from postergenre.networks import architecture
from postergenre.networks.backend import keras
from postergenre.networks.batches import Batches
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import Recipe
from postergenre.networks.validation import mean_average_precision, predictions
from postergenre.networks.weight_average import averaged

# Takes each finished epoch's number and figures.
LogEpoch = Callable[[int, dict[str, float]], None]


class Reseed(keras.callbacks.Callback):
    """Seeds the random layers from seed and epoch, because Keras saves no state of theirs with the weights."""

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        architecture.reseed(self.model, self.seed, epoch)


class Validate(keras.callbacks.Callback):
    """Validates each epoch, keeps and logs it, and stops after `patience` epochs without a better one."""

    def __init__(self, first: Batches, val: Split, recipe: Recipe, checkpoint: Checkpoint, log_epoch: LogEpoch):
        """first: the batches of the first epoch, see `weight_average`."""
        super().__init__()
        self.first, self.val, self.recipe = first, val, recipe
        self.checkpoint, self.log_epoch = checkpoint, log_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {})["loss"])
        with averaged(self.model, self.first):
            labels, probabilities = self.val.labels, predictions(self.model, self.first.inputs, self.val)
        # The loss belongs to the weights before the epoch's last step, the predictions to those after it.
        if not (np.isfinite(loss) and np.isfinite(probabilities).all()):
            raise InputError(
                f"the loss is {loss if not np.isfinite(loss) else 'nan'} after epoch {epoch + 1}; "
                f"a learning_rate below {self.recipe.learning_rate} would help"
            )
        row = {
            "epoch": epoch + 1,
            "loss": loss,
            "val_loss": float(np.mean(keras.losses.binary_crossentropy(labels.astype(np.float32), probabilities))),
            "val_map": mean_average_precision(labels, probabilities),
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        self.checkpoint.save_epoch(self.model, row)
        self.log_epoch(epoch + 1, {key: value for key, value in row.items() if key != "epoch"})
        if epoch + 1 - self.checkpoint.best_epoch >= self.recipe.patience:
            self.model.stop_training = True


class Progress(keras.callbacks.Callback):
    """On a terminal, one bar with the time left until the last epoch; elsewhere a line per epoch."""

    def __init__(self, checkpoint: Checkpoint, epochs: int, steps: int):
        super().__init__()
        self.checkpoint, self.epochs = checkpoint, epochs
        self.bar = tqdm(
            total=epochs * steps, initial=checkpoint.epochs * steps, unit=" steps", desc="train", disable=None
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row, best = self.checkpoint.history[-1], self.checkpoint.best_epoch
        tqdm.write(
            f"epoch {epoch + 1:3d}/{self.epochs}  loss {row['loss']:.4f}  val_loss {row['val_loss']:.4f}"
            f"  val mAP {row['val_map']:.4f}" + ("  best" if best == epoch + 1 else f"  best is {best}")
        )

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.bar.close()
