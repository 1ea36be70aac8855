"""The rules that the tests themselves keep."""

import ast
from pathlib import Path

import pytest

from tests.support import ROOT

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def read_imports(file: Path) -> set[str]:
    """The dotted names of all that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_test_imports_from_another(file: Path) -> None:
    """What tests share is in tests/factories.py and tests/support.py."""
    parts = [name.split(".") for name in read_imports(file)]
    assert not [".".join(name) for name in parts if name[0] == "tests" and any(p.startswith("test_") for p in name)]
