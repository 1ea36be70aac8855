"""Makes posters whose text tells a genre that the picture does not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from postergenre import params
from postergenre.data import texts
from postergenre.data.split_tables import Split
from postergenre.data.texts import Engine, Line, PosterText
from postergenre.networks import training
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import TrainParams
from postergenre.networks.model_folder import Trained
from postergenre.networks.text import training as text_training
from postergenre.networks.text.config import TextParams
from postergenre.networks.text.training import TextTraining
from postergenre.networks.text_encoders import finding
from postergenre.networks.training_data import TrainingData
from tests.factories import RECIPE, TRAIN, make_data, make_network, prepare
from tests.networks import text_models

GENRES = ["A", "B", "C"]
SECTION = {
    "encoder": "small",
    "head": {"norm": "batch", "dropout": 0.0, "dense": [{"units": 8, "activation": "relu", "dropout": 0.0}]},
    "heads": 2,
    "training": RECIPE | {"epochs": 3},
}
ENGINE = Engine("rapidocr", "3.10.0-1", {})


def line(text: str, height: float = 0.1) -> Line:
    return Line(text, 0.9, (0.1, 0.1, 0.9, 0.1, 0.9, 0.2, 0.1, 0.2), height)


def make_posters() -> TrainingData:
    """The posters of `make_data`, of which half have the genre C, whatever they look like."""
    data = make_data()
    has_c = np.random.default_rng(8).random(60) < 0.5

    def with_c(split: Split) -> Split:
        labels = split.labels.copy()
        labels[:, 2] = has_c[split.rows]
        return replace(split, labels=labels)

    return replace(data, train=with_c(data.train), val=with_c(data.val))


def write_texts(folder: Path, data: TrainingData, shuffled: bool = False) -> Path:
    """Write data/text/: C is a funny comedy, all else is about a car; the first poster has no text."""
    labels = np.concatenate([data.train.labels, data.val.labels])
    order = np.random.default_rng(1).permutation(60) if shuffled else np.arange(60)
    made = []
    for row, film_id in enumerate(data.store.film_ids):
        words = ("a funny tender comedy", "love") if labels[order[row], 2] else ("the engine broke", "car")
        made.append(PosterText(film_id, (line(words[0], 0.05), line(words[1])) if row else ()))
    folder.mkdir()
    texts.write(folder, ENGINE, made, dict.fromkeys(data.store.film_ids, "0" * 64))
    return folder


def make_training(
    folder: Path, encoder: str = "small", shuffled: bool = False, section: dict[str, Any] = SECTION
) -> TextTraining:
    """What is needed to train on texts; they are in a folder."""
    folder.mkdir(exist_ok=True)
    data, lock = make_posters(), folder / "text_encoders.lock"
    written = write_texts(folder / "texts", data, shuffled)
    if encoder == "small":
        encoder = str(text_models.write(folder / "encoder", "bert"))
        finding.add(encoder, lock)
    text = params.parse("text", TextParams, section | {"encoder": encoder})
    prepared = text_training.prepare(written, text, data, lock, folder / "kept")
    assert prepared is not None
    return prepared


def train(folder: Path, encoder: str = "small", shuffled: bool = False) -> Trained:
    """Train the small network, and on texts; the checkpoints are in a folder."""
    section = params.parse("train", TrainParams, TRAIN)
    prepare(section)
    prepared = make_training(folder, encoder, shuffled)
    data, checkpoint = prepared.data, Checkpoint(folder / "checkpoint")
    model = training.fit(make_network(epochs=3), section, data, checkpoint, lambda *_: None)
    calibrated = training.calibrate(model, data, 2)
    about = text_training.describe(training.describe(make_network(), section, data), prepared)
    learned = prepared.fit(model, section, checkpoint)
    return Trained(model, checkpoint.history, checkpoint.best_epoch, *calibrated, GENRES, about, learned, None)
