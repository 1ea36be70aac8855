"""Training on what was read: n-grams, heads on the text encoder's vectors, and the fusion with the picture."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre import files
from postergenre.data import texts
from postergenre.data.split_tables import Split
from postergenre.data.texts import Engine, Texts
from postergenre.networks import architecture, backend, pretrained
from postergenre.networks.backend import keras
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import TrainParams
from postergenre.networks.epochs import Epochs
from postergenre.networks.text import fusion, ngrams
from postergenre.networks.text.config import NGRAMS_ALONE, TextParams
from postergenre.networks.text.fusion import Fusion, log_odds
from postergenre.networks.text.model import KEPT, NGRAMS, PICTURE, VECTORS, vectors
from postergenre.networks.text.ngrams import Ngrams
from postergenre.networks.text_encoders import finding, onnx_encoder, settings
from postergenre.networks.text_encoders.embeddings import embed
from postergenre.networks.text_encoders.finding import EncoderFiles
from postergenre.networks.text_encoders.onnx_encoder import OnnxEncoder
from postergenre.networks.text_encoders.onnx_graph import Precision
from postergenre.networks.training_data import TrainingData
from postergenre.networks.validation import predictions

# Of the text encoder's weights. On real posters it makes no difference to mAP: benchmarks/README.md.
PRECISION: Precision = "int8"


@dataclass(frozen=True)
class TrainedText:
    """What was learned from the texts.

    engine: what read the posters.
    ngrams: the table of n-grams.
    encoder: the folder of the text encoder, as `text_encoders.export` wrote it; None without one.
    head: from the encoder's vectors to the genres; None without an encoder.
    both: the fusion of the picture with what was read.
    alone: the fusion of what was read, without the picture.
    """

    engine: Engine
    ngrams: Ngrams
    encoder: Path | None
    head: keras.Model | None
    both: Fusion
    alone: Fusion


@dataclass(frozen=True)
class TextTraining:
    """The training of all that predicts by the text.

    params: the section `text` of params.yaml.
    data: the splits.
    texts: of the posters.
    encoder: the folder of the text encoder, as `text_encoders.export` wrote it; None where n-grams alone are used.
    vectors: of the posters, see `model.vectors`: float32 `(rows of the store, 2 k)`.
    """

    params: TextParams
    data: TrainingData
    texts: Texts
    encoder: Path | None
    vectors: npt.NDArray[np.float32]

    def fit(self, model: keras.Model, train: TrainParams, checkpoint: Checkpoint) -> TrainedText:
        """Train n-grams, heads and fusions.

        model: from posters to calibrated probabilities.
        train: the section `train` of params.yaml.
        checkpoint: of the training on pictures; the heads have one in its folder, for these texts and params alone.
        """
        data, val, head = self.data, self.data.val, None
        table = ngrams.fit(self._whole(data.train), data.train.labels)
        sources: dict[str, npt.NDArray[np.floating]] = {NGRAMS: table.log_odds(self._whole(val))}
        if self.encoder:
            key = files.sha256_text(json.dumps(self.about(), sort_keys=True))[:16]
            kept = Checkpoint(checkpoint.folder / f"text-{key}")
            head = train_head(self.params, train, data, self.vectors, kept)
            sources[VECTORS] = log_odds(predictions(head, self.vectors, val))
        shares, shrinkage = data.train.labels.mean(axis=0), train.threshold_shrinkage
        alone = fusion.fit(val.labels, sources, shares, shrinkage)
        sources[PICTURE] = log_odds(predictions(model, data.store, val))
        both = fusion.fit(val.labels, sources, shares, shrinkage)
        return TrainedText(self.texts.engine, table, self.encoder, head, both, alone)

    def about(self) -> dict[str, dict[str, Any]]:
        """What decides the result beside the training on pictures, by the part of run.json in which it stands."""
        encoder = {"encoder": onnx_encoder.digest(self.encoder)} if self.encoder else {}
        return {"params": {"text": self.params.model_dump()}, "data": {"text": self.texts.digest} | encoder}

    def _whole(self, split: Split) -> list[str]:
        return [texts.whole(self.texts.of(film_id).lines) for film_id in split.film_ids]


def train_head(
    params: TextParams, train: TrainParams, data: TrainingData, encoded: npt.NDArray[np.float32], checkpoint: Checkpoint
) -> keras.Model:
    """Heads that are trained independently, merged into one.

    encoded: the vectors of the posters' texts, float32 `(rows of the store, k)`.
    """
    epochs = Epochs(params, train, data, checkpoint, lambda epoch, figures: None)
    size, shares = encoded.shape[1], epochs.prevalence()

    def build(seed: int, name: str) -> keras.Model:
        return architecture.build_vector_head(params.head, size, shares, seed, name)

    heads = epochs.train_heads(params.heads, build, encoded)
    wide = params.head.widened(params.heads)
    with backend.float32():
        merged = architecture.build_vector_head(wide, size, shares, train.seed, "text")
    pretrained.merge(heads, merged)
    return merged


def prepare(folder: Path, params: TextParams, data: TrainingData, lock: Path, kept: Path) -> TextTraining | None:
    """What is needed to train on the texts in a folder; None where no poster was read.

    lock: text_encoders.lock.
    kept: the folder that keeps the encoder as ONNX, and the vectors of texts.

    Raises:
        InputError: the folder lacks a poster's text, or the encoder cannot be had or is not the one in `lock`.
    """
    read = texts.Texts.read(folder)
    if read.engine.name == texts.NONE:
        return None
    if params.encoder == NGRAMS_ALONE:
        return TextTraining(params, data, read, None, np.zeros((len(data.store), 0), np.float32))
    folder = _export(finding.find(params.encoder, lock), kept / KEPT)
    encoder = OnnxEncoder(folder)
    lines = (read.of(film_id).lines for film_id in data.store.film_ids)
    encoded = vectors(lambda chosen: embed(encoder, chosen, kept / KEPT), lines)
    return TextTraining(params, data, read, folder, encoded)


def _export(encoder: EncoderFiles, folder: Path) -> Path:
    """The encoder as ONNX in a folder of its own in `folder`, written where it is not there."""
    names = [name for name in (*settings.NEEDED, *settings.OPTIONAL) if (encoder.folder / name).is_file()]
    digest = files.sha256(*(encoder.folder / name for name in names))
    code = files.sha256(*sorted(Path(onnx_encoder.__file__).parent.glob("*.py")))  # other code may write another file
    place = folder / files.sha256_text(f"{encoder.name} {digest} {PRECISION} {code}")[:16]
    if not place.is_dir():
        with files.atomic_folder(place) as new:
            onnx_encoder.export(encoder, new, PRECISION)
    return place


def describe(description: dict[str, Any], training: TextTraining | None) -> dict[str, Any]:
    """What decides the result, for run.json; a training on pictures alone has the description of those.

    description: see `networks.training.describe`.
    """
    about = training.about() if training else {}
    return description | {part: description[part] | more for part, more in about.items()}
