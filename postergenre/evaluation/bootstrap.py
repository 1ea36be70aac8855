"""The bootstrap: confidence intervals from resampled test posters (Efron 1979)."""

import warnings

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def resample_counts(posters: int, resamples: int, seed: int) -> npt.NDArray[np.uint16]:
    """How often each poster is in each resample, `(resamples, posters)`; each row sums to `posters`.

    Each resample draws as many posters as there are, with replacement.
    """
    random = np.random.default_rng(seed)
    draws = (random.integers(posters, size=posters) for _ in range(resamples))
    return np.stack([np.bincount(draw, minlength=posters).astype(np.uint16) for draw in draws])


def original_counts(posters: int) -> npt.NDArray[np.uint16]:
    """The posters as they are: every one counts once, `(1, posters)`."""
    return np.ones((1, posters), dtype=np.uint16)


def basic_interval(value: float, samples: Floats) -> tuple[float, float]:
    """The 95 % interval of a value from its values on resamples: the percentiles, mirrored at the value.

    This is the "basic" bootstrap (Davison and Hinkley 1997, section 5.2). A poster that is drawn twice ranks beside
    itself, which raises every genre's average precision, and the mean over genres keeps that bias. In simulations
    (21 genres as frequent as on real posters, 960 posters, mAP 0.17) the plain percentiles contained the true mAP in
    17 % of the cases, the mirrored ones in 94 %. For the other metrics the two hardly differ.

    Args:
        value: on the posters as they are.
        samples: on the resamples, `(resamples,)`; NaN is ignored.
    """
    low, high = percentile_interval(samples)
    return float(2 * value - high), float(2 * value - low)


def clipped_interval(value: float, samples: Floats, maximum: float = 1.0) -> tuple[float, float]:
    """`basic_interval` of a metric between 0 and `maximum`, kept within that range."""
    low, high = basic_interval(value, samples)
    return float(np.clip(low, 0, value)), float(np.clip(high, value, maximum))


def percentile_interval(samples: Floats) -> Floats:
    """The 2.5th and the 97.5th percentile of each column, `(2, ...)`; NaN is ignored, and of NaN alone remains NaN."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        percentiles: Floats = np.nanpercentile(samples, [2.5, 97.5], axis=0)
    return percentiles
