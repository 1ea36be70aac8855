import numpy as np

from benchmarks import ensemble


def test_a_moved_poster_keeps_its_size_and_repeats_its_edge() -> None:
    poster = np.arange(50 * 25 * 3).reshape(1, 50, 25, 3).astype(np.uint8)
    moved = ensemble.shifted(poster, 0.04, -0.04)
    assert moved.shape == poster.shape
    assert (moved[:, 2:, :-1] == poster[:, :-2, 1:]).all()
    assert (moved[:, 0] == moved[:, 2]).all()
    assert (moved[:, :, -1] == moved[:, :, -2]).all()


def test_networks_that_err_apart_are_better_together() -> None:
    labels = np.array([[1], [1], [0], [0]], np.uint8)
    one, other = np.array([[3.0], [-1], [0], [-3]]), np.array([[-1.0], [3], [-3], [0]])
    networks = [dict.fromkeys(ensemble.VIEWS, log_odds) for log_odds in (one, other)]
    first = ensemble.table(labels, networks).splitlines()[2]
    assert first == "| original | 0.8333 | 1.0000 | 1 or 2 |"
