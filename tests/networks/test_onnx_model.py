"""ONNX files of networks that resize their posters."""

from pathlib import Path

import pytest

from postergenre import params
from postergenre.networks import architecture, onnx_model
from postergenre.networks.architecture import Architecture
from tests.factories import BLOCK, SMALL

# 96 / 268 in float32 is a little less: 268 pixels times that are 95.9999.
SIZES = [(96, 64), (128, 88), (150, 100)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_network_predicts_as_keras_does_at_any_size_of_its_input(height: int, width: int, tmp_path: Path) -> None:
    residual = BLOCK | {"kind": "residual", "stride": 2, "pool": 1}
    section = SMALL | {"input": {"height": height, "width": width, "scale": "unit"}, "blocks": [residual, residual]}
    network = params.parse("networks.n.architecture", Architecture, section)
    model = architecture.build(network, 268, 182, [0.3] * 3, 1, "net")
    onnx_model.export(model, tmp_path / "model.onnx")  # which compares the two
    assert onnx_model.OnnxModel(tmp_path / "model.onnx").shape == (268, 182, 3)
