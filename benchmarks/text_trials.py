"""What predicts by the text, trained anew on given lines, and fusions of some of the sources."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from postergenre.data import texts
from postergenre.data.split_tables import Split
from postergenre.evaluation import model_difference
from postergenre.evaluation.bootstrap import original_counts, resample_counts
from postergenre.evaluation.evaluator import Evaluator, Predictions
from postergenre.evaluation.model_difference import Difference
from postergenre.networks.backend import keras
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import TrainParams
from postergenre.networks.text import fusion, ngrams, training
from postergenre.networks.text.config import TextParams
from postergenre.networks.text.fusion import Floats, Fusion, log_odds
from postergenre.networks.text.model import NGRAMS, PICTURE, VECTORS, Encode, Read, vectors
from postergenre.networks.training_data import TrainingData
from postergenre.networks.validation import predictions

# A source beside those of the model: the vectors of all that was read, without those of the title's lettering.
WHOLE = "whole"
RESAMPLES, SEED = 1000, 1
KEYS = ("map", "roc_auc")


@dataclass(frozen=True)
class Posters:
    """Posters of one split, and what each source says of them.

    labels: multi-hot, `(n, genres)`.
    sources: log-odds `(n, genres)` of each.
    have_text: bool `(n,)`.
    """

    labels: npt.NDArray[np.uint8]
    sources: Mapping[str, Floats]
    have_text: npt.NDArray[np.bool_]

    def take(self, chosen: npt.NDArray[np.bool_]) -> "Posters":
        """Some of them. chosen: bool `(n,)`."""
        sources = {name: odds[chosen] for name, odds in self.sources.items()}
        return Posters(self.labels[chosen], sources, self.have_text[chosen])

    def join(self, other: "Posters") -> "Posters":
        """These and others."""
        sources = {name: np.concatenate([odds, other.sources[name]]) for name, odds in self.sources.items()}
        labels, have_text = (
            np.concatenate([getattr(each, name) for each in (self, other)]) for name in ("labels", "have_text")
        )
        return Posters(labels, sources, have_text)

    def with_shuffled_texts(self, seed: int) -> "Posters":
        """The same posters, each with the text of another one, drawn at random."""
        order = np.random.default_rng(seed).permutation(len(self.labels))
        sources = {name: odds if name == PICTURE else odds[order] for name, odds in self.sources.items()}
        return Posters(self.labels, sources, self.have_text[order])


@dataclass(frozen=True)
class Trial:
    """What decides a training on texts.

    params, train: the sections `text` and `train` of params.yaml.
    data: the posters that it learns from, and those by which it chooses.
    test: the test posters.
    lines: what was read on each poster, by its row in the store.
    encode: from texts to vectors.
    picture: probabilities by the pictures, `(rows of the store, genres)`; of training posters, they are not used.
    """

    params: TextParams
    train: TrainParams
    data: TrainingData
    test: Split
    lines: Read
    encode: Encode
    picture: Floats

    def learn(self, seed: int, with_whole: bool = False) -> "Learned":
        """Train n-grams and heads.

        with_whole: whether to train heads on `WHOLE`, too.
        """
        whole, encoded = [texts.whole(read) for read in self.lines], vectors(self.encode, self.lines)
        table = ngrams.fit([whole[row] for row in self.data.train.rows], self.data.train.labels)
        inputs = {VECTORS: encoded} | ({WHOLE: encoded[:, : encoded.shape[1] // 2]} if with_whole else {})
        heads = {name: self._head(vectors, seed) for name, vectors in inputs.items()}

        def posters(split: Split) -> Posters:
            by_heads = {name: log_odds(predictions(head, inputs[name], split)) for name, head in heads.items()}
            by_ngrams = {NGRAMS: table.log_odds([whole[row] for row in split.rows])}
            have_text = np.array([bool(self.lines[row]) for row in split.rows])
            sources = {PICTURE: log_odds(self.picture[split.rows])} | by_ngrams | by_heads
            return Posters(split.labels, sources, have_text)

        shares, shrinkage = self.data.train.labels.mean(axis=0), self.train.threshold_shrinkage
        return Learned(posters(self.data.val), posters(self.test), shares, shrinkage)

    def _head(self, inputs: npt.NDArray[np.float32], seed: int) -> keras.Model:
        with tempfile.TemporaryDirectory() as folder:
            section = self.train.model_copy(update={"seed": seed})
            return training.train_head(self.params, section, self.data, inputs, Checkpoint(Path(folder)))


@dataclass(frozen=True)
class Learned:
    """What a trial learned, by what it says.

    val, test: the posters by which it chooses, and those on which it is tested.
    shares: of the training posters that have each genre, `(genres,)`.
    shrinkage: see `thresholds.fit`.
    """

    val: Posters
    test: Posters
    shares: npt.NDArray[np.float64]
    shrinkage: float

    def fuse(self, names: Sequence[str]) -> "Fused":
        """The fusion of some of the sources that is best for the posters of `val`."""
        chosen = {name: self.val.sources[name] for name in names}
        return Fused(fusion.fit(self.val.labels, chosen, self.shares, self.shrinkage))


@dataclass(frozen=True)
class Fused:
    """A fusion of some of the sources."""

    fusion: Fusion

    def predict(self, posters: Posters) -> Predictions:
        """What is predicted for posters; without a text, by the picture, where it is among the sources."""
        probabilities, without = self.fusion.apply(posters.sources), ~posters.have_text
        if PICTURE in self.fusion.weights:
            probabilities[without] = expit(posters.sources[PICTURE][without])
        return Predictions(probabilities, self.fusion.thresholds, self.fusion.global_threshold)


def restrict(split: Split, chosen: npt.NDArray[np.bool_]) -> Split:
    """Some posters of a split. chosen: bool `(n,)`."""
    film_ids = [film_id for film_id, each in zip(split.film_ids, chosen, strict=True) if each]
    return replace(split, film_ids=film_ids, rows=split.rows[chosen], labels=split.labels[chosen])


def scores(posters: Posters, predicted: Predictions) -> dict[str, float]:
    """The metrics of `KEYS`."""
    metrics = Evaluator(posters.labels, predicted).metrics(original_counts(len(posters.labels)))
    return {key: float(metrics[key][0]) for key in KEYS}


def gain(posters: Posters, predicted: Predictions, other: Predictions, key: str) -> Difference:
    """How much better predictions are than others, with the paired 95 % interval."""
    counts = resample_counts(len(posters.labels), RESAMPLES, SEED)
    return model_difference.differences(posters.labels, predicted, other, counts, [key])[key]
