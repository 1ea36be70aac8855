"""The `pyfunc` of a model that predicts by the text on posters too. MLflow runs this file when it loads the model."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
from mlflow.pyfunc import PythonModel

from postergenre.prediction import predictor


class PosterModel(PythonModel):
    """From posters uint8 `(n, height, width, 3)` to probabilities float32 `(n, genres)`.

    It reads them as they are given, in the size of the network's input; `predict` reads a poster in its own size.
    """

    def load_context(self, context: Any) -> None:
        self._predictor = predictor.load(Path(context.artifacts["models"]))

    # MLflow looks for a signature in other type hints, and warns where there is none.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> npt.NDArray[np.float32]:
        return self._predictor.read_and_predict(model_input)


mlflow.models.set_model(PosterModel())
