import numpy as np
import pytest

from postergenre.networks.backend import keras
from postergenre.networks.optimizers import Adam, AdamW, Muon

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


@pytest.mark.parametrize(
    "optimizer", [AdamW(RATE, weight_decay=DECAY), Muon(RATE, DECAY, [])], ids=lambda made: made.name
)
def test_the_backbone_decays_at_its_own_rate(optimizer: keras.optimizers.Optimizer) -> None:
    optimizer.backbone_share = 0.25
    inputs = keras.Input((6,))
    outputs = keras.layers.Dense(4, name="genres")(keras.layers.Dense(6, name="block1_conv")(inputs))
    model = keras.Model(inputs, outputs)
    backbone, head = (layer.kernel.numpy() for layer in model.layers[1:])
    for _ in range(2):
        gradients = [keras.ops.zeros_like(variable) for variable in model.trainable_variables]
        optimizer.apply(gradients, model.trainable_variables)
    for kernel, before, share in ((model.layers[1].kernel, backbone, 0.25), (model.layers[2].kernel, head, 1.0)):
        np.testing.assert_allclose(kernel.numpy(), before * (1 - share * RATE * DECAY) ** 2, rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer", [Adam(RATE), AdamW(RATE, weight_decay=0.0), Muon(RATE, 0.0, ["genres"])], ids=lambda made: made.name
)
def test_the_backbone_learns_at_its_own_rate(optimizer: keras.optimizers.Optimizer) -> None:
    optimizer.backbone_share = 0.25
    inputs = keras.Input((6,))
    outputs = keras.layers.Dense(4, name="genres")(keras.layers.Dense(6, name="block1_conv")(inputs))
    model = keras.Model(inputs, outputs)
    before = model.get_weights()
    random = np.random.default_rng(3)
    gradients = [random.normal(size=weight.shape).astype(np.float32) for weight in before]
    optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], model.trainable_variables)
    steps = [np.abs(new - old).mean() for new, old in zip(model.get_weights(), before, strict=True)]
    # A first step of Adam is as long as its rate, one of Muon about a fifth of that times the root of the side.
    backbone_kernel = 0.25 * RATE * (1 if not isinstance(optimizer, Muon) else 0.2 * 6**0.5 * 0.33)
    assert steps[0] == pytest.approx(backbone_kernel, rel=0.25)
    assert steps[1:] == pytest.approx([0.25 * RATE, RATE, RATE], rel=1e-3)
