"""Models in MLflow's format.

One that predicts by pictures alone is a Keras model. One that predicts by the text on the poster too is a `pyfunc` with
the whole folder of the train stage and with this package's code; it reads the posters itself. Both take posters, uint8
`(n, height, width, 3)`, and give probabilities, float32 `(n, genres)`.
"""

import importlib.metadata
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

import postergenre
from postergenre.networks import model_folder

if TYPE_CHECKING:
    import keras

# The name of the train stage's folder among the artifacts of a `pyfunc`.
MODELS = "models"
# The code of a `pyfunc`. It is not imported here, for it runs when MLflow loads the model.
POSTER_MODEL = Path(__file__).with_name("poster_model.py")
# What a `pyfunc` needs beside the text encoder's own packages.
PACKAGES = ("numpy", "onnxruntime", "pillow", "simplejpeg", "pydantic", "pyyaml", "filelock", "psutil", "pandas")
TEXT_PACKAGES = ("rapidocr", "tokenizers")


def save(models: Path, folder: Path, logged: Any, run: Any) -> None:
    """Save the model of the train stage's folder `models` in MLflow's format into `folder`.

    logged: MLflow's entity of this model.
    run: its run.
    """
    metadata = model_folder.read_metadata(models)
    posters = TensorSpec(np.dtype("uint8"), (-1, metadata["resize"]["height"], metadata["resize"]["width"], 3))
    genres = TensorSpec(np.dtype("float32"), (-1, len(metadata["genres"])))
    options = {
        "mlflow_model": Model(
            artifact_path=logged.artifact_location,
            run_id=run.info.run_id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            metadata=metadata,
        ),
        "signature": ModelSignature(inputs=Schema([posters]), outputs=Schema([genres])),
    }
    # Requirements are given, since MLflow would start a process that loads the model to find them out.
    if model_folder.has_text(models):
        # An example would be a poster as a megabyte of JSON; the signature says enough.
        warnings.filterwarnings("ignore", ".*An input example was not provided")
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(POSTER_MODEL),
            artifacts={MODELS: str(models)},
            code_paths=[str(Path(postergenre.__file__).parent)],
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in (*PACKAGES, *TEXT_PACKAGES)],
            **options,
        )
    else:
        names = ("keras", run.data.tags["system.backend"], "numpy")
        requirements = [f"{name}=={run.data.tags[f'system.{name}']}" for name in names]
        mlflow.keras.save_model(model_folder.load_keras(models), str(folder), pip_requirements=requirements, **options)


def has_text(info: Any) -> bool:
    """Whether a model predicts by the text too. info: MLflow's, of the model."""
    return "keras" not in info.flavors


@contextmanager
def downloaded(uri: str) -> Iterator[Path]:
    """The train stage's folder in a model with text, as long as the block lasts."""
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(mlflow.artifacts.download_artifacts(uri, dst_path=scratch), "artifacts", MODELS)


def load_keras(uri: str) -> "keras.Model":
    """The Keras model: of a model with text, what it has for pictures."""
    from postergenre.networks.backend import keras  # noqa: F401 - before MLflow imports it, with TensorFlow's greeting

    if has_text(mlflow.models.get_model_info(uri)):
        with downloaded(uri) as models:
            return model_folder.load_keras(models)
    return mlflow.keras.load_model(uri)
