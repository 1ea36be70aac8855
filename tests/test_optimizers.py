import numpy as np
import pytest

from postergenre.backend import keras
from postergenre.optimizers import Muon

RATE, DECAY = 0.01, 0.1


def stepped(optimizer: keras.optimizers.Optimizer, start: np.ndarray, gradient: np.ndarray, name: str) -> np.ndarray:
    variable = keras.Variable(start, name=name)
    optimizer.build([variable])
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return np.asarray(variable)


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 4, 8), (5, 6)])
def test_a_kernels_update_is_orthogonal_and_of_adamws_size(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    start, gradient = (random.normal(size=shape).astype(np.float32) for _ in range(2))
    after = stepped(Muon(RATE, DECAY, []), start, gradient, "kernel")
    rows = (start * (1 - RATE * DECAY) - after).reshape(-1, shape[-1]) / RATE
    left, sizes, right = np.linalg.svd(rows, full_matrices=False)
    # Five steps of Newton and Schulz bring the singular values near to 1, not to it.
    assert np.all(np.abs(sizes / (0.2 * max(rows.shape) ** 0.5) - 1) < 0.35)
    wanted_left, _, wanted_right = np.linalg.svd(gradient.reshape(rows.shape), full_matrices=False)
    assert np.abs(left @ right - wanted_left @ wanted_right).max() < 0.15
    assert 0.1 < np.sqrt(np.mean(rows**2)) < 0.3


@pytest.mark.parametrize(
    ("name", "shape"), [("bias", (8,)), ("depthwise_kernel", (3, 3, 4, 1)), ("genres_kernel", (6, 4))]
)
def test_the_rest_is_adamws(name: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    start, gradient = (random.normal(size=shape).astype(np.float32) for _ in range(2))
    muon = stepped(Muon(RATE, DECAY, ["genres"]), start, gradient, name)
    adamw = stepped(keras.optimizers.AdamW(RATE, weight_decay=DECAY), start, gradient, name)
    np.testing.assert_allclose(muon, adamw, atol=1e-6)
