"""MLflow's settings are an entry point's: an import sets none, and what the environment has stays."""

import json
import os
import sys
from pathlib import Path

import pytest

from postergenre.tracking import mlflow_settings
from tests import support

SHOW = """
import importlib, json, os, sys
before = dict(os.environ)
for name in sys.argv[1:]:
    importlib.import_module(name)
changed = {name for name, _ in before.items() ^ os.environ.items()}
print(json.dumps([sorted(changed), sorted({"mlflow", "keras", "dvc"} & {*sys.modules})]))
"""
# What scikit-learn and MLflow set themselves when they are imported.
NOT_OURS = {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "_MLFLOW_TELEMETRY_SESSION_ID"}


def imported(*modules: str, folder: Path) -> tuple[set[str], list[str]]:
    """The environment variables that an import changes, but for `NOT_OURS`, and the large libraries that it loads."""
    done = support.run(sys.executable, "-c", SHOW, *modules, cwd=folder, env={"PYTHONPATH": str(support.ROOT)})
    assert done.returncode == 0, done.stderr
    changed, libraries = json.loads(done.stdout)
    return {*changed} - NOT_OURS, libraries


def test_what_a_stage_imports_leaves_mlflow_for_after_its_settings(tmp_path: Path) -> None:
    assert imported("postergenre.tracking.runs", folder=tmp_path) == (set(), [])


def test_an_import_sets_no_environment_variable(tmp_path: Path) -> None:
    names = sorted(file.stem for file in (support.ROOT / "postergenre/tracking").glob("*.py"))
    modules = [f"postergenre.tracking.{name}" for name in names if name != "__init__"]
    assert imported(*modules, folder=tmp_path)[0] == set()


def test_what_the_environment_has_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*mlflow_settings.SETTINGS, "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    mlflow_settings.configure(7)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    mlflow_settings.configure(8)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
