"""What the text on the posters is worth, as Markdown tables.

    dvc repro
    python -m benchmarks.text [--seeds N] [--encoder NAME]

Trains the n-grams and the heads anew, on the project's splits and as the train stage does. The network in models/ says
what the pictures tell; it is not trained anew. Validation posters choose epochs, weights and calibration; test posters
are for the figures alone. What the pictures tell and the vectors of texts are kept in checkpoints/, so that a second
run takes a few minutes. Prints the tables and writes them into reports/text.md.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from postergenre import errors, files, params
from postergenre.data import manifest, split_tables
from postergenre.data.split_tables import Split
from postergenre.data.store import Store
from postergenre.data.texts import Texts
from postergenre.errors import InputError
from postergenre.networks import backend, model_folder
from postergenre.networks.text.fusion import Floats
from postergenre.networks.text.model import KEPT

if TYPE_CHECKING:  # they import Keras
    from benchmarks.text_trials import Trial

RESIZED, DATASET, TEXT = Path("data/resized"), Path("data/dataset"), Path("data/text")
MANIFEST, MODELS, CHECKPOINTS = Path("data/posters/manifest.csv"), Path("models"), Path("checkpoints")
LOCK, OUTPUT = Path("text_encoders.lock"), Path("reports/text.md")


def read(encoder: str | None) -> "Trial":
    """What params.yaml and the stages' outputs hold; encoder: in the place of `text.encoder`.

    Raises:
        InputError: something is missing, or n-grams alone are used.
    """
    from benchmarks.text_trials import Trial
    from postergenre.networks import config, training_data
    from postergenre.networks.text import training
    from postergenre.networks.text.config import TextParams
    from postergenre.networks.text_encoders.embeddings import embed
    from postergenre.networks.text_encoders.onnx_encoder import OnnxEncoder

    train, text = params.load("train", config.TrainParams), params.load("text", TextParams)
    text = text.model_copy(update={"encoder": encoder or text.encoder})
    backend.configure(train.device, train.deterministic, train.mixed_precision)
    data, test = training_data.read(RESIZED, DATASET), split_tables.read_split(DATASET / "test.csv")
    prepared = training.prepare(TEXT, text, data, LOCK, CHECKPOINTS)
    if prepared is None or prepared.encoder is None:
        raise InputError("it needs posters that were read, and a text encoder: `read.engine`, `text.encoder`")
    encode = partial(embed, OnnxEncoder(prepared.encoder), folder=CHECKPOINTS / KEPT)
    by_id = Texts.read(TEXT)
    lines = [by_id.of(film_id).lines for film_id in data.store.film_ids]
    return Trial(text, train, data, test, lines, encode, picture(data.store, [data.val, test]))


def picture(store: Store, splits: Sequence[Split]) -> Floats:
    """The probabilities of these splits' posters by their pictures, `(rows of the store, genres)`; of others 0.5."""
    from postergenre.prediction import predictor

    rows = np.concatenate([split.rows for split in splits])
    key = files.sha256_text(f"{model_folder.read_run(MODELS)['onnx']} {store.digest} {rows.tolist()}")
    file = CHECKPOINTS / KEPT / f"picture-{key[:16]}.npy"
    if not file.exists():
        probabilities = np.full((len(store), len(splits[0].genres)), 0.5, np.float32)
        probabilities[rows] = predictor.load(MODELS, with_text=False).predict_store(store, rows)
        with files.atomic_write(file) as new, new.open("wb") as stream:
            np.save(stream, probabilities)
    return np.load(file)  # type: ignore[no-any-return]


def report(trial: "Trial", titles: dict[str, str], seeds: Sequence[int]) -> str:
    """All tables, as Markdown. titles: by film id."""
    from benchmarks import text_tables

    learned = [trial.learn(seed, with_whole=True) for seed in seeds]
    train, val, test = (len(split.rows) for split in (trial.data.train, trial.data.val, trial.test))
    about = f"{train:,} training, {val:,} validation and {test:,} test posters; text encoder {trial.params.encoder}"
    sections = {
        "Sources": text_tables.compare_sources(learned),
        "Without names": text_tables.compare_masked(trial, learned, seeds),
        "Later films": text_tables.compare_decades(trial, learned, titles, seeds),
        "Languages": text_tables.compare_languages(trial, learned[0]),
    }
    parts = [f"## {heading}\n\n{text}" for heading, text in sections.items()]
    return "\n\n".join(["# What the text is worth", f"{about}; seeds: {len(seeds)}.", *parts]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of each head (default: 1)")
    parser.add_argument("--encoder", metavar="NAME", help="a text encoder (default: that of params.yaml)")
    arguments = parser.parse_args()
    backend.start()  # before what imports Keras
    trial, films = read(arguments.encoder), manifest.read(MANIFEST)
    titles = dict(zip(films["film_id"], films["title"], strict=True))
    text = report(trial, titles, range(1, arguments.seeds + 1))
    with files.atomic_write(OUTPUT) as new:
        new.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    errors.run(main)
