import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from postergenre import files, predictor, tracking
from postergenre.errors import InputError, Terminated


@pytest.fixture(autouse=True)
def no_run_left_over() -> Iterator[None]:
    yield
    while mlflow.active_run():
        with suppress(mlflow.exceptions.MlflowException):  # a test may have broken the store
            mlflow.end_run()


@pytest.fixture
def about(models: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((models / "run.json").read_text())
    return found


def runs() -> list[Any]:
    found: list[Any] = mlflow.search_runs(experiment_names=[tracking.EXPERIMENT], output_format="list")
    return found


def reports(folder: Path) -> Path:
    files.write_json(folder / "reports/metrics.json", {"map": 0.25, "roc_auc": 0.7})
    (folder / "reports/report.html").write_text("<html></html>")
    return folder / "reports"


def test_a_run_has_params_epochs_test_metrics_files_and_the_model(in_project: Path, models: Path, about: Any) -> None:
    with tracking.training_run(about) as run:
        run.log_epoch(1, {"loss": 0.5, "val_map": 0.1})
        run.log_training(models)
    with tracking.evaluation_run(models) as again:
        assert again.id == run.id
        again.log_evaluation(reports(in_project))
    (found,) = runs()
    assert found.info.status == "FINISHED"
    assert found.data.params["train.network"] == "small"
    assert found.data.params["network.architecture.blocks.0.kind"] == "residual"
    assert found.data.params["scrape.source"] == "poster"
    assert not [name for name in found.data.params if name.startswith("networks.")]
    assert found.data.metrics["test.map"] == 0.25
    assert found.data.tags["postergenre.model"] == about["model"]
    client = mlflow.MlflowClient()
    assert [metric.step for metric in client.get_metric_history(run.id, "val_map")] == [1, 2, 3]
    top = {file.path for file in client.list_artifacts(run.id)}
    assert top == {"models", "params.yaml", "reports"}
    assert "models/thresholds.json" in {file.path for file in client.list_artifacts(run.id, "models")}
    assert found.inputs.dataset_inputs[0].dataset.digest == about["data"]["dataset"][:32]
    assert list(in_project.glob("mlruns/*"))


def test_the_logged_model_is_the_trained_one(in_project: Path, models: Path, about: Any) -> None:
    with tracking.training_run(about) as run:
        run.log_training(models)
    (model,) = mlflow.search_logged_models(output_format="list")
    posters = np.random.default_rng(0).integers(0, 256, (5, 24, 16, 3), dtype=np.uint8)
    expected = predictor.load(models).predict(posters)
    loaded = mlflow.keras.load_model(model.model_uri)
    np.testing.assert_array_equal(loaded.predict(posters, verbose=0), expected)
    answers = tracking.load_model(model.model_uri)
    np.testing.assert_array_equal(answers.predict(posters), expected)
    assert answers.genres == ["A", "B", "C"]
    assert answers.thresholds.tolist() == [0.4, 0.5, 0.6]
    pinned = Path(mlflow.artifacts.download_artifacts(f"{model.artifact_location}/requirements.txt")).read_text()
    assert all(f"{name}==" in pinned for name in ("keras", "tensorflow", "numpy"))
    info = mlflow.models.get_model_info(model.model_uri)
    assert info.signature.inputs.inputs[0].shape == (-1, 24, 16, 3)


def test_logging_twice_adds_nothing(in_project: Path, models: Path, about: Any) -> None:
    with tracking.training_run(about) as run:
        run.log_training(models)
        run.log_training(models)
    assert tracking.track(models, reports(in_project)) == run.id
    assert tracking.track(models, in_project / "reports") == run.id
    client = mlflow.MlflowClient()
    assert [metric.step for metric in client.get_metric_history(run.id, "loss")] == [1, 2, 3]
    assert len(client.get_metric_history(run.id, "test.map")) == 1
    assert len(mlflow.search_logged_models(output_format="list")) == 1


def test_a_model_that_the_server_does_not_know_is_logged_as_restored(
    in_project: Path, models: Path, about: Any
) -> None:
    with tracking.evaluation_run(models) as run:
        run.log_evaluation(reports(in_project))
    (found,) = runs()
    assert found.data.tags["postergenre.restored"] == "true"
    assert [metric.step for metric in mlflow.MlflowClient().get_metric_history(run.id, "loss")] == [1, 2, 3]
    assert found.data.metrics["test.roc_auc"] == 0.7


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError(), "FAILED"), (KeyboardInterrupt(), "KILLED"), (Terminated(143), "KILLED")]
)
def test_a_run_ends_as_the_training_did(in_project: Path, about: Any, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), tracking.training_run(about):
        raise error
    assert [run.info.status for run in runs()] == [status]


CHILD = """
import json, sys, time
from pathlib import Path
from postergenre import errors, tracking
def main():
    with tracking.training_run(json.loads(Path(sys.argv[1]).read_text())) as run:
        Path("started").write_text(str(run.id))
        time.sleep(60)
errors.run(main)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_leaves_no_running_run(
    in_project: Path, models: Path, about: Any, how: signal.Signals
) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, models / "run.json"])
    try:
        while not Path("started").exists() and child.poll() is None:
            time.sleep(0.05)
    finally:
        child.send_signal(how)
        child.wait(timeout=30)
    with tracking.training_run(about):
        pass
    assert sorted(run.info.status for run in runs()) == ["FINISHED", "KILLED"]


def test_an_interrupted_training_goes_on_in_its_own_run(in_project: Path, about: Any) -> None:
    with pytest.raises(KeyboardInterrupt), tracking.training_run(about) as run:
        raise KeyboardInterrupt
    with tracking.training_run(about, run.id) as again:
        assert again.id == run.id
    with tracking.training_run(about, "0" * 32) as other:  # the id of another server's run
        assert other.id not in (None, run.id)
    assert [run.info.status for run in runs()] == ["FINISHED", "FINISHED"]


@contextmanager
def silent_server() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def check_outage(
    uri: str, models: Path, about: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    started = time.monotonic()
    with tracking.training_run(about) as run:
        run.log_epoch(1, {"loss": 0.5})
        run.log_training(models)
    assert run.id is None
    assert time.monotonic() - started < 20
    said = capsys.readouterr().err
    assert said.count("warning: MLflow at ") == 1
    assert "`postergenre track` logs it later" in said
    with pytest.raises(InputError, match="nothing was tracked"):
        tracking.track(models, models)


def test_a_server_that_is_down_costs_a_warning(
    in_project: Path, models: Path, about: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_outage("http://127.0.0.1:9", models, about, monkeypatch, capsys)


def test_a_server_that_hangs_costs_a_warning(
    in_project: Path, models: Path, about: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with silent_server() as uri:
        check_outage(uri, models, about, monkeypatch, capsys)


def test_a_store_that_breaks_in_the_middle_costs_a_warning(
    in_project: Path, models: Path, about: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracking.training_run(about) as run:
        Path("mlflow.db").write_bytes(b"this is no database" * 1000)
        run.log_epoch(1, {"loss": 0.5})
        assert run.id is None
        run.log_epoch(2, {"loss": 0.4})
        run.log_training(models)
    assert capsys.readouterr().err.count("warning: MLflow at ") == 1


def test_a_temporary_experiment_is_tracked_in_the_project_itself() -> None:
    assert tracking._project_root(Path("/p/films/.dvc/tmp/exps/tmpx1")) == Path("/p/films")
    assert tracking._project_root(Path("/p/films")) == Path("/p/films")


def test_a_model_of_another_origin_is_refused(in_project: Path) -> None:
    with pytest.raises(InputError, match=r"models:/nothing/1 cannot be loaded from sqlite"):
        tracking.load_model("models:/nothing/1")


def test_weights_that_are_not_the_runs_are_refused(models: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(models, tmp_path / "models")
    os.truncate(copy / "weights.weights.h5", 1000)
    with pytest.raises(InputError, match=r"is not one model: its weights are not those that run.json names"):
        predictor.load(copy)
    (copy / "weights.weights.h5").unlink()
    with pytest.raises(InputError, match=r"weights\.weights\.h5 is missing; `dvc repro train` writes it"):
        predictor.load(copy)
