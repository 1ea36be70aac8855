"""Heatmaps by the model in a folder. Keras is imported when some are drawn: a report without pictures needs none."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre.networks import backend, model_folder


def draw(models: Path, posters: npt.NDArray[np.uint8], genres: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """The heatmaps of posters by the train stage's folder `models`, see `gradcam.heatmaps`."""
    backend.start()
    from postergenre.prediction import gradcam

    return gradcam.heatmaps(model_folder.load_keras(models), posters, genres)
