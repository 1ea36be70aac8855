from pathlib import Path

import pytest
import yaml

from postergenre import machine, params
from postergenre.networks import architecture, memory, pretrained
from postergenre.networks.config import Network
from tests.factories import fit_network
from tests.support import ROOT

SECTIONS = yaml.safe_load((ROOT / "params.yaml").read_text())["networks"]


# In GB. Measured on the sample by benchmarks/stages.py; `finetuned` through one epoch of three steps and the export.
@pytest.mark.parametrize(
    ("name", "measured"), [("pretrained", 1.42), ("finetuned", 2.02), ("resnet", 0.79), ("student_cnn", 1.54)]
)
def test_the_estimate_has_the_order_of_what_was_measured(name: str, measured: float) -> None:
    network = params.parse(f"networks.{name}", Network, SECTIONS[name])
    model = architecture.build(network.merged, 268, 182, [0.2] * 13, 1, name)
    pretrained.prepare(model, network)
    assert measured / 1.3 < memory.needed(model, network, 1500) / 1e9 < measured * 1.3


@pytest.mark.parametrize(("limit", "warns"), [(1.5e9, False), (1.15e9, False), (1.05e9, True)])
def test_the_warning_comes_where_the_process_cannot_have_what_it_needs(
    limit: float, warns: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network needs 1.34 GB, of which the libraries have taken 0.6 GB already when training begins."""
    network = params.parse("networks.pretrained", Network, SECTIONS["pretrained"])
    model = architecture.build(network.merged, 268, 182, [0.2] * 13, 1, "pretrained")
    monkeypatch.setattr(machine, "own_memory", lambda: 600_000_000)
    monkeypatch.setattr(machine, "free_memory", lambda: limit - 600_000_000)
    memory.warn_if_short(model, network, 1500)
    assert ("warning" in capsys.readouterr().err) == warns


def test_training_warns_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit_network(tmp_path / "enough", epochs=1, warmup_epochs=0)
    assert "memory" not in capsys.readouterr().err
    monkeypatch.setattr(machine, "free_memory", lambda: 0)
    monkeypatch.setattr(machine, "own_memory", lambda: 100_000_000)
    fit_network(tmp_path / "short", epochs=1, warmup_epochs=0)
    assert "warning: this training needs about 0.5 GB of memory, and it can have 0.1 GB" in capsys.readouterr().err
