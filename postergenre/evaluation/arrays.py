"""Small array functions that several metrics share."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ratio(numerator: npt.NDArray[np.floating], denominator: npt.NDArray[np.floating]) -> Floats:
    """`numerator / denominator`, with 0 for 0 / 0."""
    result: Floats = np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator != 0)
    return result


def nan_mean(values: Floats) -> Floats:
    """The mean over the last axis without NaN; NaN where all are NaN."""
    is_number = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(is_number, values, 0).sum(axis=-1) / is_number.sum(axis=-1)
    return mean
