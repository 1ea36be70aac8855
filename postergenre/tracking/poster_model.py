"""The `pyfunc` of a model that predicts by the text on posters too. MLflow runs this file when it loads the model."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel

from postergenre.prediction import predictor


class PosterModel(PythonModel):
    """From posters uint8 `(n, height, width, 3)` to probabilities float32 `(n, genres)`."""

    def load_context(self, context: Any) -> None:
        self._predictor = predictor.load(Path(context.artifacts["models"]))

    # MLflow remarks on every other type of `model_input`, and on none.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> np.ndarray:
        return self._predictor.read_and_predict(model_input)


mlflow.models.set_model(PosterModel())
