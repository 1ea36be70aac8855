"""The `pyfunc` of a model that predicts by the text on posters too. MLflow runs this file when it loads the model."""

from pathlib import Path
from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel

from postergenre.prediction import predictor


class PosterModel(PythonModel):
    """From posters uint8 `(n, height, width, 3)` to probabilities float32 `(n, genres)`."""

    def load_context(self, context: Any) -> None:
        self._predictor = predictor.load(Path(context.artifacts["models"]))

    # Without type hints, in which MLflow would look for a signature.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        return self._predictor.read_and_predict(model_input)


mlflow.models.set_model(PosterModel())
