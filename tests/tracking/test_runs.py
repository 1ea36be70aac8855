import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import tensorflow
import yaml

from postergenre import files
from postergenre.errors import InputError, Terminated
from postergenre.networks import model_folder
from postergenre.tracking import logged_models, mlflow_store, provenance, replay, runs, spool
from tests import support
from tests.support import command
from tests.tracking.trainings import start_children, training, wait_for_workers


@pytest.fixture(autouse=True)
def no_run_left_over() -> Iterator[None]:
    yield
    while mlflow.active_run():
        with suppress(mlflow.exceptions.MlflowException):  # a test may have broken the store
            mlflow.end_run()


@pytest.fixture
def in_project(in_project: Path, empty_store: Path) -> Path:
    """One that has had no run yet."""
    shutil.copy(empty_store, in_project / "mlflow.db")
    return in_project


@pytest.fixture
def about(models: Path) -> dict[str, Any]:
    run_json: dict[str, Any] = json.loads((models / "run.json").read_text())
    return run_json


def logged_runs() -> list[Any]:
    logged: list[Any] = mlflow.search_runs(experiment_names=[mlflow_store.EXPERIMENT], output_format="list")
    return logged


def waiting(project: Path) -> list[str]:
    return spool.keys(project / "mlflow-spool")


def reports(folder: Path) -> Path:
    files.write_json(folder / "reports/metrics.json", {"map": 0.25, "roc_auc": 0.7})
    files.write_json(folder / "reports/scrape.json", {"rows": 5, "status": {"ok": 3, "gone": 2}})
    (folder / "reports/report.html").write_text("<html></html>")
    return folder / "reports"


LOCK = {
    "stages": {
        "resize": {"outs": [{"path": "data/resized", "md5": "1.dir"}]},
        "train": {"outs": [{"path": "models", "md5": "2.dir"}]},
    }
}


def test_a_run_has_params_epochs_test_metrics_files_and_the_model(in_project: Path, models: Path, about: Any) -> None:
    with training(about) as run:
        run.log_epoch(1, {"loss": 0.5, "val_map": 0.1})
        run.log_training(models)
    Path("dvc.lock").write_text(yaml.safe_dump(LOCK))
    with runs.evaluation_run(models) as again:
        again.log_evaluation(reports(in_project))
    assert again.id == run.id
    assert not again.logged_late
    assert waiting(in_project) == []
    (logged,) = logged_runs()
    assert logged.info.status == "FINISHED"
    assert logged.data.params["train.network"] == "small"
    assert logged.data.params["network.architecture.blocks.0.kind"] == "residual"
    assert logged.data.params["scrape.source"] == "poster"
    assert not [name for name in logged.data.params if name.startswith("networks.")]
    assert logged.data.metrics["test.map"] == 0.25
    assert logged.data.metrics["scrape.gone"] == 2
    assert logged.data.tags["postergenre.model"] == about["model"]
    assert logged.data.tags["dvc.models"] == "2.dir"
    assert logged.data.tags["system.tensorflow"] == tensorflow.__version__
    client = mlflow.MlflowClient()
    assert [metric.step for metric in client.get_metric_history(run.id, "val_map")] == [1, 2, 3]
    top = {file.path for file in client.list_artifacts(run.id)}
    assert top == {"models", "reports"}  # params.yaml comes with the dvc.lock of a stage that DVC runs
    assert "models/thresholds.json" in {file.path for file in client.list_artifacts(run.id, "models")}
    assert logged.inputs.dataset_inputs[0].dataset.digest == about["data"]["dataset"][:32]
    assert list(in_project.glob("mlruns/*"))


def test_a_model_that_an_earlier_version_logged_is_loaded_by_the_old_name_of_its_threshold(
    in_project: Path, models: Path, about: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = model_folder.read_metadata(models)
    metadata["common"] = metadata.pop("global_threshold")
    monkeypatch.setattr(model_folder, "read_metadata", lambda folder: metadata)
    with training(about) as run:
        run.log_training(models)
    assert logged_models.load_predictor(f"runs:/{run.id}/model", in_project).global_threshold == metadata["common"]


def test_the_logged_model_is_the_trained_one(
    in_project: Path, models: Path, about: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with training(about) as run:
        run.log_training(models)
    (model,) = mlflow.search_logged_models(output_format="list")
    client = mlflow.MlflowClient()
    client.create_registered_model("posters")
    client.create_model_version("posters", model.model_uri, run.id)
    client.set_registered_model_alias("posters", "champion", "1")
    posters = np.random.default_rng(0).integers(0, 256, (5, 24, 16, 3), dtype=np.uint8)
    expected = model_folder.load_keras(models).predict_on_batch(posters)
    loaded = mlflow.keras.load_model(model.model_uri)
    np.testing.assert_array_equal(loaded.predict(posters, verbose=0), expected)
    capfd.readouterr()
    for uri in (model.model_uri, f"runs:/{run.id}/model", "models:/posters/1", "models:/posters@champion"):
        answers = logged_models.load_predictor(uri, in_project)
        np.testing.assert_array_equal(answers.predict(posters), expected)
        assert answers.genres == ["A", "B", "C"]
        assert answers.thresholds.tolist() == [0.4, 0.5, 0.6]
    assert capfd.readouterr() == ("", "")
    pinned = Path(mlflow.artifacts.download_artifacts(f"{model.artifact_location}/requirements.txt")).read_text()
    assert all(f"{name}==" in pinned for name in ("keras", "tensorflow", "numpy"))
    info = mlflow.models.get_model_info(model.model_uri)
    assert info.signature.inputs.inputs[0].shape == (-1, 24, 16, 3)


def test_logging_twice_adds_nothing(in_project: Path, models: Path, about: Any) -> None:
    with training(about) as run:
        run.log_training(models)
        run.log_training(models)
    tracked = replay.track(models, reports(in_project))
    assert (tracked.id, tracked.logged_late) == (run.id, False)
    assert replay.track(models, in_project / "reports").id == run.id
    client = mlflow.MlflowClient()
    assert [metric.step for metric in client.get_metric_history(run.id, "loss")] == [1, 2, 3]
    assert len(client.get_metric_history(run.id, "test.map")) == 1
    assert len(mlflow.search_logged_models(output_format="list")) == 1


def test_a_model_that_the_server_does_not_know_is_logged_as_restored(
    in_project: Path, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = replay.track(models, reports(in_project))
    assert run.logged_late
    assert capfd.readouterr() == ("", "")  # nor did MLflow say anything while it made its store
    (logged,) = logged_runs()
    assert logged.data.tags["postergenre.logged_late"] == "true"
    assert [metric.step for metric in mlflow.MlflowClient().get_metric_history(run.id, "loss")] == [1, 2, 3]
    assert logged.data.metrics["test.roc_auc"] == 0.7


def evaluate(folder: Path, models: Path, seed: int, value: float) -> runs.Run:
    """An evaluation with a seed, and a test mAP."""
    chosen = yaml.safe_load(Path("params.yaml").read_text())
    chosen["evaluate"]["seed"] = seed
    Path("params.yaml").write_text(yaml.safe_dump(chosen))
    files.write_json(reports(folder) / "metrics.json", {"map": value})
    with runs.evaluation_run(models) as run:
        run.log_evaluation(folder / "reports")
    return run


def holds(run: runs.Run) -> tuple[Any, Any, Any]:
    """A run as MLflow describes it, all values of its test metric, and the report's figure."""
    assert run.id
    values = mlflow.MlflowClient().get_metric_history(run.id, "test.map")
    report = mlflow.artifacts.load_dict(f"runs:/{run.id}/reports/metrics.json")
    return mlflow.get_run(run.id).to_dictionary(), [metric.value for metric in values], report["map"]


def test_another_evaluation_of_a_judged_model_has_a_run_of_its_own(in_project: Path, models: Path, about: Any) -> None:
    with training(about) as trained:
        trained.log_training(models)
    first = evaluate(in_project, models, seed=1, value=0.25)
    assert (first.id, first.logged_late) == (trained.id, False)
    before = holds(first)
    others = [evaluate(in_project, models, seed=9, value=0.25), evaluate(in_project, models, seed=9, value=0.5)]
    assert [run.logged_late for run in others] == [True, True]
    assert len({first.id, *(run.id for run in others)}) == len(logged_runs()) == 3
    assert holds(first) == before
    described, values, reported = holds(others[1])
    assert (described["data"]["params"]["evaluate.seed"], values, reported) == ("9", [0.5], 0.5)
    assert described["data"]["tags"]["postergenre.logged_late"] == "true"
    all_before = [holds(run) for run in [first, *others]]
    assert evaluate(in_project, models, seed=1, value=0.25).id == first.id
    assert evaluate(in_project, models, seed=9, value=0.5).id == others[1].id
    assert replay.track(models, in_project / "reports").id == others[1].id
    assert [holds(run) for run in [first, *others]] == all_before


def test_what_was_judged_before_params_were_changed_is_tracked_with_those_it_had(
    in_project: Path, models: Path
) -> None:
    section = yaml.safe_load(Path("params.yaml").read_text())["evaluate"]
    lock = {"stages": {"evaluate": {"params": {"params.yaml": {"evaluate": section | {"seed": 9}}}}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    first = replay.track(models, reports(in_project))
    assert mlflow.get_run(str(first.id)).data.params["evaluate.seed"] == "9"


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError(), "FAILED"), (KeyboardInterrupt(), "KILLED"), (Terminated(143), "KILLED")]
)
def test_a_run_ends_as_the_training_did(in_project: Path, about: Any, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), training(about):
        raise error
    assert [run.info.status for run in logged_runs()] == [status]


def git(*words: str) -> str:
    done = support.run("git", "-c", "user.name=t", "-c", "user.email=t@t", *words, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_run_is_dirty_where_what_git_keeps_was_changed_by_somebody_and_not_by_the_pipeline(in_project: Path) -> None:
    def git_facts() -> tuple[str | None, str, str | None]:
        facts = provenance.facts()
        return facts["git.commit"], facts["git.dirty"], facts.get("git.branch")

    git("init", "-q", "-b", "films")
    Path("dvc.lock").write_text(yaml.safe_dump(LOCK))
    reports(in_project)
    git("add", "-A")
    git("commit", "-qm", "t")
    head = git("rev-parse", "HEAD")
    assert git_facts() == (head, "false", "films")
    Path("dvc.lock").write_text(yaml.safe_dump(LOCK) + "\n")
    files.write_json(Path("reports/metrics.json"), {"map": 0.5})
    Path("notes.txt").write_text("of nobody's concern")
    assert git_facts() == (head, "false", "films")
    git("checkout", "-q", "--detach")
    assert git_facts() == (head, "false", None)
    Path("params.yaml").write_text("train: {}\n")
    assert git_facts() == (head, "true", None)


def test_killed_processes_leave_no_running_run(in_project: Path, models: Path, about: Any) -> None:
    signals = {"terminated": signal.SIGTERM, "killed": signal.SIGKILL}
    # Both at once in a project that has no store yet, which each of them wants to make.
    (in_project / "mlflow.db").unlink()
    wait = "while run.id is None:\n    time.sleep(0.05)\nPath(name).write_text(run.id)"
    children = start_children(models / "run.json", signals, wait)
    children.wait_for_files()
    os.kill(children.pids["terminated"], signal.SIGTERM)
    children.wait_for_first()  # while it ends it would mark the other as killed
    os.kill(children.pids["killed"], signal.SIGKILL)
    ended = children.end()
    assert ended == {"terminated": (143, ""), "killed": (-9, "")}
    mlflow_store.connect()
    statuses = {run.info.run_id: run.info.status for run in logged_runs()}
    assert statuses == {Path("terminated").read_text(): "KILLED", Path("killed").read_text(): "RUNNING"}
    with training(about):
        pass
    assert sorted(run.info.status for run in logged_runs()) == ["FINISHED", "KILLED", "KILLED"]


def test_a_run_of_another_machine_with_the_same_name_is_left_alone(in_project: Path, about: Any) -> None:
    own = {"postergenre.host": socket.gethostname(), "postergenre.pid": "4194305", "postergenre.spool": "elsewhere"}
    experiment = mlflow_store.connect()
    theirs = mlflow.MlflowClient().create_run(experiment, tags=own)
    with training(about):
        pass
    assert mlflow.get_run(theirs.info.run_id).info.status == "RUNNING"


def test_an_interrupted_training_goes_on_in_its_own_run(in_project: Path, models: Path, about: Any) -> None:
    def one_epoch(run: runs.Run) -> None:
        run.log_epoch(1, {"val_map": 0.123456789})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), runs.training_run(about, in_project / "checkpoint") as run:
        one_epoch(run)
    changed = yaml.safe_load(Path("params.yaml").read_text())
    changed["evaluate"]["bootstrap"] = 123  # decides nothing about the training, and MLflow lets no param change
    Path("params.yaml").write_text(yaml.safe_dump(changed))
    with runs.training_run(about, in_project / "checkpoint") as again:
        again.log_training(models)
    assert (again.key, again.id) == (run.key, run.id)
    history = mlflow.MlflowClient().get_metric_history(str(run.id), "val_map")
    assert [metric.step for metric in history] == [1, 2, 3]  # the first not once more
    assert history[0].value == 0.123456789
    (key_file,) = (in_project / "checkpoint").iterdir()
    for content in ('{"key": "a key that this server has no run of"}', '{"key"', "[]"):
        key_file.write_text(content)
        with runs.training_run(about, in_project / "checkpoint") as other:
            pass
        assert other.id not in (None, run.id)
    assert [run.info.status for run in logged_runs()] == ["FINISHED"] * 4


@contextmanager
def silent_server() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def check_outage(
    uri: str, models: Path, about: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with training(about) as run:
        run.log_epoch(1, {"loss": 0.5})
        run.log_training(models)
    assert run.id is None
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("warning: MLflow at http://127.0.0.1:")
    assert err.endswith("`postergenre track --replay` delivers it\n")
    assert err.count("\n") == 1


def test_a_server_that_is_down_costs_a_warning(
    in_project: Path, models: Path, about: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    check_outage("http://127.0.0.1:9", models, about, monkeypatch, capfd)
    with pytest.raises(InputError, match="nothing was tracked"):
        replay.track(models, models)


def test_a_server_that_hangs_costs_a_warning(
    in_project: Path, models: Path, about: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    with silent_server() as uri:
        check_outage(uri, models, about, monkeypatch, capfd)
        # The run has ended, and its call still waits for an answer.
        assert "tracking" in {thread.name for thread in threading.enumerate()}
    wait_for_workers()


def test_a_warning_does_not_tell_the_servers_password(
    in_project: Path, about: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://films:secret@127.0.0.1:9")
    with training(about):
        pass
    assert "warning: MLflow at http://127.0.0.1:9 failed (Connection refused)" in capfd.readouterr().err
    with pytest.raises(
        InputError, match=r"^MLflow at http://127.0.0.1:9 failed \(Connection refused\); runs that wait"
    ):
        list(replay.deliver_waiting())


def test_a_store_that_breaks_in_the_middle_costs_a_warning(
    in_project: Path, models: Path, about: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with training(about) as run:
        while run.id is None:
            time.sleep(0.05)
        Path("mlflow.db").write_bytes(b"this is no database" * 1000)
        run.log_epoch(1, {"loss": 0.5})
        run.log_training(models)
    assert capfd.readouterr().err.count("warning: MLflow at ") == 1
    assert waiting(in_project) == [run.key]


def test_what_cannot_be_written_down_costs_a_warning_and_the_run_ends_as_the_training_did(
    in_project: Path, about: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        with training(about) as run:
            run.log_training(tmp_path / "no such folder")
            raise ValueError("the training")

    with pytest.raises(ValueError, match="the training"):
        fail()
    assert [run.info.status for run in logged_runs()] == ["FAILED"]
    assert capfd.readouterr().err.startswith("warning: mlflow-spool could not be written (")
    assert waiting(in_project) == []


def test_a_project_that_cannot_be_written_costs_a_warning(
    in_project: Path, models: Path, about: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("mlflow-spool").write_text("a file where the folder should be")
    with training(about) as run:
        run.log_epoch(1, {"loss": 0.5})
        run.log_training(models)
    output = capfd.readouterr().err
    assert output.startswith("warning: mlflow-spool could not be written (")
    assert output.count("\n") == 1
    shutil.copytree(models, in_project / "models")
    refused = str(command("track"))
    assert refused.startswith("error: nothing was tracked: mlflow-spool could not be written (")


@pytest.mark.parametrize("content", ["[]", "{}", '{"model": "1"}'])
def test_a_run_json_that_is_not_the_train_stages_is_refused(in_project: Path, models: Path, content: str) -> None:
    folder = Path(shutil.copytree(models, in_project / "models"))
    (folder / "run.json").write_text(content)
    with training(model_folder.read_run(models)):
        pass  # so that there is a store for `promote` to ask
    for name in ("track", "promote"):
        refused = str(command(name))
        assert refused.endswith("run.json is not as the train stage writes it; `dvc repro train` writes it anew")


def test_a_lock_that_git_could_not_merge_is_refused(in_project: Path, models: Path) -> None:
    Path("dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n=======\nstages: {}\n>>>>>>> theirs\n")
    with pytest.raises(InputError, match=r"^dvc\.lock is not as DVC writes it \(.*\); settle what git could not merge"):
        replay.track(models, reports(in_project))
    assert waiting(in_project) == []
    Path("dvc.lock").write_text("schema: '2.0'\n")
    assert replay.track(models, reports(in_project)).logged_late


def test_a_replay_is_refused_where_no_run_can_wait(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("track", "--replay") == 0
    assert capsys.readouterr().out == "nothing waits in mlflow-spool\n"
    Path("mlflow-spool").write_text("a file where the folder should be")
    assert str(command("track", "--replay")).endswith(
        "mlflow-spool is a file; it should be a folder, which a training makes"
    )
    Path("params.yaml").unlink()
    assert str(command("track", "--replay")).endswith(
        "has no params.yaml and no .dvc; run this in the project's folder"
    )


@pytest.mark.parametrize("workspace", ["tmpx1", "standalone/tmpx1"])  # of `dvc exp run --queue` and `--temp`
def test_a_temporary_experiment_is_tracked_in_the_project_itself(workspace: str) -> None:
    assert files.project_root(Path("/p/films/.dvc/tmp/exps", workspace)) == Path("/p/films")
    assert files.project_root(Path("/p/films")) == Path("/p/films")


def test_a_model_that_is_not_there_is_refused(in_project: Path, about: Any) -> None:
    (in_project / "mlflow.db").unlink()
    with pytest.raises(InputError, match=r"models:/nothing/1 cannot be loaded: .* has no mlflow\.db"):
        logged_models.load_predictor("models:/nothing/1", in_project)
    assert not Path("mlflow.db").exists()
    with training(about):
        pass
    with pytest.raises(InputError, match=r"models:/nothing/1 cannot be loaded from sqlite.*not found"):
        logged_models.load_predictor("models:/nothing/1", in_project)
