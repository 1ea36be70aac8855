"""Checkpoints: the state of a training after each epoch, from which it resumes after any interruption."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from postergenre import files
from postergenre.errors import InputError
from postergenre.networks.backend import keras


class Checkpoint:
    """The state after each finished epoch, in a folder.

    state.json: the history so far.
    epoch-N.weights.h5: weights and optimizer of the last and of the best epoch.

    A kill leaves the state of one finished epoch or the next.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        state = files.read_json(folder / "state.json", "train") if (folder / "state.json").exists() else {}
        self.history: list[dict[str, float]] = state.get("history", [])

    @property
    def epochs(self) -> int:
        """How many epochs are finished."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest validation mAP, counted from 1."""
        return 1 + int(np.argmax([row["val_map"] for row in self.history]))

    def is_finished(self, epochs: int, patience: int) -> bool:
        """Whether all `epochs` are finished, or the last `patience` ones brought no better epoch."""
        return self.epochs >= epochs or (self.epochs > 0 and self.epochs - self.best_epoch >= patience)

    def weights(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}.weights.h5"

    def save_epoch(self, model: keras.Model, row: dict[str, float]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.history.append(row)
        model.save_weights(self.weights(self.epochs), overwrite=True)
        files.write_json(self.folder / "state.json", {"history": self.history})
        for file in self.folder.glob("epoch-*.weights.h5"):
            if file not in (self.weights(self.epochs), self.weights(self.best_epoch)):
                file.unlink()


@contextmanager
def checkpointed(folder: Path, description: dict[str, Any]) -> Iterator[Checkpoint]:
    """The checkpoint in `folder` of the training with this description, which decides its result.

    A training with another description never resumes from it. Only this process has it; it is deleted when the block
    ends without an exception.

    Raises:
        InputError: another process has it.
    """
    place = folder / files.sha256_text(json.dumps(description, sort_keys=True))[:16]
    place.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(place / "lock", timeout=0)  # ends with this process, however that ends
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f"another process runs this training, in {place}; once it has ended, `dvc repro` takes its result"
        ) from None
    try:
        yield Checkpoint(place)
        files.remove(place)
    finally:
        lock.release()
