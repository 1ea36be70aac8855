import numpy as np
from scipy.special import expit

from benchmarks import calibration as benchmark
from postergenre.networks import calibration
from postergenre.networks.calibration import binary_cross_entropy


def test_isotonic_regression_unbends_what_no_slope_can_and_leaves_rare_genres_to_platt() -> None:
    random = np.random.default_rng(1)
    odds = random.normal(size=(4000, 2))
    true = expit(np.where(np.abs(odds) < 1, 0, 3 * odds)) * (1, 0.01)
    labels = (random.random(odds.shape) < true).astype(np.uint8)
    known, new = (labels[:2000], expit(odds[:2000])), expit(odds[2000:])
    platt = benchmark.linear(calibration.fit_platt, *known, new)
    fitted = benchmark.isotonic(100, *known, new)
    losses = [binary_cross_entropy(labels[2000:], answer)[:, 0].mean() for answer in (fitted, platt)]
    assert losses[0] < losses[1] - 0.01
    np.testing.assert_array_equal(fitted[:, 1], platt[:, 1])
    assert (benchmark.isotonic(1, *known, new)[:, 1] != platt[:, 1]).any()
