"""Training on what was read: n-grams, heads on the text encoder's vectors, and the fusion with the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre.data import texts as texts_
from postergenre.data.split_tables import Split
from postergenre.data.texts import Texts
from postergenre.networks import architecture, pretrained
from postergenre.networks.backend import keras
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import TrainParams
from postergenre.networks.epochs import Epochs
from postergenre.networks.text import fusion, ngrams
from postergenre.networks.text.config import TextParams
from postergenre.networks.text.fusion import Fusion, log_odds
from postergenre.networks.text.model import NGRAMS, PICTURE, VECTORS
from postergenre.networks.text.ngrams import Ngrams
from postergenre.networks.training_data import TrainingData
from postergenre.networks.validation import predictions

Floats = npt.NDArray[np.floating]



@dataclass(frozen=True)
class TrainedText:
    """What was learned from the texts.

    ngrams: the table of n-grams.
    head: from the text encoder's vectors to the genres; None without an encoder.
    both: the fusion of the picture with what was read.
    alone: the fusion of what was read, without the picture.
    """

    ngrams: Ngrams
    head: keras.Model | None
    both: Fusion
    alone: Fusion


@dataclass(frozen=True)
class Training:
    """What the parts are trained with.

    params: the section `text` of params.yaml.
    train: its section `train`.
    data: the splits.
    texts: of the posters.
    vectors: the text encoder's, float32 `(rows of the store, k)`; None without an encoder.
    checkpoint: keeps the epochs of the heads.
    """

    params: TextParams
    train: TrainParams
    data: TrainingData
    texts: Texts
    vectors: npt.NDArray[np.float32] | None
    checkpoint: Checkpoint

    def fit(self, picture: Floats) -> TrainedText:
        """Train all parts.

        picture: the calibrated probabilities of the validation posters by their pictures, `(n, genres)`.
        """
        train, val = self.data.train, self.data.val
        table = ngrams.fit(self._whole(train), train.labels)
        head = None if self.vectors is None else self._head(self.vectors)
        sources: dict[str, Floats] = {NGRAMS: table.log_odds(self._whole(val))}
        if head is not None and self.vectors is not None:
            sources[VECTORS] = log_odds(predictions(head, self.vectors, val))
        alone = self._fuse(sources)
        return TrainedText(table, head, self._fuse(sources | {PICTURE: log_odds(picture)}), alone)

    def _head(self, vectors: npt.NDArray[np.float32]) -> keras.Model:
        """Heads that are trained independently, merged into one."""
        epochs = Epochs(self.params, self.train, self.data, self.checkpoint, lambda epoch, figures: None)
        prevalence, head, size = epochs.prevalence(), self.params.head, vectors.shape[1]
        heads = epochs.train_heads(
            self.params.heads,
            lambda seed, name: architecture.build_vector_head(head, size, prevalence, seed, name),
            vectors,
        )
        wide = head.widened(self.params.heads)
        merged = architecture.build_vector_head(wide, size, prevalence, self.train.seed, "text")
        pretrained.merge(heads, merged)
        return merged

    def _fuse(self, sources: Mapping[str, Floats]) -> Fusion:
        shares = self.data.train.labels.mean(axis=0)
        return fusion.fit(self.data.val.labels, sources, shares, self.train.threshold_shrinkage)

    def _whole(self, split: Split) -> list[str]:
        return [texts_.whole(self.texts.of(film_id).lines) for film_id in split.film_ids]
