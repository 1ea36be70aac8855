import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postergenre import params
from postergenre.errors import InputError
from postergenre.networks import architecture, onnx_model, pretrained, training
from postergenre.networks.architecture import Architecture
from postergenre.networks.backend import keras
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import Network, TrainParams
from postergenre.networks.validation import predictions
from tests import support
from tests.factories import RECIPE, SMALL, TRAIN, compute_val_loss, make_data, prepare

BACKBONE = {"weights": "none", "trainable": "all", "learning_rate": 0.001}


def architecture_section(name: str, **changes: Any) -> dict[str, Any]:
    rest = {key: value for key, value in SMALL.items() if key != "blocks"}
    return rest | {"input": {"height": 64, "width": 48, "scale": "own"}, "backbone": name} | changes


def built(name: str, imagenet: bool = False) -> keras.Model:
    made = params.parse("networks.n.architecture", Architecture, architecture_section(name))
    return architecture.build(made, 64, 48, [0.3] * 4, 1, "net", imagenet)


# What makes each backbone small: its own builder makes it, of the same kinds of layers, only fewer or narrower ones.
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "MobileNet": ("MobileNet", {"alpha": 0.25}),
    "DenseNet121": ("DenseNet", {"blocks": (1, 1, 1, 1)}),
    "VGG16": ("VGG16", {}),
    "MobileNetV3Small": ("MobileNetV3Small", {"alpha": 0.25, "minimalistic": True}),
    "EfficientNetV2B0": (
        "EfficientNetV2",
        {"width_coefficient": 0.25, "depth_coefficient": 0.1, "default_size": 64, "name": "efficientnetv2-b0"},
    ),
}


def preprocess(name: str, posters: np.ndarray) -> np.ndarray:
    """Prepare posters as Keras does for a backbone."""
    application: Any = getattr(keras.applications, name)
    prepared: np.ndarray = sys.modules[application.__module__].preprocess_input(posters.astype(np.float32))
    return prepared


def shrink(name: str, monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    """Make a backbone small; return it with weights that stand for those from ImageNet, which are not downloaded."""
    application: Any = getattr(keras.applications, name)
    builder, options = TINY[name]
    keras.utils.set_random_seed(1)
    small = partial(getattr(sys.modules[application.__module__], builder), **options)
    model = small(include_top=False, weights=None, input_shape=(64, 48, 3))
    # Through norms without statistics of pictures, next to nothing of a picture would reach the features.
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(preprocess(name, pictures()), training=True)

    def downloaded(include_top: bool, weights: str | None, input_tensor: Any) -> keras.Model:
        made = small(include_top=include_top, weights=None, input_tensor=input_tensor)
        if weights == "imagenet":
            made.set_weights(model.get_weights())
        return made

    downloaded.__module__ = application.__module__
    monkeypatch.setattr(keras.applications, name, downloaded)
    return model


def pictures(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 48, 3), dtype=np.uint8)


# One of each way to prepare pictures: -1 to 1, in units of ImageNet's spread, its means in reverse colours, not at all.
@pytest.mark.parametrize("name", ["MobileNet", "DenseNet121", "VGG16", "MobileNetV3Small"])
def test_posters_are_prepared_as_its_own_preprocessing_does_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = shrink(name, monkeypatch)
    expected = original.predict_on_batch(preprocess(name, pictures())).mean(axis=(1, 2))
    assert expected.std() > 0.1
    features = pretrained.backbone(built(name, imagenet=True)).predict_on_batch(pictures())
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("small", [True, pytest.param(False, marks=pytest.mark.long)])
def test_it_is_kept_as_json_and_as_onnx(small: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if small:
        shrink("EfficientNetV2B0", monkeypatch)
    model = built("EfficientNetV2B0")  # it normalises inside
    again = architecture.from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict_on_batch(pictures()), model.predict_on_batch(pictures()), atol=1e-6)
    onnx_model.export(model, tmp_path / "model.onnx")  # compares the answers


@pytest.mark.long
def test_a_network_for_which_a_pass_of_the_optimizer_fails_is_kept_as_onnx_too(tmp_path: Path) -> None:
    onnx_model.export(built("MobileNetV3Small"), tmp_path / "model.onnx")


def prepared(name: str, trainable: str, monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    backbone = BACKBONE | {"trainable": trainable, "weights": "imagenet"}
    section = {"architecture": architecture_section(name), "training": RECIPE, "backbone": backbone}
    shrink(name, monkeypatch)
    pretrained.prepare(model := built(name, imagenet=True), params.parse("networks.n", Network, section))
    return model


def test_norms_that_have_learned_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = pretrained.backbone(prepared("MobileNet", "all", monkeypatch)).layers
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert not any(norm.trainable for norm in norms)
    assert all(layer.trainable for layer in layers if isinstance(layer, keras.layers.Conv2D))


@pytest.mark.parametrize(("trainable", "moves"), [("head", False), ("all", True)])
def test_all_of_it_is_trained_or_nothing(trainable: str, moves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without norms, for through norms that have learned nothing no gradient comes.
    model = prepared("VGG16", trainable, monkeypatch)
    before = pretrained.backbone(model).get_weights()
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    model.train_on_batch(pictures(), np.eye(4, dtype=np.float32)[:3])
    after = pretrained.backbone(model).get_weights()
    assert any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True)) is moves


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_it_is_trained_and_kept_as_any_network(trainable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = shrink("DenseNet121", monkeypatch)
    still = {"shift": 0.0, "brightness": 0.0, "contrast": 0.0, "horizontal_flip": False}
    section = {
        "architecture": architecture_section("DenseNet121", augmentation=still),
        "training": RECIPE | {"epochs": 1, "warmup_epochs": 0},
        "backbone": BACKBONE | {"trainable": trainable, "weights": "imagenet"},
    }
    train = params.parse("train", TrainParams, TRAIN)
    prepare(train)
    known: list[dict[str, float]] = []
    made = params.parse("networks.n", Network, section)
    model = training.fit(made, train, make_data(), Checkpoint(tmp_path), lambda _, metrics: known.append(metrics))
    probabilities = predictions(model, make_data().store, make_data().val)
    assert compute_val_loss(probabilities) == pytest.approx(known[0]["val_loss"], rel=1e-3)
    after, before = pretrained.backbone(model).get_weights(), original.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True)) is (trainable == "head")


def test_weights_that_cannot_be_downloaded_are_named_in_a_sentence(tmp_path: Path) -> None:
    load = "lambda: backbones.features('MobileNet', backbones.keras.Input((64, 48, 3)), True)"
    code = f"from postergenre import errors; from postergenre.networks import backbones; errors.run({load})"
    # Nobody listens there.
    offline = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:1") | {"KERAS_HOME": str(tmp_path)}
    done = support.run(sys.executable, "-c", code, cwd=support.ROOT, env=offline)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: the ImageNet weights of MobileNet cannot be loaded (URL fetch failure")
    assert last.endswith("; backbone.weights none starts without them")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "ResNet51"}, "'ResNet51' is no network of keras.applications: ConvNeXtBase, "),
        ({"blocks": SMALL["blocks"]}, "either blocks or a backbone"),
        ({"backbone": None}, "either blocks or a backbone"),
        ({"input": SMALL["input"]}, "input.scale own belongs to backbones"),
    ],
)
def test_what_is_no_backbone_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        params.parse("networks.n.architecture", Architecture, architecture_section("VGG16", **changes))
    assert message in str(error.value)


def test_posters_too_small_for_it_are_refused() -> None:
    made = params.parse(
        "a", Architecture, architecture_section("VGG16", input={"height": 24, "width": 16, "scale": "own"})
    )
    with pytest.raises(InputError, match="VGG16 takes no posters of 24 x 16: "):
        architecture.build(made, 24, 16, [0.3], 1, "net")


def test_a_backbone_has_no_last_blocks() -> None:
    section = {
        "architecture": architecture_section("VGG16"),
        "training": RECIPE,
        "backbone": BACKBONE | {"weights": "imagenet", "trainable": "last-2-blocks"},
    }
    with pytest.raises(InputError, match="of a backbone by name it should be all or head"):
        params.parse("networks.n", Network, section)
