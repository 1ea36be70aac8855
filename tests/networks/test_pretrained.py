import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from postergenre import params
from postergenre.errors import InputError
from postergenre.networks import architecture, onnx_model, pretrained, training
from postergenre.networks.architecture import Architecture
from postergenre.networks.backend import keras
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import Network, TrainParams
from postergenre.networks.layer_names import NORM
from tests.factories import SMALL, TRAIN, make_data, prepare
from tests.networks import torch_files
from tests.networks.efficientnet_lite0 import FIXTURE, pictures
from tests.support import ROOT

SHIPPED: dict[str, Any] = params.read(ROOT / "params.yaml")["networks"]


def network(name: str = "pretrained", **backbone: Any) -> Network:
    section = SHIPPED[name]
    return params.parse("networks.n", Network, section | {"backbone": section["backbone"] | backbone})


def built(made: Network, side: int = 64) -> keras.Model:
    small = made.architecture.model_copy(
        update={"input": made.architecture.input.model_copy(update={"height": side, "width": side})}
    )
    return architecture.build(small, side, side, [0.3] * 5, 1, "net")


def test_the_features_are_those_of_the_original_network() -> None:
    model = built(network(), 224)
    pretrained.load_imagenet(model)
    features = pretrained.backbone(model).predict_on_batch(pictures())[:, -1280:]  # the last block's
    np.testing.assert_allclose(features, np.load(FIXTURE)["features"], atol=1e-4)


@pytest.mark.parametrize(
    "made",
    [lambda: quick("pretrained", 1), pytest.param(network, marks=pytest.mark.long)],
    ids=["four blocks", "whole"],
)
def test_two_exports_are_the_same_bytes(made: Callable[[], Network], tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.onnx" for number in range(2)]
    for file in files:
        onnx_model.export(built(made()), file)
    assert len({file.read_bytes() for file in files}) == 1


@pytest.mark.parametrize("name", ["pretrained", "finetuned"])
def test_a_head_alone_starts_as_in_the_whole_network_and_predicts_the_same(name: str) -> None:
    model = built(made := network(name))
    pretrained.load_imagenet(model)
    backbone = pretrained.backbone(model)
    head = architecture.build_head(made.architecture.head, backbone, [0.3] * 5, 1, "head")
    for weight in head.weights:
        whole = next(other for other in model.weights if other.path == weight.path)
        np.testing.assert_array_equal(weight.numpy(), whole.numpy(), err_msg=weight.path)
    posters = pictures()[:3, :64, :64]
    parts = head.predict_on_batch(backbone.predict_on_batch(posters))
    np.testing.assert_allclose(parts, model.predict_on_batch(posters), atol=1e-6)


def test_other_heads_start_from_other_weights() -> None:
    backbone = pretrained.backbone(built(network()))
    head = network().architecture.head
    one, other = (architecture.build_head(head, backbone, [0.3] * 5, seed, "head").get_weights() for seed in (1, 2))
    assert not np.array_equal(one[-2], other[-2])


@pytest.mark.parametrize(
    ("name", "trainable", "trained"),
    [
        ("pretrained", "head", set()),
        ("finetuned", "last-2-blocks", {"block3", "block4"}),
        ("finetuned", "all", {"block1", "block2", "block3", "block4"}),
    ],
)
@pytest.mark.usefixtures("few_blocks")
def test_what_is_frozen_is_not_trained(name: str, trainable: str, trained: set[str]) -> None:
    made = quick(name, 1, trainable=trainable)
    pretrained.prepare(model := built(made), made)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    model.train_on_batch(pictures()[:8, :64, :64], np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0, 1, 2]])
    # The norms keep their means too.
    changes = zip(model.weights, before, model.get_weights(), strict=True)
    paths = [weight.path for weight, old, new in changes if not np.array_equal(old, new)]
    moved = {path.partition("_")[0] for path in paths}
    assert not [path for path in paths if path.startswith("block") and "_norm/" in path]
    assert {name for name in moved if name.startswith("block")} == trained
    assert any(name.startswith("genres") for name in moved)


def test_weights_for_another_backbone_are_refused() -> None:
    blocks = [dict(block) for block in SHIPPED["pretrained"]["architecture"]["blocks"]]
    blocks[3]["filters"] = 48
    shipped = SHIPPED["pretrained"]["architecture"]
    for changed in (blocks, blocks[:5]):
        head = shipped["head"] | {"blocks": [len(changed)]}
        section = SHIPPED["pretrained"] | {"architecture": shipped | {"blocks": changed, "head": head}}
        with pytest.raises(InputError, match="fits EfficientNet-Lite0 only; the blocks of this network differ"):
            pretrained.prepare(built(made := params.parse("networks.n", Network, section)), made)


@pytest.mark.parametrize(
    ("name", "backbone", "message"),
    [
        ("pretrained", {"weights": "none"}, "a backbone that is frozen, in part or at first, needs weights: imagenet"),
        ("finetuned", {"weights": "none"}, "a backbone that is frozen, in part or at first, needs weights: imagenet"),
        (
            "finetuned",
            {"head_first": None},
            "backbone.heads belongs to backbone.trainable head or to backbone.head_first",
        ),
        ("pretrained", {"head_first": {"epochs": 1, "learning_rate": 0.1}}, "belongs to a backbone that is trained"),
        ("finetuned", {"trainable": "head", "head_first": None}, "the features of a frozen backbone are computed once"),
        ("finetuned", {"trainable": "last-blocks"}, "all, head or last-N-blocks"),
        ("finetuned", {"trainable": "last-12-blocks"}, "the network has 9 blocks"),
    ],
)
def test_a_backbone_that_cannot_be_trained_so_is_refused(name: str, backbone: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        network(name, **backbone)
    assert message in str(error.value)


def test_heads_whose_warmup_never_ends_are_refused() -> None:
    section = SHIPPED["finetuned"] | {"training": SHIPPED["finetuned"]["training"] | {"warmup_epochs": 7}}
    with pytest.raises(InputError, match=r"warmup_epochs is 7, more than the 6 epochs of backbone\.head_first"):
        params.parse("networks.n", Network, section)


def test_imagenet_weights_need_posters_scaled_as_they_learned_them() -> None:
    shipped = SHIPPED["pretrained"]
    changed = shipped["architecture"] | {"input": shipped["architecture"]["input"] | {"scale": "unit"}}
    with pytest.raises(InputError, match=r"needs input\.scale symmetric"):
        params.parse("networks.n", Network, shipped | {"architecture": changed})


@pytest.mark.parametrize(
    "dense",
    [
        [],
        [{"units": 6, "activation": "relu", "dropout": 0.0}],
        [{"units": 6, "activation": "relu", "dropout": 0.0}] * 2,
    ],
)
def test_merged_heads_predict_the_mean_of_their_log_odds(dense: list[dict[str, Any]]) -> None:
    head = SMALL["head"] | {"dense": dense, "norm": "batch"}
    one = params.parse("a", Architecture, SMALL | {"head": head})
    wide = architecture.build(one.model_copy(update={"head": one.head.widened(3)}), 24, 16, [0.3] * 5, 9, "net")
    backbone = pretrained.backbone(wide)
    heads = [architecture.build_head(one.head, backbone, [0.3] * 5, seed, f"head{seed}") for seed in (1, 2, 3)]
    posters = np.random.default_rng(0).integers(0, 256, (4, 24, 16, 3), dtype=np.uint8)
    features = np.asarray(backbone.predict_on_batch(posters))
    for made in heads:
        pretrained.set_norm(made, features)
    apart = pretrained.side_by_side(heads).predict_on_batch(features)
    assert apart.shape == (4, 3, 5)
    pretrained.merge(heads, wide)
    np.testing.assert_allclose(wide.predict_on_batch(posters), expit(logit(apart).mean(axis=1)), rtol=1e-4)


def test_heads_normalise_by_the_training_posters() -> None:
    made = params.parse("a", Architecture, SMALL | {"head": SMALL["head"] | {"norm": "batch"}})
    backbone = pretrained.backbone(architecture.build(made, 24, 16, [0.3] * 5, 1, "net"))
    head = architecture.build_head(made.head, backbone, [0.3] * 5, 1, "head")
    features = np.random.default_rng(0).normal(3, 2, (50, 8)).astype(np.float32)
    pretrained.set_norm(head, features)
    normalised = np.asarray(head.get_layer(NORM)(features, training=True))
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normalised.std(axis=0), 1, atol=1e-2)


# How the file names what a layer of Keras holds.
NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# As EfficientNet-Lite0 begins and ends, in four narrow blocks.
BLOCKS = [
    {"kind": "plain", "filters": 8, "repeats": 1, "kernel": 3, "stride": 2},
    {"kind": "inverted", "filters": 8, "repeats": 1, "kernel": 3, "stride": 1, "expansion": 1},
    {"kind": "inverted", "filters": 8, "repeats": 2, "kernel": 5, "stride": 2, "expansion": 2},
    {"kind": "plain", "filters": 16, "repeats": 1, "kernel": 1, "stride": 1},
]


@pytest.fixture
def few_blocks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `weights: imagenet` a file for a backbone of four blocks in place of EfficientNet-Lite0's."""
    model = architecture.build(quick("pretrained", 1).architecture, 24, 16, [0.5] * 3, 1, "net")
    random, tensors = np.random.default_rng(5), {}
    for layer in pretrained.backbone(model).layers:
        for weight in layer.weights:
            array = random.uniform(0.5, 1.5, weight.shape) if weight.path.count("_norm") else weight.numpy()
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                array = array.transpose(2, 3, 0, 1)
            elif array.ndim == 4:
                array = array.transpose(3, 2, 0, 1)
            tensors[f"{layer.name}.{NAMES[weight.name]}"] = array
    file = tmp_path_factory.mktemp("imagenet") / "few_blocks.pth"
    monkeypatch.setattr(pretrained, "FILE", str(torch_files.save_tensors(file, tensors)))


def quick(name: str, epochs: int, **backbone: Any) -> Network:
    """A shipped network of four blocks on tiny posters, with two heads."""
    section = SHIPPED[name]
    small = section["architecture"] | {
        "input": {"height": 32, "width": 32, "scale": "symmetric"},
        "blocks": [{"pool": 1, "norm": "batch", "activation": "relu6", "dropout": 0.0} | block for block in BLOCKS],
        "head": section["architecture"]["head"] | {"blocks": [2, 3, 4]},
    }
    recipe = section["training"] | {"epochs": epochs, "batch_size": 8}
    backbone = section["backbone"] | {"heads": 2} | backbone
    backbone |= {"trainable": "last-2-blocks"} if backbone["trainable"] == "last-4-blocks" else {}
    backbone |= {"head_first": {"epochs": 2, "learning_rate": 0.001}} if "head_first" in backbone else {}
    return params.parse("networks.n", Network, {"architecture": small, "backbone": backbone, "training": recipe})


@pytest.mark.usefixtures("few_blocks")
def test_heads_that_learned_alone_are_trained_further_with_the_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, train = quick("finetuned", epochs=2), params.parse("train", TrainParams, TRAIN)
    prepare(train)
    logged: list[int] = []
    alone: list[dict[str, Any]] = []
    merge = pretrained.merge

    def spied(heads: list[keras.Model], model: keras.Model) -> None:
        merge(heads, model)
        alone.append({weight.path: weight.numpy().copy() for weight in model.weights})

    monkeypatch.setattr(pretrained, "merge", spied)

    def log(epoch: int, _: dict[str, float]) -> None:
        logged.append(epoch)
        if epoch == 1:  # what a kill would leave
            shutil.copytree(tmp_path / "whole", tmp_path / "broken")

    whole = training.fit(made, train, make_data(), Checkpoint(tmp_path / "whole"), log)
    assert logged == [1, 2]
    after = {weight.path: weight.numpy() for weight in whole.weights}
    moved = {path.split("_")[0].split("/")[0] for path in after if not np.array_equal(after[path], alone[0][path])}
    assert moved == {"block3", "block4", "dense1", "genres"}
    assert Checkpoint(tmp_path / "whole" / "head").epochs == 2
    monkeypatch.setattr(pretrained, "side_by_side", lambda *_: pytest.fail("trained the heads again"))
    resumed = training.fit(made, train, make_data(), Checkpoint(tmp_path / "broken"), lambda *_: None)
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


@pytest.fixture
def shown_counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of posters in each call of a backbone."""
    shown: list[int] = []
    look = keras.Model.predict_on_batch

    def spied(self: keras.Model, inputs: Any) -> Any:
        if self.name == "backbone":
            shown.append(len(inputs))
        return look(self, inputs)

    monkeypatch.setattr(keras.Model, "predict_on_batch", spied)
    return shown


ALL, CHECK = [8] * 7 + [4], [8]  # of the sixty posters


@pytest.mark.usefixtures("few_blocks")
def test_a_frozen_backbone_sees_each_poster_once_and_its_features_are_kept(
    tmp_path: Path, shown_counts: list[int]
) -> None:
    made = quick("pretrained", epochs=3)
    train = params.parse("train", TrainParams, TRAIN)
    prepare(train)

    def interrupt(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    whole = training.fit(made, train, make_data(), Checkpoint(tmp_path / "whole"), lambda *_: None)
    index = training.index(whole, made, make_data(), Checkpoint(tmp_path / "whole"))
    assert shown_counts == ALL
    posters = make_data().store[make_data().train.rows]
    vectors = keras.Model(whole.input, whole.layers[-1].input).predict_on_batch(posters)
    assert index is not None
    projected = index.project(vectors)
    np.testing.assert_allclose(index.codes / 127, projected / np.abs(projected).max(axis=1, keepdims=True), atol=0.01)
    with pytest.raises(KeyboardInterrupt):
        training.fit(made, train, make_data(), Checkpoint(tmp_path / "broken"), interrupt)
    resumed = training.fit(made, train, make_data(), Checkpoint(tmp_path / "broken"), lambda *_: None)
    assert shown_counts == ALL + CHECK + CHECK
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    untouched = architecture.build(made.architecture, 24, 16, [0.5] * 3, 1, "net")
    pretrained.load_imagenet(untouched)
    for one, other in zip(pretrained.backbone(whole).weights, pretrained.backbone(untouched).weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


@pytest.mark.usefixtures("few_blocks")
def test_features_are_kept_for_the_same_backbone_and_posters(tmp_path: Path, shown_counts: list[int]) -> None:
    made, train = quick("pretrained", epochs=1), params.parse("train", TrainParams, TRAIN)
    prepare(train)

    def features(network: Network) -> np.ndarray:
        shown_counts.clear()
        made = training.Training(network, train, make_data(), Checkpoint(tmp_path / "checkpoint"), lambda *_: None)
        model = made.build()
        pretrained.prepare(model, network)
        return made.features(model)

    first = features(made)
    assert shown_counts == ALL
    other_recipe = made.training.model_copy(update={"learning_rate": 0.01})
    features(made.model_copy(update={"training": other_recipe}))
    assert shown_counts == CHECK
    (file,) = tmp_path.glob("features-*.npy")
    os.truncate(file, 1000)
    np.testing.assert_array_equal(features(made), first)
    assert shown_counts == ALL
    # Such as the code of another day left, which saw otherwise.
    np.save(file, first + 1)
    np.testing.assert_array_equal(features(made), first)
    assert shown_counts == CHECK + ALL
    fewer = made.architecture.head.model_copy(update={"blocks": [4]})
    features(made.model_copy(update={"architecture": made.architecture.model_copy(update={"head": fewer})}))
    assert shown_counts == ALL
    keras.config.set_dtype_policy("mixed_float16")
    try:
        features(made)
    finally:
        keras.config.set_dtype_policy("float32")
    assert shown_counts == ALL


@pytest.mark.usefixtures("few_blocks")
def test_a_training_in_mixed_precision_ends_in_float32_and_leaves_the_policy(tmp_path: Path) -> None:
    train = params.parse("train", TrainParams, TRAIN | {"mixed_precision": True})
    prepare(train)
    try:
        model = training.fit(quick("pretrained", epochs=1), train, make_data(), Checkpoint(tmp_path), lambda *_: None)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    assert all(layer.trainable for layer in model.layers)
