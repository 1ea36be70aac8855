"""`models/`, the output of the train stage. Only this module knows its files: it writes and reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from postergenre import files
from postergenre.data.genres import vocabulary
from postergenre.errors import InputError
from postergenre.networks import onnx_model
from postergenre.networks.onnx_model import OnnxModel

if TYPE_CHECKING:  # `predict` reads the folder and waits for none of these
    import keras
    import pandas as pd

    from postergenre.networks.calibration import Calibration
    from postergenre.networks.poster_index import PosterIndex
    from postergenre.networks.text.model import TextModel
    from postergenre.networks.text.training import TrainedText

TRAIN = "`dvc repro train`"
WEIGHTS, ARCHITECTURE, ONNX = "weights.weights.h5", "architecture.json", "model.onnx"
GENRES, CALIBRATION, THRESHOLDS = "genres.json", "calibration.json", "thresholds.json"
SUMMARY, HISTORY, RUN = "summary.txt", "history.csv", "run.json"
INDEX = "index.npz"
TEXT, TEXT_DESCRIPTION = "text", "text.json"
# All but the weights, in Keras's form and in ONNX's.
SMALL = (GENRES, CALIBRATION, THRESHOLDS, RUN, ARCHITECTURE, SUMMARY, HISTORY)


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    model: of the best epoch, calibrated.
    history: a row for each epoch, from the first on.
    best_epoch: counted from 1.
    calibration: the model's.
    thresholds: float64 `(genres,)`, of calibrated probabilities.
    global_threshold: the one threshold for all genres.
    genres: in the order of the model's outputs.
    description: what decided the result, see `training.describe`.
    text: what was learned from the text on the posters; None where they were not read.
    index: of the training posters; None for a network with more features than an index takes.
    """

    model: "keras.Model"
    history: list[dict[str, float]]
    best_epoch: int
    calibration: "Calibration"
    thresholds: npt.NDArray[np.float64]
    global_threshold: float
    genres: list[str]
    description: dict[str, Any]
    text: "TrainedText | None"
    index: "PosterIndex | None"


def write(folder: Path, trained: Trained) -> None:
    """Write a training into an empty folder."""
    import pandas as pd

    from postergenre.networks import calibration

    model, genres = trained.model, trained.genres
    model.save_weights(folder / WEIGHTS)
    (folder / ARCHITECTURE).write_text(model.to_json(indent=1) + "\n", encoding="utf-8")
    files.write_json(folder / GENRES, vocabulary(genres))
    cuts = {genre: round(float(cut), 6) for genre, cut in zip(genres, trained.thresholds, strict=True)}
    files.write_json(folder / THRESHOLDS, {"global_threshold": round(trained.global_threshold, 6), "genres": cuts})
    files.write_json(folder / CALIBRATION, calibration.to_json(trained.calibration, genres))
    (folder / SUMMARY).write_text(_summary(model), encoding="utf-8")
    pd.DataFrame(trained.history).to_csv(folder / HISTORY, index=False, float_format="%.6g")
    onnx_model.export(model, folder / ONNX)
    if trained.text:
        from postergenre.networks.text import model as text_model

        (folder / TEXT).mkdir()
        text_model.write(folder / TEXT, trained.text, genres)
    facts = {
        "model": files.sha256(*_model_files(folder)),
        "onnx": files.sha256(folder / ONNX),
        "index": _write_index(folder / INDEX, trained.index),
        "weights": int(model.count_params()),
        "best_epoch": trained.best_epoch,
    }
    files.write_json(folder / RUN, facts | trained.description)


def _write_index(file: Path, index: "PosterIndex | None") -> str | None:
    """Write the index, where there is one; returns its hash."""
    if index is None:
        return None
    index.write(file)
    return files.sha256(file)


def read_run(folder: Path) -> dict[str, Any]:
    """The contents of run.json: the model's hashes, and what decided the training's result.

    Raises:
        InputError: the folder holds no model, or the file was not written by the train stage.
    """
    file = folder / RUN
    run = files.read_json(file, TRAIN)
    if not isinstance(run, dict) or not {"model", "weights", "params", "data"} <= run.keys():
        raise InputError(f"{file} is not as the train stage writes it; {TRAIN} writes it anew")
    return run


def read_metadata(folder: Path) -> dict[str, Any]:
    """What predictions need beside the network: genres, thresholds, global threshold, size and fit of posters.

    Raises:
        InputError: it is no folder, a file is missing, or the files are not of one training.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; it should be the folder that {TRAIN} wrote")
    ids, thresholds, run = (files.read_json(folder / name, TRAIN) for name in (GENRES, THRESHOLDS, RUN))
    try:
        genres = sorted(ids["genre2id"], key=ids["genre2id"].__getitem__)
        cuts = {genre: float(thresholds["genres"][genre]) for genre in genres}
        shared = float(thresholds["global_threshold"])
        resize = {key: run["params"]["resize"][key] for key in ("height", "width", "fit")}
        if ids != vocabulary(sorted(genres)):
            raise ValueError("genres.json does not number them in alphabetical order")
        if not all(0 <= cut <= 1 for cut in (shared, *cuts.values())):
            raise ValueError("a threshold is not between 0 and 1")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"genres.json, thresholds.json and run.json in {folder} are not of one training ({error!r}); run {TRAIN}"
        ) from None
    return {"genres": genres, "thresholds": cuts, "global_threshold": shared, "resize": resize}


def read_calibration(folder: Path, genres: list[str]) -> "Calibration":
    """The calibration of the model's predictions, in the order of `genres`.

    Raises:
        InputError: the file is missing, or of other genres.
    """
    from postergenre.networks import calibration

    if has_text(folder):
        from postergenre.networks.text import model as text_model

        both = text_model.read_description(folder / TEXT, genres).both
        return calibration.Calibration(both.method, both.slope, both.intercept, {})
    try:
        return calibration.from_json(files.read_json(folder / CALIBRATION, TRAIN), genres)
    except ValueError as error:
        raise InputError(f"{folder / CALIBRATION} is {error}; run {TRAIN}") from None


def read_history(folder: Path) -> "pd.DataFrame":
    """A row for each epoch: epoch, loss, val_loss, val_map, learning_rate."""
    import pandas as pd

    return pd.read_csv(folder / HISTORY)


def read_summary(folder: Path) -> str:
    """The network's layers as a table for people."""
    return (folder / SUMMARY).read_text(encoding="utf-8")


def load_onnx(folder: Path) -> OnnxModel:
    """The network as ONNX.

    Raises:
        InputError: a file is missing, or they are not of one training.
    """
    _check(folder, "onnx", folder / ONNX)
    return OnnxModel(folder / ONNX)


def load_index(folder: Path) -> "PosterIndex | None":
    """The index of the training posters; None where the train stage wrote none, as in earlier versions.

    Raises:
        InputError: its file is missing, or of another training.
    """
    from postergenre.networks import poster_index

    if not read_run(folder).get("index"):
        return None
    _check(folder, "index", folder / INDEX)
    return poster_index.read(folder / INDEX)


def load_keras(folder: Path) -> "keras.Model":
    """The network as a Keras model.

    Raises:
        InputError: a file is missing, or they are not of one training.
    """
    from postergenre.networks import architecture

    _check(folder, "model", *_model_files(folder))
    model = architecture.from_json((folder / ARCHITECTURE).read_text(encoding="utf-8"))
    model.load_weights(folder / WEIGHTS)
    return model


def load_text(folder: Path, genres: list[str], kept: Path | None = None) -> "TextModel | None":
    """What predicts by the text on the poster too; None where the model was trained on pictures alone.

    kept: the folder of checkpoints, which keeps the vectors of texts; None computes each anew.

    Raises:
        InputError: a file is missing, or they are not of one training.
    """
    if not has_text(folder):
        return None
    from postergenre.networks.text import model as text_model

    text = text_model.read(folder / TEXT, genres)
    _check(folder, "model", *_model_files(folder))
    return text if kept is None else text.with_kept_vectors(kept)


def has_text(folder: Path) -> bool:
    """Whether the model predicts by the text on posters too."""
    return TEXT in read_run(folder)["params"]


def small_files(folder: Path) -> list[Path]:
    """The files that say what the model is, relative to the folder: all but those with its weights."""
    text = Path(TEXT, TEXT_DESCRIPTION)
    return [*map(Path, SMALL), *([text] if (folder / text).exists() else [])]


def _model_files(folder: Path) -> list[Path]:
    """The files whose hash names the model. Of the text, its description has the hashes of all others."""
    text = folder / TEXT / TEXT_DESCRIPTION
    return [folder / WEIGHTS, folder / ARCHITECTURE, *([text] if text.exists() else [])]


def _summary(model: "keras.Model") -> str:
    lines: list[str] = []
    model.summary(line_length=110, print_fn=lambda line: lines.append(line))
    return "\n".join(lines) + "\n"


def _check(folder: Path, key: str, *parts: Path) -> None:
    """Check that the parts are there and match their hash in run.json."""
    missing = next((file for file in parts if not file.is_file()), None)
    if missing:
        raise InputError(f"{missing} is missing; {TRAIN} writes it")
    if files.sha256(*parts) != files.read_json(folder / RUN, TRAIN).get(key):
        names = " and ".join(file.name for file in parts)
        raise InputError(f"{folder} is not one model: the hash of {names} is not the one in {RUN}; run {TRAIN}")
