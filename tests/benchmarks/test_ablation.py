from copy import deepcopy
from typing import Any

import pytest
import yaml

from benchmarks import ablation
from postergenre import params
from postergenre.networks.config import Network
from tests.support import ROOT

SHIPPED: dict[str, Any] = params.read(ROOT / "params.yaml")["networks"]


@pytest.mark.parametrize(
    ("network", "name"), [(network, name) for network, changes in ablation.CHANGES.items() for name in changes]
)
def test_each_change_is_one_and_gives_a_network(network: str, name: str) -> None:
    section = deepcopy(SHIPPED[network])
    for change in ablation.CHANGES[network][name]:
        path, value = change.removeprefix("+").removeprefix("@").split("=")
        *place, key = path.split(".")
        inner: Any = section
        for part in place:
            inner = inner[int(part) if isinstance(inner, list) else part]
        assert isinstance(inner, list) or change.startswith("+") == (key not in inner)  # else `dvc exp run` refuses
        assert inner.get(key) != yaml.safe_load(value)
        inner[key] = yaml.safe_load(value)
    params.parse(f"networks.{network}", Network, section)


def test_the_table_has_the_difference_to_the_unchanged_network() -> None:
    lines = ablation.table({"unchanged": [0.3, 0.31], "worse": [0.29, 0.28], "once": [0.4]}).splitlines()
    assert lines[2] == "| unchanged | 0.3050 | ± 0.0071 |  |"
    assert lines[3] == "| worse | 0.2850 | ± 0.0071 | -0.0200 |"
    assert lines[4] == "| once | 0.4000 |  | +0.0950 |"
