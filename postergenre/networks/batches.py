"""Batches of a split, in an order that seed and epoch decide."""

from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.data.split_tables import Split
from postergenre.data.store import Store
from postergenre.networks.backend import keras

# What a network is trained on, by row: the posters of a store, or their features `(rows, k)`.
Inputs = Store | npt.NDArray[np.float32]


class Batches(keras.utils.PyDataset):
    """Inputs `(n, ...)` and labels float32 `(n, genres)`; the last batch may be smaller."""

    def __init__(self, inputs: Inputs, split: Split, batch_size: int, seed: int, epoch: int):
        # With one worker Keras 3.15 leaves the reading to tf.data's autotuner, whose thread may sleep for half a
        # minute before an epoch can end.
        super().__init__(workers=2)
        self.inputs, self.split, self.batch_size, self.seed, self.epoch = inputs, split, batch_size, seed, epoch
        self._shuffle()

    def __len__(self) -> int:
        return -(-len(self.split.rows) // self.batch_size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        places = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        return self.inputs[self.split.rows[places]], self.split.labels[places].astype(np.float32)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        self.order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.split.rows))
