"""What tests of tracking share: MLflow's settings as a stage has them, and one server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from postergenre.tracking import mlflow_settings
from tests import support


@pytest.fixture(scope="session", autouse=True)
def _mlflow_configured() -> None:
    mlflow_settings.configure(mlflow_settings.STAGE_TIMEOUT)


@pytest.fixture(autouse=True)
def _busy_machine_is_no_slow_server(monkeypatch: pytest.MonkeyPatch, _mlflow_configured: None) -> None:
    """On a busy machine a call may take longer than a slow server's, which a run's end does not wait for."""
    from postergenre.tracking import delivery  # after MLflow's settings

    monkeypatch.setattr(delivery, "SLOW", 60.0)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[str]:
    """The address of a real MLflow server. Who uses it takes an experiment of its own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "server.db")  # creating the tables takes seconds
    with support.mlflow_server(folder) as uri:
        yield uri
