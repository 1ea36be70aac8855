"""`models/text/`: what predictions need of the text. Only this module knows its files: it writes and reads them."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from postergenre import files
from postergenre.data import texts
from postergenre.data.texts import Engine, Line
from postergenre.errors import InputError
from postergenre.networks import onnx_model
from postergenre.networks.onnx_model import OnnxModel
from postergenre.networks.text import fusion, ngrams
from postergenre.networks.text.fusion import Fusion, log_odds
from postergenre.networks.text.ngrams import Ngrams
from postergenre.networks.text_encoders.embeddings import embed
from postergenre.networks.text_encoders.onnx_encoder import OnnxEncoder

if TYPE_CHECKING:  # `predict` reads the folder and does not wait for Keras
    from postergenre.networks.text.training import TrainedText

DESCRIPTION, NGRAM_TABLE, HEAD, ENCODER = "text.json", "ngrams.npz", "head.onnx", "encoder"
TRAIN = "`dvc repro train`"
# In the folder of checkpoints: encoders as ONNX, and the vectors of texts.
KEPT = "text"
# The sources of a fusion.
PICTURE, VECTORS, NGRAMS = "picture", "vectors", "ngrams"
Floats = npt.NDArray[np.floating]
# What was read on each poster.
Read = Sequence[Sequence[Line]]
# From texts to vectors float32 `(n, k)`.
Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class TextModel:
    """From what was read on posters to probabilities.

    engine: what reads the posters.
    ngrams: the table of n-grams.
    encoder, head: the text encoder, and from its vectors to the genres; None where n-grams alone are used.
    both: the fusion of the picture with what was read.
    alone: the fusion of what was read, without the picture.
    """

    engine: Engine
    ngrams: Ngrams
    encoder: Encode | None
    head: OnnxModel | None
    both: Fusion
    alone: Fusion

    def predict(self, picture: Floats, lines: Read) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of posters by picture and text; without lines, those of the picture.

        picture: calibrated probabilities by the pictures, `(n, genres)`.
        """
        probabilities = self.both.apply({PICTURE: log_odds(picture)} | self._sources(lines))
        without = [not read for read in lines]
        probabilities[without] = picture[without]
        return probabilities

    def with_kept_vectors(self, folder: Path) -> "TextModel":
        """The same, which keeps the vectors of texts, and takes them from there.

        folder: of checkpoints.
        """
        encoder = self.encoder
        if not isinstance(encoder, OnnxEncoder):
            return self
        return replace(self, encoder=lambda texts: embed(encoder, texts, folder / KEPT))

    def predict_alone(self, lines: Read) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` by the texts alone."""
        return self.alone.apply(self._sources(lines))

    def effects(self, picture: Floats, lines: Sequence[Line]) -> npt.NDArray[np.float64]:
        """What each line adds to the log-odds of each genre, `(lines, genres)`: by leaving it out.

        picture: calibrated probabilities of one poster by its picture, `(genres,)`.
        """
        shorter = [[*lines[:place], *lines[place + 1 :]] for place in range(len(lines))]
        odds = log_odds(self.predict(np.tile(picture, (len(lines) + 1, 1)), [lines, *shorter]))
        return odds[:1] - odds[1:]

    def _sources(self, lines: Read) -> dict[str, Floats]:
        sources: dict[str, Floats] = {NGRAMS: self.ngrams.log_odds([texts.whole(read) for read in lines])}
        if self.encoder and self.head:
            sources[VECTORS] = log_odds(self.head(vectors(self.encoder, lines)))
        return sources


def vectors(encode: Encode, lines: Iterable[Sequence[Line]]) -> npt.NDArray[np.float32]:
    """The vectors of posters, float32 `(n, 2 k)`: of all that was read, and of the title's lettering."""
    encoded = encode([text for read in lines for text in (texts.whole(read), texts.title(read))])
    return encoded.reshape(-1, 2 * encoded.shape[1])


def write(folder: Path, trained: "TrainedText", genres: list[str]) -> None:
    """Write what was trained into an empty folder."""
    trained.ngrams.write(folder / NGRAM_TABLE)
    if trained.head is not None and trained.encoder is not None:
        onnx_model.export(trained.head, folder / HEAD)
        shutil.copytree(trained.encoder, folder / ENCODER)
    parts = sorted(file for file in folder.rglob("*") if file.is_file())
    contents = {
        "engine": asdict(trained.engine),
        "both": trained.both.to_json(genres),
        "alone": trained.alone.to_json(genres),
        "sha256": {file.relative_to(folder).as_posix(): files.sha256(file) for file in parts},
    }
    files.write_json(folder / DESCRIPTION, contents)


@dataclass(frozen=True)
class Description:
    """The contents of text.json.

    engine, both, alone: see `TextModel`.
    digests: SHA-256 of each other file, by its path in the folder.
    """

    engine: Engine
    both: Fusion
    alone: Fusion
    digests: dict[str, str]


def read_description(folder: Path, genres: list[str]) -> Description:
    """Read text.json of a folder that `write` wrote.

    Raises:
        InputError: it is missing, or of other genres.
    """
    contents = files.read_json(folder / DESCRIPTION, TRAIN)
    try:
        both, alone = (fusion.from_json(contents[name], genres) for name in ("both", "alone"))
        return Description(Engine(**contents["engine"]), both, alone, dict(contents["sha256"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / DESCRIPTION} is not as {TRAIN} writes it ({error!r}); run {TRAIN}") from None


def read(folder: Path, genres: list[str]) -> TextModel:
    """Read a folder that `write` wrote.

    Raises:
        InputError: a file is missing, or the files are not of one training.
    """
    about = read_description(folder, genres)
    _check(folder, about.digests)
    table, encoder, head = ngrams.read(folder / NGRAM_TABLE), None, None
    if HEAD in about.digests:
        encoder, head = OnnxEncoder(folder / ENCODER, checked=True), OnnxModel(folder / HEAD)
    return TextModel(about.engine, table, encoder, head, about.both, about.alone)


def _check(folder: Path, digests: Mapping[str, str]) -> None:
    for name, digest in digests.items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing; {TRAIN} writes it")
        if files.sha256(folder / name) != digest:
            raise InputError(f"{folder} is not one model: {name} has another hash than in {DESCRIPTION}; run {TRAIN}")
