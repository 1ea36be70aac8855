"""The project against a tracking server with accounts, PostgreSQL and its own artifacts."""

import json
import secrets
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest

from postergenre.prediction import pictures, predictor
from postergenre.tracking import delivery, mlflow_store, runs, spool
from tests import support
from tests.factories import make_test_split, write_reports
from tests.support import ROOT, command, encode, make_picture
from tests.team import tracking_server
from tests.team.tracking_server import TrackingServer
from tests.tracking.trainings import training

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server() -> Iterator[TrackingServer]:
    # A short path, into which the user `postgres` may go.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        Path(folder).chmod(0o711)
        with tracking_server.running(Path(folder)) as made:
            yield made


@pytest.fixture
def password(server: TrackingServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a member of the team, who is logged in from the environment."""
    name, drawn = f"alice-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    server.add_account(name, drawn)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", drawn)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # a machine may be busy
    monkeypatch.setattr(delivery, "SLOW", 60.0)
    return drawn


@pytest.fixture
def project(in_project: Path, models: Path) -> Path:
    (in_project / "models").symlink_to(models)
    return in_project


def trained(strength: float = 0.5) -> runs.Run:
    """A run as the train and evaluate stages log it, in the present folder."""
    with training(json.loads(Path("models/run.json").read_text())) as run:
        for epoch in (1, 2, 3):
            run.log_epoch(epoch, {"loss": 1 / epoch, "val_map": epoch / 10})
        run.log_training(Path("models"))
    write_reports(Path.cwd(), strength, make_test_split())
    with runs.evaluation_run(Path("models")) as again:
        again.log_evaluation(Path("reports"))
    assert run.key
    return run


def holding(text: str, *folders: Path) -> list[Path]:
    """The files that have it in them."""
    every_file = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return [file for file in every_file if text.encode() in file.read_bytes()]


def test_nobody_without_an_account_is_let_in(server: TrackingServer) -> None:
    for path in ("/api/2.0/mlflow/experiments/search?max_results=9", "/api/2.0/mlflow-artifacts/artifacts"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.url + path, timeout=60)
        assert refused.value.code == 401
        refused.value.close()


def test_a_training_is_logged_and_its_files_go_through_the_server(
    server: TrackingServer, password: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = trained()
    assert capfd.readouterr() == ("", "")
    logged = mlflow.get_run(run.id)
    assert (logged.info.status, logged.data.metrics["test.map"]) == ("FINISHED", 0.05)
    assert logged.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert {"model.keras", "run.json", "metrics.json"} <= {file.name for file in server.artifacts.rglob("*")}
    assert not [*project.glob("mlruns"), *project.glob("mlflow.db*"), *project.glob("mlflow-spool/2*")]
    assert not holding(password, project, server.artifacts)
    assert password not in json.dumps(logged.to_dictionary())


def test_a_wrong_password_costs_a_warning_without_it_and_the_right_one_delivers(
    server: TrackingServer,
    password: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wrong = secrets.token_urlsafe(18)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", wrong)
    with training(json.loads(Path("models/run.json").read_text())) as run:
        run.log_epoch(1, {"loss": 0.5})
        run.log_training(Path("models"))
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"warning: MLflow at {server.url} failed (")
    assert "401" in err
    assert err.endswith("`postergenre track --replay` delivers it\n")
    assert wrong not in err
    assert spool.keys(project / "mlflow-spool") == [run.key]
    assert not holding(wrong, project)
    refused = str(command("track", "--replay"))
    assert "401" in refused
    assert wrong not in refused
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    capfd.readouterr()
    assert command("track", "--replay") == 0
    assert ": small, FINISHED, epochs: 3, the model\n" in capfd.readouterr().out
    assert spool.keys(project / "mlflow-spool") == []
    (delivered,) = mlflow.search_runs(
        experiment_names=[mlflow_store.EXPERIMENT],
        filter_string=f"tags.`postergenre.spool` = '{run.key}'",
        output_format="list",
    )
    assert delivered.info.status == "FINISHED"


def test_whoever_has_an_account_promotes_and_predicts(
    server: TrackingServer,
    password: str,
    project: Path,
    models: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained()
    assert command("promote") == 0
    server.add_account("bob", "a password of bob's")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bob")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a password of bob's")
    better = trained(2.0)
    assert command("promote") == 0
    champion = mlflow.MlflowClient().get_model_version_by_alias("poster-genres", "champion")
    assert mlflow.get_run(champion.run_id).data.tags["postergenre.spool"] == better.key
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "a.jpg").write_bytes(encode(make_picture(1)))
    question = ("predict", "a.jpg", "--json", "--model", "models:/poster-genres@champion")
    done = support.run("postergenre", *question, cwd=elsewhere, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, "")
    (answer,) = json.loads(done.stdout)
    ((_, expected),) = predictor.load(models).predict_pictures([pictures.from_file(str(elsewhere / "a.jpg"))])
    assert not isinstance(expected, str)
    np.testing.assert_allclose([answer["genres"][genre] for genre in "ABC"], expected.probabilities, atol=1e-4)
