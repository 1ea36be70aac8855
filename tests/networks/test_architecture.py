from typing import Any

import numpy as np
import pytest

from postergenre import params
from postergenre.errors import InputError
from postergenre.networks import architecture
from postergenre.networks.architecture import Architecture
from postergenre.networks.backend import keras
from postergenre.networks.layer_names import POOLED
from tests.factories import BLOCK, SMALL
from tests.support import ROOT


def shipped(name: str) -> Architecture:
    section = params.read(ROOT / "params.yaml")["networks"][name]["architecture"]
    return params.parse("architecture", Architecture, section)


def small(**changes: Any) -> Architecture:
    return params.parse("architecture", Architecture, SMALL | changes)


def built(network: Architecture, height: int = 24, width: int = 16, genres: int = 5, seed: int = 1) -> keras.Model:
    return architecture.build(network, height, width, [0.3] * genres, seed, "net")


def posters(count: int, height: int = 24, width: int = 16) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_student_cnn_is_the_original_network() -> None:
    network = built(shipped("student_cnn"), 150, 100, genres=29)
    assert network.count_params() == 7_647_037
    kinds = [type(layer).__name__ for layer in network.layers]
    block = ["Conv2D", "Activation", "Conv2D", "Activation", "MaxPooling2D", "Dropout"]
    assert kinds == ["InputLayer", "Rescaling", *block, *block, "Flatten", "Dense", "Dropout", "Dense"]


def test_the_small_residual_network_has_as_many_weights_as_its_comment_says() -> None:
    assert built(shipped("resnet"), 150, 100, genres=20).count_params() == pytest.approx(1.2e6, rel=0.03)


def test_posters_of_another_size_are_resized_inside() -> None:
    network = built(shipped("student_cnn"), 268, 182, genres=3)
    assert network.predict_on_batch(posters(2, 268, 182)).shape == (2, 3)
    assert network.count_params() == built(shipped("student_cnn"), 150, 100, genres=3).count_params()


@pytest.mark.parametrize("name", ["student_cnn", "resnet", "pretrained"])
def test_every_layer_has_a_name_of_its_own_place(name: str) -> None:
    names = [layer.name for layer in built(shipped(name), 150, 100).layers]
    assert not [n for n in names if n.rsplit("_", 1)[-1].isdigit()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "residual", "inverted"])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("squeeze", [None, 1])
def test_every_weight_gets_a_gradient(kind: str, norm: str, squeeze: int | None) -> None:
    block = BLOCK | {"kind": kind, "norm": norm, "repeats": 2, "stride": 2, "dropout": 0.0}
    block |= {"squeeze": squeeze}
    block |= {"expansion": 8} if kind == "inverted" else {}
    network = built(small(blocks=[block], head=SMALL["head"] | {"pooling": "flatten"}))
    before = [weight.numpy().copy() for weight in network.trainable_variables]
    network.compile(keras.optimizers.SGD(10.0), "binary_crossentropy")
    labels = np.random.default_rng(1).integers(0, 2, (8, 5)).astype("float32")
    for _ in range(2):
        network.train_on_batch(posters(8), labels)
    moved = [not np.array_equal(old, new.numpy()) for old, new in zip(before, network.trainable_variables, strict=True)]
    assert all(moved), [weight.path for weight, did in zip(network.trainable_variables, moved, strict=True) if not did]


@pytest.mark.slow
def test_eight_posters_can_be_learned_by_heart() -> None:
    block = BLOCK | {"kind": "residual", "filters": 16, "dropout": 0.0}
    network = built(small(blocks=[block]))
    network.compile(keras.optimizers.Adam(0.03), "binary_crossentropy")
    labels = np.random.default_rng(1).integers(0, 2, (8, 5)).astype("float32")
    network.fit(posters(8), labels, batch_size=8, epochs=60, verbose=0)
    assert ((network.predict(posters(8), verbose=0) > 0.5) == labels).mean() > 0.97


def test_the_head_sees_the_blocks_it_names() -> None:
    blocks = [BLOCK | {"filters": filters, "pool": 1} for filters in (8, 16, 24)]
    network = built(small(blocks=blocks, head=SMALL["head"] | {"blocks": [1, 3]}))
    maps = keras.Model(network.input, [network.get_layer(f"block{k}_dropout").output for k in (1, 3)])
    pooled = keras.Model(network.input, network.get_layer(POOLED).output)
    expected = np.concatenate([seen.mean(axis=(1, 2)) for seen in maps.predict_on_batch(posters(2))], axis=1)
    np.testing.assert_allclose(pooled.predict_on_batch(posters(2)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["residual", "inverted"])
def test_a_dropped_path_leaves_the_shortcut_of_some_posters_alone(kind: str) -> None:
    block = BLOCK | {"kind": kind, "filters": 3, "pool": 1, "norm": "none", "drop_path": 0.5}
    block |= {"expansion": 2} if kind == "inverted" else {}
    network = built(small(blocks=[block]))
    branch = keras.Model(network.input, network.get_layer("block1_unit1_drop_path").output)
    seen = posters(64)
    trained, predicted = (np.asarray(branch(seen, training=training)) for training in (True, False))
    dropped = (trained == 0).all(axis=(1, 2, 3))
    assert 10 < dropped.sum() < 54
    np.testing.assert_allclose(trained[~dropped], 2 * predicted[~dropped], rtol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "residual", "inverted"])
def test_every_kind_of_unit_squeezes(kind: str) -> None:
    block = BLOCK | {"kind": kind, "repeats": 1} | ({"expansion": 2} if kind == "inverted" else {})
    plain, squeezed = (built(small(blocks=[block | {"squeeze": squeeze}])) for squeeze in (None, 4))
    assert squeezed.count_params() > plain.count_params()


def test_squeezing_weighs_channels_by_the_whole_map() -> None:
    network = built(small(blocks=[BLOCK | {"squeeze": 4, "pool": 1, "dropout": 0.0}]))
    names = ("block1_unit1_relu", "block1_unit1_squeeze_out", "block1_unit1_excite")
    parts = keras.Model(network.input, [network.get_layer(name).output for name in names])
    before, weights, after = parts.predict_on_batch(posters(2))
    assert weights.shape == (2, 1, 1, 8)
    assert len(np.unique(weights)) > 1
    np.testing.assert_allclose(after, before * weights, rtol=1e-5)


def test_the_seed_decides_every_weight() -> None:
    one, again, other = (built(small(), seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), again.get_weights(), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_before_training_the_prediction_is_the_genres_frequency() -> None:
    network = architecture.build(small(), 24, 16, [0.5, 0.1, 0.02], 1, "net")
    network.get_layer("genres").kernel.assign(np.zeros((8, 3)))
    np.testing.assert_allclose(network.predict_on_batch(posters(1))[0], [0.5, 0.1, 0.02], rtol=1e-5)


def test_augmentation_changes_posters_in_training_only() -> None:
    augmentation = {"shift": 0.2, "brightness": 0.2, "contrast": 0.2, "horizontal_flip": True}
    network = built(small(augmentation=augmentation))
    assert [layer.name for layer in network.layers][2:6] == ["shift", "brightness", "contrast", "flip"]
    seen = keras.Model(network.input, network.get_layer("flip").output)
    one = posters(1)
    np.testing.assert_allclose(seen(one, training=False), one / np.float32(255), atol=1e-6)
    assert np.abs(np.asarray(seen(one, training=True)) - one / 255).max() > 0.01


@pytest.mark.parametrize("height", [24, 36])
def test_for_prediction_nothing_is_left_to_chance(height: int) -> None:
    augmentation = {"shift": 0.2, "brightness": 0.2, "contrast": 0.2, "horizontal_flip": True}
    network = built(small(augmentation=augmentation), height)
    plain = architecture.for_prediction(network)
    assert not [layer.name for layer in plain.layers if layer.name in augmentation | {"flip": 1}]
    seen = posters(3, height)
    # Called without saying whether it is training, as an export does.
    np.testing.assert_allclose(plain(seen), network.predict_on_batch(seen), atol=1e-6)


def test_the_written_description_rebuilds_the_network() -> None:
    network = built(small())
    again = architecture.from_json(network.to_json())
    again.set_weights(network.get_weights())
    np.testing.assert_array_equal(again.predict_on_batch(posters(3)), network.predict_on_batch(posters(3)))
    with pytest.raises(InputError, match="describes no network"):
        architecture.from_json('{"class_name": "Nothing", "config": {}}')


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": [BLOCK | {"kind": "dense"}]}, "'plain', 'residual' or 'inverted'"),
        ({"blocks": [BLOCK | {"kind": "inverted"}]}, "expansion belongs to inverted blocks"),
        ({"blocks": [BLOCK | {"expansion": 2}]}, "expansion belongs to inverted blocks"),
        ({"blocks": [BLOCK | {"activation": "sine"}]}, "blocks.0.activation is 'sine'; it should be 'relu' or 'relu6'"),
        ({"blocks": [BLOCK | {"filters": 0}]}, "blocks.0.filters is 0; it should be greater than or equal to 1"),
        ({"blocks": [BLOCK | {"dropout": 1.0}]}, "blocks.0.dropout is 1.0; it should be less than 1"),
        ({"blocks": [BLOCK | {"color": 1}]}, "blocks.0.color is not a known key"),
        ({"blocks": [BLOCK | {"norm": "group", "filters": 12}]}, "group norm needs a multiple of 8"),
        (
            {"blocks": [BLOCK | {"norm": "group", "kind": "inverted", "expansion": 2}]},
            "blocks.0 has 6 filters; group norm needs a multiple of 8",
        ),
        ({"blocks": []}, "blocks: List should have at least 1 item"),
        ({"blocks": [BLOCK] * 5}, "blocks.4 pools by 2 but an input of 24 x 16 has shrunk to 1 x 1 there"),
        ({"head": SMALL["head"] | {"pooling": "mean"}}, "'flatten' or 'average'"),
        ({"head": SMALL["head"] | {"blocks": []}}, "head.blocks is []; it should name blocks in their order"),
        ({"blocks": [BLOCK] * 2, "head": SMALL["head"] | {"blocks": [2, 1]}}, "head.blocks is [2, 1]; it should name"),
        ({"head": SMALL["head"] | {"blocks": [1, 2]}}, "and end with the last one, 1,"),
        ({"blocks": [BLOCK | {"drop_path": 0.1}]}, "drop_path belongs to blocks with a shortcut"),
    ],
)
def test_an_impossible_network_is_refused_before_any_work(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        small(**changes)
    assert message in str(error.value)
