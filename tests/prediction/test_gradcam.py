from typing import Any

import numpy as np
import pytest

from postergenre import params
from postergenre.networks import architecture
from postergenre.networks.architecture import Architecture
from postergenre.networks.backend import keras
from postergenre.prediction import gradcam
from tests.factories import BLOCK, SMALL

PLAIN = {"norm": "none", "pool": 1, "stride": 2, "dropout": 0.0, "repeats": 1}


def network(**head: Any) -> keras.Model:
    blocks = [BLOCK | PLAIN] * len(head.get("blocks", [1]))
    described = SMALL | {"blocks": blocks, "head": SMALL["head"] | head}
    parsed = params.parse("networks.small.architecture", Architecture, described)
    return architecture.build(parsed, 24, 16, [0.3, 0.3], seed=1, name="small")


def brightness_seeker(**head: Any) -> keras.Model:
    """Its first genre wants white, its second black."""
    model = network(**head)
    (kernel, bias), (dense, offset) = (layer.get_weights() for layer in model.layers if layer.weights)
    model.get_layer("block1_unit1_conv").set_weights([np.ones_like(kernel), np.zeros_like(bias)])
    dense[:, 0], dense[:, 1] = 1, -1
    model.get_layer("genres").set_weights([dense, offset])
    return model


def half_white() -> np.ndarray:
    """Black, but for the upper half."""
    poster = np.zeros((1, 24, 16, 3), np.uint8)
    poster[:, :12] = 255
    return poster


def test_the_map_shows_where_the_genre_comes_from() -> None:
    (heat,) = gradcam.heatmaps(brightness_seeker(), half_white(), np.array([0]))
    assert heat.shape == (24, 16)
    assert heat.max() == pytest.approx(1, abs=0.05)
    assert heat[:8].min() > 0.5
    assert heat[16:].max() < 0.1


def test_evidence_against_a_genre_is_not_shown() -> None:
    assert gradcam.heatmaps(brightness_seeker(), half_white(), np.array([1])).max() == 0


def test_a_channel_has_one_weight_all_over_the_map() -> None:
    """The mean of its gradients, as in Grad-CAM; here the head uses the left half only."""
    model = brightness_seeker(pooling="flatten")
    dense, offset = model.get_layer("genres").get_weights()
    dense.reshape(12, 8, -1, 2)[:, 4:] = 0
    model.get_layer("genres").set_weights([dense, offset])
    (heat,) = gradcam.heatmaps(model, half_white(), np.array([0]))
    assert heat[:8].min() > 0.5


@pytest.mark.parametrize(
    "head",
    [{"pooling": "flatten"}, {"blocks": [1, 2]}, {"dense": [{"units": 4, "activation": "relu", "dropout": 0.2}]}],
)
def test_any_head_is_looked_through_and_more_posters_than_a_batch(head: dict[str, Any]) -> None:
    posters = np.random.default_rng(0).integers(0, 256, (gradcam.BATCH + 2, 24, 16, 3), dtype=np.uint8)
    model, genres = network(**head), np.arange(gradcam.BATCH + 2) % 2
    heat = gradcam.heatmaps(model, posters, genres)
    assert 0 <= heat.min() <= heat.max() <= 1
    # One by one they are the same.
    again = gradcam.heatmaps(model, posters[-1:], genres[-1:])
    np.testing.assert_allclose(again[0], heat[-1], atol=1e-5)


def test_the_gradient_is_that_of_small_steps() -> None:
    _, head = gradcam.split_model(network(dense=[{"units": 5, "activation": "relu", "dropout": 0.0}]))
    random, step = np.random.default_rng(1), 1e-2
    features, along = (random.normal(size=(2, *head.inputs[0].shape[1:])).astype(np.float32) for _ in range(2))
    directions = random.normal(size=(2, 5)).astype(np.float32)
    up, down = (head.predict_on_batch(features + sign * step * along) for sign in (1, -1))
    slope = ((up - down) * directions).sum(axis=1) / (2 * step)
    gradient = gradcam.gradients(head, [features], directions)
    np.testing.assert_allclose((gradient * along).sum(axis=(1, 2, 3)), slope, rtol=0.02, atol=1e-4)
