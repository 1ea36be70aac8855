"""ONNX files: of networks that resize their posters, and with little memory or by copies of the graph."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from postergenre import params
from postergenre.networks import architecture, onnx_model
from postergenre.networks.architecture import Architecture
from postergenre.networks.config import Network
from tests.factories import BLOCK, SMALL
from tests.support import ROOT

NETWORKS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())["networks"]

# 96 / 268 in float32 is a little less: 268 pixels times that are 95.9999.
SIZES = [(96, 64), (128, 88), (150, 100)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_describedpredicts_as_keras_does_at_any_size_of_its_input(height: int, width: int, tmp_path: Path) -> None:
    residual = BLOCK | {"kind": "residual", "stride": 2, "pool": 1}
    section = SMALL | {"input": {"height": height, "width": width, "scale": "unit"}, "blocks": [residual, residual]}
    network = params.parse("networks.n.architecture", Architecture, section)
    model = architecture.build(network, 268, 182, [0.3] * 3, 1, "net")
    onnx_model.export(model, tmp_path / "model.onnx")  # which compares the two
    assert onnx_model.OnnxModel(tmp_path / "model.onnx").shape == (268, 182, 3)


def test_the_file_is_the_same_where_the_optimizer_works_on_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tf2onnx import optimizer

    model = architecture.build(params.parse("networks.n.architecture", Architecture, SMALL), 24, 16, [0.3] * 3, 1, "n")
    onnx_model.export(model, tmp_path / "plain.onnx")
    assert capsys.readouterr().err == ""
    optimize_graph = optimizer.optimize_graph

    def optimize_copies_alone(graph: Any, catch_errors: bool = True, **options: Any) -> Any:
        if not catch_errors:
            raise ArithmeticError("odd")
        return optimize_graph(graph, catch_errors, **options)

    monkeypatch.setattr(optimizer, "optimize_graph", optimize_copies_alone)
    onnx_model.export(model, tmp_path / "copies.onnx")
    assert capsys.readouterr().err == (
        "the export to ONNX takes more memory, because a pass of tf2onnx failed: ArithmeticError('odd')\n"
    )
    assert (tmp_path / "plain.onnx").read_bytes() == (tmp_path / "copies.onnx").read_bytes()


def test_only_a_failure_of_the_optimizer_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = architecture.build(params.parse("networks.n.architecture", Architecture, SMALL), 24, 16, [0.3] * 3, 1, "n")
    calls = []

    def fail(*_: Any, **__: Any) -> None:
        calls.append("export")
        raise MemoryError

    monkeypatch.setattr(type(model), "export", fail)
    with pytest.raises(MemoryError):
        onnx_model.export(model, tmp_path / "model.onnx")
    assert calls == ["export"]


@pytest.mark.parametrize(
    "name", [*(name for name in NETWORKS if name != "finetuned"), pytest.param("finetuned", marks=pytest.mark.long)]
)
def test_the_projects_networks_are_exported_with_little_memory(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = params.parse(f"networks.{name}", Network, NETWORKS[name])
    onnx_model.export(architecture.build(network.merged, 48, 32, [0.3] * 3, 1, name), tmp_path / "model.onnx")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("dense", [[], [{"units": 9, "activation": "relu", "dropout": 0.5}]])
def test_the_features_are_what_goes_into_the_last_layer_and_change_no_probability(
    dense: list[dict[str, Any]], tmp_path: Path
) -> None:
    import keras
    import onnx

    section = SMALL | {"head": SMALL["head"] | {"norm": "batch", "dropout": 0.5, "dense": dense}}
    model = architecture.build(
        params.parse("networks.n.architecture", Architecture, section), 24, 16, [0.3] * 3, 1, "n"
    )
    posters = np.random.default_rng(0).integers(0, 256, (5, 24, 16, 3), dtype=np.uint8)
    onnx_model.export(model, tmp_path / "model.onnx")
    network = onnx_model.OnnxModel(tmp_path / "model.onnx")
    probabilities, features = network.with_features(posters)
    expected = keras.Model(model.input, model.layers[-1].input).predict_on_batch(posters)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert np.array_equal(network(posters), probabilities)
    file = onnx.load(tmp_path / "model.onnx")
    del file.graph.output[1]  # as earlier versions wrote it
    (tmp_path / "earlier.onnx").write_bytes(file.SerializeToString())
    earlier = onnx_model.OnnxModel(tmp_path / "earlier.onnx")
    assert (network.has_features, earlier.has_features) == (True, False)
    assert np.array_equal(earlier(posters), probabilities)


def test_a_head_on_vectors_has_no_features(tmp_path: Path) -> None:
    from postergenre.networks.architecture import VectorHead

    head = VectorHead(norm="batch", dropout=0.0, dense=[])
    onnx_model.export(architecture.build_vector_head(head, 4, [0.3] * 3, 1, "head"), tmp_path / "head.onnx")
    assert not onnx_model.OnnxModel(tmp_path / "head.onnx").has_features
