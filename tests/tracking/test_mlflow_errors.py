"""A sentence about MLflow's failure ends with what to do, and does not cut MLflow's own words."""

import shutil
import sqlite3
from pathlib import Path

import mlflow
import pytest

from postergenre.errors import InputError
from postergenre.tracking import mlflow_errors, mlflow_store


@pytest.fixture
def outdated(in_project: Path, empty_store: Path) -> Path:
    """A project whose store another version of MLflow made."""
    shutil.copy(empty_store, in_project / "mlflow.db")
    connection = sqlite3.connect(in_project / "mlflow.db")
    connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.commit()
    connection.close()
    return in_project


def test_a_store_of_another_mlflow_is_refused_with_the_command_that_mends_it(outdated: Path) -> None:
    sentence = r"^nothing was promoted: .*: `mlflow db upgrade sqlite:///mlflow\.db`\)$"
    with pytest.raises(InputError, match=sentence), mlflow_store.client_for("nothing was promoted") as client:
        client.search_experiments()


@pytest.mark.parametrize("uri", ["./runs", "file:///tmp/runs", "runs"])
def test_a_store_in_a_folder_is_refused_with_both_ways_on(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(mlflow.exceptions.MlflowException) as error:
        mlflow_store.connect()
    sentence = mlflow_errors.describe(error.value)
    assert "MLFLOW_TRACKING_URI=sqlite:///" in sentence
    assert sentence.endswith("MLFLOW_ALLOW_FILE_STORE=true allows the folder all the same)")


def test_a_store_of_no_known_kind_is_refused_with_the_kinds(in_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://example.org/runs")
    with pytest.raises(Exception) as error:  # noqa: PT011 - MLflow's own class for it is a private one
        mlflow_store.connect()
    assert "'postgresql'" in mlflow_errors.reason(error.value)


def test_a_long_message_keeps_its_end_and_its_lines() -> None:
    error = mlflow.exceptions.MlflowException("The store says:\n" + "no " * 100 + "\nSet SPACE=more.")
    assert mlflow_errors.reason(error).endswith("no no Set SPACE=more.")
