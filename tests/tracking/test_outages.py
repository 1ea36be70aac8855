"""Tracking servers that are dead, die, hang, forget to answer or have no room: nothing is lost, slowed or doubled.

Each outage is followed by a replay, and then MLflow has what an undisturbed training and evaluation leave there.
"""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from postergenre import files
from postergenre.errors import InputError
from postergenre.tracking import delivery, mlflow_store, runs, spool
from tests import support
from tests.support import Proxy, command

EPOCHS = 3
# Of a run, what no two runs share.
OWN = {"postergenre.spool"}


@dataclass
class Team:
    """A project with a trained model, the server that it tracks to, and what stands between the two."""

    project: Path
    models: Path
    proxy: Proxy

    def train(self, after_epoch: Callable[[int, runs.Run], None] = lambda epoch, run: None) -> runs.Run:
        about = json.loads((self.models / "run.json").read_text())
        history = pd.read_csv(self.models / "history.csv").to_dict("records")
        with runs.training_run(about) as run:
            for row in history:
                epoch = int(row.pop("epoch"))
                run.log_epoch(epoch, {str(name): float(value) for name, value in row.items()})
                after_epoch(epoch, run)
            run.log_training(self.models)
        return run

    def judge(self, found: float = 0.25) -> runs.Run:
        reports = self.project / "reports"
        files.write_json(reports / "metrics.json", {"map": found, "roc_auc": 0.7})
        files.write_json(reports / "scrape.json", {"status": {"ok": 3, "gone": 2}})
        (reports / "plots").mkdir(exist_ok=True)
        (reports / "plots/curve.csv").write_text("recall,precision\n0.5,0.5\n")
        with runs.evaluation_run(self.models) as run:
            run.log_evaluation(reports)
        return run

    def waiting(self) -> list[str]:
        return spool.keys(self.project / "mlflow-spool")

    def replay(self) -> list[str]:
        return list(runs.replay())

    def runs(self) -> list[Any]:
        found: list[Any] = mlflow.search_runs(experiment_names=[mlflow_store.EXPERIMENT], output_format="list")
        return found

    def all(self) -> list[dict[str, Any]]:
        """What MLflow has, but for times and names that differ from run to run."""
        return [described(run.info.run_id) for run in self.runs()]


def described(run_id: str) -> dict[str, Any]:
    client, run = mlflow.MlflowClient(), mlflow.get_run(run_id)
    models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "times": run.info.start_time <= run.info.end_time,
        "params": run.data.params,
        "tags": {name: value for name, value in run.data.tags.items() if name not in OWN},
        "metrics": {
            name: [(metric.step, metric.value) for metric in client.get_metric_history(run_id, name)]
            for name in run.data.metrics
        },
        "data": [(given.dataset.digest, len(given.tags)) for given in run.inputs.dataset_inputs],
        "files": artifacts(client, run_id),
        "models": [(model.name, str(model.status), len(model.params)) for model in models],
        "named": [output.model_id for output in run.outputs.model_outputs] == [model.model_id for model in models],
    }


def artifacts(client: mlflow.MlflowClient, run_id: str, below: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for file in client.list_artifacts(run_id, below or None):
        if file.is_dir:
            found |= artifacts(client, run_id, file.path)
        else:
            local = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file.path))
            found[file.path] = hashlib.sha256(local.read_bytes()).hexdigest()
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with support.mlflow_server(tmp_path_factory.mktemp("server")) as uri:
        yield uri


@pytest.fixture
def team(
    server: str, in_project: Path, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
) -> Iterator[Team]:
    """In an experiment of its own, as if each test had its own server."""
    shutil.copytree(models, in_project / "models")
    proxy = Proxy(server)
    monkeypatch.setattr(mlflow_store, "EXPERIMENT", tmp_path_factory.mktemp("experiment").name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # a machine may be busy
    yield Team(in_project, Path("models"), proxy)
    proxy.down()


@pytest.fixture(scope="module")
def known() -> list[dict[str, Any]]:
    """What `undisturbed` has found once."""
    return []


@pytest.fixture
def undisturbed(
    team: Team, known: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """What a training and an evaluation leave where nothing goes wrong, in another experiment."""
    if not known:
        with monkeypatch.context() as patch:
            patch.setattr(mlflow_store, "EXPERIMENT", f"{mlflow_store.EXPERIMENT}-undisturbed")
            team.train()
            team.judge()
            known += team.all()
        shutil.rmtree(team.project / "reports")
        assert capfd.readouterr().err == ""
    (found,) = known
    assert team.waiting() == []
    assert found["status"] == "FINISHED"
    assert [step for step, _ in found["metrics"]["val_map"]] == [1, 2, 3]
    assert found["metrics"]["test.map"] == [(0, 0.25)]
    assert {"models/run.json", "reports/metrics.json", "reports/plots/curve.csv"} <= {*found["files"]}
    assert (len(found["models"]), found["named"], len(found["data"])) == (1, True, 1)
    return found


def arrived(epoch: int, run: runs.Run) -> None:
    """Wait until the server has an epoch."""
    while run.id is None or mlflow.get_run(run.id).data.metrics.get("val_map") is None:
        time.sleep(0.05)


def check_warned(capfd: pytest.CaptureFixture[str], times: int) -> None:
    out, said = capfd.readouterr()
    assert out == ""
    assert said.count("\n") == times
    assert said.count("warning: MLflow at http://127.0.0.1:") == times
    assert said.count("waits in mlflow-spool, and `postergenre track --replay` delivers it\n") == times


def check_replay(team: Team, undisturbed: dict[str, Any]) -> None:
    """One entry, which arrives; a second replay has nothing to do."""
    began = spool.now()
    assert len(team.waiting()) == 1
    (line,) = team.replay()
    assert line.endswith("small, FINISHED, epochs: 3, the model, the test metrics")
    assert team.waiting() == []
    assert team.replay() == []
    assert team.all() == [undisturbed]
    (run,) = team.runs()
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_map")
    assert all(run.info.start_time <= metric.timestamp < began for metric in history)
    assert run.info.end_time < began
    assert not list((team.project / "mlflow-spool").glob("*/*"))


def test_a_server_that_is_dead_all_the_time(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    team.proxy.down()
    team.train()
    team.judge()
    check_warned(capfd, 2)
    shutil.rmtree(team.models)  # as another training leaves them
    shutil.rmtree(team.project / "reports")
    with pytest.raises(InputError, match=r"failed \(Connection refused\); runs that wait in mlflow-spool: 1$"):
        team.replay()
    team.proxy.up()
    check_replay(team, undisturbed)


def test_a_server_that_dies_during_a_training(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    def die(epoch: int, run: runs.Run) -> None:
        if epoch == 1:
            arrived(epoch, run)
            team.proxy.down()

    team.train(die)
    team.judge()
    check_warned(capfd, 2)
    team.proxy.up()
    check_replay(team, undisturbed)


def test_a_server_that_dies_between_training_and_evaluation(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    team.train()
    check_warned(capfd, 0)
    team.proxy.down()
    team.judge()
    check_warned(capfd, 1)
    team.proxy.up()
    check_replay(team, undisturbed)


def test_a_server_that_is_back_for_the_evaluation_needs_no_replay(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    team.proxy.down()
    trained = team.train()
    check_warned(capfd, 1)
    team.proxy.up()
    assert team.judge().key == trained.key
    check_warned(capfd, 0)
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_an_evaluation_is_told_once_its_figures_are_known(team: Team) -> None:
    team.train(arrived)  # and a training at once: this waits for its first epoch
    team.proxy.asked.clear()
    with runs.evaluation_run(team.models):
        time.sleep(1)
        assert team.proxy.asked == []
    assert team.proxy.asked != []


def test_a_short_outage_during_a_training_costs_nothing(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    def blink(epoch: int, run: runs.Run) -> None:
        if epoch == 1:
            arrived(epoch, run)
            team.proxy.down()
        elif epoch == 2:
            time.sleep(0.5)
            team.proxy.up()

    team.train(blink)
    team.judge()
    check_warned(capfd, 0)
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_no_epoch_waits_for_a_slow_server_and_the_end_not_for_one_call(
    team: Team, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")  # as trainings have it
    team.proxy.pause, team.proxy.asked = 10.0, []
    epochs: list[float] = []
    began = time.monotonic()
    team.train(lambda epoch, run: epochs.append(time.monotonic() - began))
    assert epochs[-1] < 3
    assert time.monotonic() - began < 10
    team.judge()
    assert time.monotonic() - began < 20
    check_warned(capfd, 2)
    time.sleep(10)  # until the server has done what nobody waited for
    team.proxy.pause = 0
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    check_replay(team, undisturbed)


def test_a_short_training_does_not_wait_for_a_server_that_answers_slowly(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    team.proxy.pause = 3.0
    began = time.monotonic()
    team.train()
    assert time.monotonic() - began < 10  # all of its calls take a minute
    check_warned(capfd, 1)
    team.proxy.pause = 0
    team.judge()
    check_warned(capfd, 0)
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_nothing_ends_while_keras_saves_a_model(
    team: Team, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    saving, saved = threading.Event(), threading.Event()
    save = delivery._save_model

    def slowly(*given: Any) -> None:
        saving.set()
        time.sleep(1)
        save(*given)
        saved.set()

    monkeypatch.setattr(delivery, "_save_model", slowly)
    monkeypatch.setattr(runs, "LEAST", 0.1)
    monkeypatch.setattr(delivery, "GRACE", 0.1)
    with runs.training_run(json.loads((team.models / "run.json").read_text())) as run:
        run.log_training(team.models)
        saving.wait(60)
    assert saved.is_set()
    check_warned(capfd, 1)


def test_answers_that_never_come_double_nothing_wherever_a_replay_is_cut_off(
    team: Team, undisturbed: dict[str, Any]
) -> None:
    team.proxy.down()
    team.train()
    team.judge()
    team.proxy.up()
    # The server hears every call, but the n-th replay hears no answer to the n-th, nor when it tries once more.
    for lost in range(1, 100):
        team.proxy.lost, team.proxy.asked = (lambda number, lost=lost: number in (lost, lost + 1)), []  # type: ignore[misc]
        try:
            assert len(team.replay()) == 1
        except InputError:
            assert len(team.waiting()) == 1
        else:
            break
    assert lost > 20
    team.proxy.lost = lambda number: False
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_a_replay_survives_a_connection_that_the_server_closes(team: Team, undisturbed: dict[str, Any]) -> None:
    team.proxy.down()
    team.train()
    team.judge()
    team.proxy.up()
    team.proxy.lost, team.proxy.asked = (lambda number: number == 12), []
    check_replay(team, undisturbed)
    assert len(team.proxy.asked) > 12


def test_another_evaluation_of_a_run_that_waits_for_its_end_alone_leaves_it_as_it_is(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    team.proxy.down()
    team.train()
    team.proxy.up()
    team.proxy.lost = lambda number: team.proxy.asked[number - 1].endswith("/runs/update")
    team.judge()
    check_warned(capfd, 2)
    assert len(team.waiting()) == 1
    team.proxy.lost = lambda number: False
    team.judge(0.5)
    check_warned(capfd, 0)
    assert team.waiting() == []
    first, second = sorted(team.all(), key=lambda run: run["metrics"]["test.map"])
    assert first == undisturbed
    assert second["metrics"]["test.map"] == [(0, 0.5)]
    assert second["tags"]["postergenre.logged_late"] == "true"


def test_two_replays_at_once_deliver_once(team: Team, undisturbed: dict[str, Any]) -> None:
    team.proxy.down()
    team.train()
    team.judge()
    team.proxy.up()
    with ThreadPoolExecutor(2) as pool:
        lines = [*pool.map(lambda _: team.replay(), range(2))]
    assert sorted(map(len, lines)) == [0, 1]
    assert team.all() == [undisturbed]


def test_a_replay_leaves_alone_what_is_under_way(team: Team) -> None:
    def replay(epoch: int, run: runs.Run) -> None:
        if epoch == 2:
            assert team.replay() == [f"{run.key} is under way in another process, and was left to it"]

    team.train(replay)
    assert [run.info.status for run in team.runs()] == ["FINISHED"]


def test_an_evaluation_that_meets_a_slow_replay_makes_no_second_run(
    team: Team, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "PATIENCE", 0.5)
    team.proxy.down()
    key = team.train().key
    team.proxy.up()
    team.proxy.pause = 0.5
    with ThreadPoolExecutor(1) as pool:
        replay = pool.submit(team.replay)
        while not team.proxy.asked:
            time.sleep(0.05)
        capfd.readouterr()
        assert team.judge().key is None
        with pytest.raises(InputError, match=f"^another process is at work on run {key} in mlflow-spool; ") as refused:
            runs.track(team.models, team.project / "reports")
        assert not replay.done()
        assert capfd.readouterr().err == f"warning: {refused.value}\n"
        team.proxy.pause = 0
        assert len(replay.result()) == 1
    runs.track(team.models, team.project / "reports")
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_the_oldest_comes_first_and_one_that_is_broken_does_not_hold_up_the_others(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    team.proxy.down()
    keys = [team.train().key for _ in range(3)]
    assert team.waiting() == keys
    record = team.project / "mlflow-spool" / str(keys[1]) / "record.json"
    for broken in ("", json.dumps(json.loads(record.read_text()) | {"about": {}}), "{}"):
        record.write_text(broken)
        with pytest.raises(InputError, match=rf"^{record} is not as .*\); delete {record.parent}$"):
            spool.opened(team.project / "mlflow-spool", str(keys[1]))
    team.proxy.up()
    capsys.readouterr()
    said = str(command("track", "--replay"))
    assert f"mlflow-spool/{keys[1]}/record.json is not as" in said
    assert said.endswith("; runs that wait in mlflow-spool: 1")
    assert capsys.readouterr().out.count(": small, FINISHED, epochs: 3, the model\n") == 2
    oldest_first = sorted(team.runs(), key=lambda run: run.info.start_time)
    assert [run.data.tags["postergenre.spool"] for run in oldest_first] == [keys[0], keys[2]]
    shutil.rmtree(team.project / "mlflow-spool" / str(keys[1]))
    assert command("track", "--replay") == 0
    assert capsys.readouterr().out == "nothing waits in mlflow-spool\n"


CHILD = """
import json, signal, sys, time
from pathlib import Path
from postergenre import errors
from postergenre.tracking import runs
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have switched off
def main():
    with runs.training_run(json.loads(Path("models/run.json").read_text())) as run:
        run.log_epoch(1, {"loss": 0.5})
        run.log_epoch(2, {"loss": 0.4})
        Path(sys.argv[1]).write_text(run.key)
        if sys.argv[1] == "fails":
            raise errors.InputError("the loss is nan")
        time.sleep(60)
errors.run(main)
"""


def test_trainings_that_fail_or_are_killed_while_the_server_is_dead_are_delivered_as_they_ended(team: Team) -> None:
    ends = {"fails": None, "interrupted": signal.SIGINT, "terminated": signal.SIGTERM, "killed": signal.SIGKILL}
    team.proxy.down()
    children = {
        name: subprocess.Popen([sys.executable, "-c", CHILD, name], stderr=subprocess.PIPE, text=True) for name in ends
    }
    try:
        while not all(Path(name).exists() or child.poll() is not None for name, child in children.items()):
            time.sleep(0.05)
    finally:
        for name, child in children.items():
            if signalled := ends[name]:
                child.send_signal(signalled)
        said = {name: child.communicate(timeout=60)[1] for name, child in children.items()}
    assert {name: child.returncode for name, child in children.items()} == {
        "fails": 1,
        "interrupted": 130,
        "terminated": 143,
        "killed": -9,
    }
    assert all(said[name].startswith("warning: MLflow at ") for name in ("fails", "interrupted", "terminated"))
    assert said["fails"].endswith("error: the loss is nan\n")
    team.proxy.up()
    assert len(team.replay()) == 4
    found = {Path(name).read_text(): name for name in ends}
    statuses = {found[run.data.tags["postergenre.spool"]]: run.info.status for run in team.runs()}
    assert statuses == {"fails": "FAILED", "interrupted": "KILLED", "terminated": "KILLED", "killed": "KILLED"}
    for run in team.runs():
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.4)]


def test_what_waits_for_a_server_does_not_go_into_the_projects_own_store(
    team: Team, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    team.proxy.down()
    child = subprocess.Popen([sys.executable, "-c", CHILD, "killed"], stderr=subprocess.PIPE)
    while not Path("killed").exists() and child.poll() is None:
        time.sleep(0.05)
    child.kill()
    child.communicate(timeout=60)
    key = Path("killed").read_text()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with pytest.raises(
        InputError, match=f"^run {key} waits for MLflow at {team.proxy.url}; MLFLOW_TRACKING_URI should"
    ):
        team.replay()
    record = team.project / "mlflow-spool" / key / "record.json"
    files.write_json(record, json.loads(record.read_text()) | {"status": "RUNNING"})  # as if nobody had replayed
    with runs.training_run(json.loads((team.models / "run.json").read_text())):
        pass
    check_warned(capfd, 0)
    assert (team.waiting(), [run.info.status for run in team.runs()]) == ([key], ["FINISHED"])


def test_a_training_that_was_spooled_goes_on_in_its_own_run(team: Team) -> None:
    about = json.loads((team.models / "run.json").read_text())
    team.proxy.down()

    def interrupt() -> str | None:
        with suppress(KeyboardInterrupt), runs.training_run(about) as run:
            run.log_epoch(1, {"loss": 0.5})
            raise KeyboardInterrupt
        return run.key

    key = interrupt()
    team.proxy.up()
    with runs.training_run(about, key) as again:
        again.log_epoch(2, {"loss": 0.4})
    assert team.waiting() == []
    (found,) = team.runs()
    assert (found.info.run_id, found.info.status) == (again.id, "FINISHED")
    history = mlflow.MlflowClient().get_metric_history(found.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.4)]


def test_an_experiment_in_a_temporary_folder_spools_into_the_project(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.proxy.down()
    workspace = shutil.copytree(team.project, team.project / ".dvc/tmp/exps/standalone/tmpx1")
    monkeypatch.chdir(workspace)
    run = team.train()
    shutil.rmtree(workspace)
    monkeypatch.chdir(team.project)
    team.proxy.up()
    assert team.waiting() == [run.key]
    assert len(team.replay()) == 1


FULL = 'mkdir "$0" && mount -t tmpfs -o size=8m none "$0" && { cat /dev/zero > "$0/filler"; exec "$@"; }'


def test_a_server_whose_disk_is_full(
    team: Team,
    undisturbed: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    unshare = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("a small disk is mounted in a namespace, and this machine gives none")
    folder = tmp_path_factory.mktemp("full")
    with support.mlflow_server(folder, [*unshare, "sh", "-c", FULL, str(folder / "kept")]) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        team.train()
        team.judge()
        out, said = capfd.readouterr()
        assert out == ""
        assert said.count("failed (too many 500 error responses); ") == said.count("\n") == 2
        with pytest.raises(InputError, match=r"^MLflow at .*; runs that wait in mlflow-spool: 1$"):
            team.replay()
        pid = int((folder / "server.pid").read_text())
        Path(f"/proc/{pid}/root{folder}/kept/filler").unlink()
        check_replay(team, undisturbed)
