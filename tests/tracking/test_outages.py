"""Tracking servers that are dead, die, hang, forget to answer or have no room: nothing is lost, slowed or doubled.

Each outage is followed by a replay, and then MLflow has what an undisturbed training and evaluation leave there.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
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
from postergenre.tracking import delivery, entries, mlflow_store, replay, runs, spool
from tests import support
from tests.support import Proxy, command
from tests.tracking.trainings import start_children, training, wait_for_workers

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
        with training(about) as run:
            for row in history:
                epoch = int(row.pop("epoch"))
                run.log_epoch(epoch, {str(name): float(value) for name, value in row.items()})
                after_epoch(epoch, run)
            run.log_training(self.models)
        return run

    def evaluate(self, value: float = 0.25) -> runs.Run:
        reports = self.project / "reports"
        files.write_json(reports / "metrics.json", {"map": value, "roc_auc": 0.7})
        files.write_json(reports / "scrape.json", {"status": {"ok": 3, "gone": 2}})
        (reports / "plots").mkdir(exist_ok=True)
        (reports / "plots/curve.csv").write_text("recall,precision\n0.5,0.5\n")
        with runs.evaluation_run(self.models) as run:
            run.log_evaluation(reports)
        return run

    def waiting(self) -> list[str]:
        return spool.keys(self.project / "mlflow-spool")

    def replay(self) -> list[str]:
        return list(replay.deliver_waiting())

    def runs(self) -> list[Any]:
        logged: list[Any] = mlflow.search_runs(experiment_names=[mlflow_store.EXPERIMENT], output_format="list")
        return logged

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
    hashes: dict[str, str] = {}
    for file in client.list_artifacts(run_id, below or None):
        if file.is_dir:
            hashes |= artifacts(client, run_id, file.path)
        else:
            local = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file.path))
            hashes[file.path] = hashlib.sha256(local.read_bytes()).hexdigest()
    return hashes


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
    """What `undisturbed` returned before."""
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
            team.evaluate()
            known += team.all()
        shutil.rmtree(team.project / "reports")
        assert capfd.readouterr().err == ""
    (described_run,) = known
    assert team.waiting() == []
    assert described_run["status"] == "FINISHED"
    assert [step for step, _ in described_run["metrics"]["val_map"]] == [1, 2, 3]
    assert described_run["metrics"]["test.map"] == [(0, 0.25)]
    assert {"models/run.json", "reports/metrics.json", "reports/plots/curve.csv"} <= {*described_run["files"]}
    assert (len(described_run["models"]), described_run["named"], len(described_run["data"])) == (1, True, 1)
    return described_run


def arrived(epoch: int, run: runs.Run) -> None:
    """Wait until the server has an epoch."""
    while run.id is None or mlflow.get_run(run.id).data.metrics.get("val_map") is None:
        time.sleep(0.05)


def check_warned(capfd: pytest.CaptureFixture[str], times: int) -> None:
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == times
    assert err.count("warning: MLflow at http://127.0.0.1:") == times
    assert err.count("waits in mlflow-spool, and `postergenre track --replay` delivers it\n") == times


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
    team.evaluate()
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
    team.evaluate()
    check_warned(capfd, 2)
    team.proxy.up()
    check_replay(team, undisturbed)


def test_a_server_that_dies_between_training_and_evaluation(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    team.train()
    check_warned(capfd, 0)
    team.proxy.down()
    team.evaluate()
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
    assert team.evaluate().key == trained.key
    check_warned(capfd, 0)
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_an_evaluation_is_sent_once_its_figures_are_known(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    team.train()
    wake, events = delivery.Worker.wake, list[str]()

    def note_wake(worker: delivery.Worker) -> None:
        events.append("the worker is woken")
        wake(worker)

    def note_call(number: int) -> bool:
        events.append("the server is called")
        return False

    monkeypatch.setattr(delivery.Worker, "wake", note_wake)
    team.proxy.lost = note_call
    with runs.evaluation_run(team.models):
        events.append("the figures are known")
    assert events[:2] == ["the figures are known", "the worker is woken"]
    assert "the server is called" in events


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
    team.evaluate()
    check_warned(capfd, 0)
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_neither_an_epoch_nor_the_end_waits_for_a_call_that_is_not_answered(
    team: Team, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(delivery, "SLOW", 0.2)
    monkeypatch.setattr(delivery, "GRACE", 0.1)
    released = threading.Event()
    answered: list[int] = []

    def hold(number: int) -> bool:
        assert released.wait(60)
        answered.append(number)
        return False

    team.proxy.lost = hold
    team.proxy.requests.clear()
    epochs: list[int] = []
    try:
        team.train(lambda epoch, run: epochs.append(epoch))
        team.evaluate()
        assert team.proxy.requests != []
        assert (epochs, answered) == ([1, 2, 3], [])
        check_warned(capfd, 2)
    finally:
        released.set()
    wait_for_workers()
    check_replay(team, undisturbed)


def test_a_short_training_does_not_wait_for_a_server_that_answers_slowly(
    team: Team, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "SLOW", 0.1)
        patch.setattr(delivery, "GRACE", 0.1)
        team.proxy.pause = 0.3
        team.proxy.requests.clear()
        team.train()
        assert 0 < len(team.proxy.requests) < 10  # it takes more than 20 to send all
        check_warned(capfd, 1)
        wait_for_workers()
    team.proxy.pause = 0
    team.evaluate()
    check_warned(capfd, 0)
    assert len(team.proxy.requests) > 20
    assert (team.waiting(), team.all()) == ([], [undisturbed])


def test_nothing_ends_while_keras_saves_a_model(
    team: Team, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    saving, saved = threading.Event(), threading.Event()
    save = mlflow.keras.save_model

    def slowly(*given: Any, **options: Any) -> None:
        saving.set()
        time.sleep(1)
        save(*given, **options)
        saved.set()

    monkeypatch.setattr(mlflow.keras, "save_model", slowly)
    monkeypatch.setattr(runs, "LEAST", 0.1)
    monkeypatch.setattr(delivery, "GRACE", 0.1)
    with training(json.loads((team.models / "run.json").read_text())) as run:
        run.log_training(team.models)
        saving.wait(60)
    assert saved.is_set()
    check_warned(capfd, 1)


def test_answers_that_never_come_double_nothing_wherever_a_replay_is_cut_off(
    team: Team, undisturbed: dict[str, Any]
) -> None:
    team.proxy.down()
    team.train()
    team.evaluate()
    team.proxy.up()
    # The server gets every call, but the n-th replay gets no answer to the n-th, nor to the next, which repeats it.
    for lost in range(1, 100):
        team.proxy.lost, team.proxy.requests = (lambda number, lost=lost: number in (lost, lost + 1)), []  # type: ignore[misc]
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
    team.evaluate()
    team.proxy.up()
    team.proxy.lost, team.proxy.requests = (lambda number: number == 12), []
    check_replay(team, undisturbed)
    assert len(team.proxy.requests) > 12


def test_another_evaluation_of_a_run_that_waits_for_its_end_alone_leaves_it_as_it_is(
    team: Team, undisturbed: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    team.proxy.down()
    team.train()
    team.proxy.up()
    team.proxy.lost = lambda number: team.proxy.requests[number - 1].endswith("/runs/update")
    team.evaluate()
    check_warned(capfd, 2)
    assert len(team.waiting()) == 1
    team.proxy.lost = lambda number: False
    team.evaluate(0.5)
    check_warned(capfd, 0)
    assert team.waiting() == []
    first, second = sorted(team.all(), key=lambda run: run["metrics"]["test.map"])
    assert first == undisturbed
    assert second["metrics"]["test.map"] == [(0, 0.5)]
    assert second["tags"]["postergenre.logged_late"] == "true"


def test_two_replays_at_once_deliver_once(team: Team, undisturbed: dict[str, Any]) -> None:
    team.proxy.down()
    team.train()
    team.evaluate()
    team.proxy.up()
    with ThreadPoolExecutor(2) as pool:
        lines = [*pool.map(lambda _: team.replay(), range(2))]
    assert sorted(map(len, lines)) == [0, 1]
    assert team.all() == [undisturbed]


def test_a_replay_leaves_alone_what_is_under_way(team: Team) -> None:
    def replay(epoch: int, run: runs.Run) -> None:
        if epoch == 2:
            assert team.replay() == [f"run {run.key} belongs to another process that is running; it was left alone"]

    team.train(replay)
    assert [run.info.status for run in team.runs()] == ["FINISHED"]


def test_an_evaluation_that_meets_a_slow_replay_makes_no_second_run(
    team: Team, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entries, "PATIENCE", 0.5)
    team.proxy.down()
    key = team.train().key
    team.proxy.up()
    team.proxy.pause = 0.5
    with ThreadPoolExecutor(1) as pool:
        slow_replay = pool.submit(team.replay)
        while not team.proxy.requests:
            time.sleep(0.05)
        capfd.readouterr()
        assert team.evaluate().key is None
        with pytest.raises(InputError, match=f"^another process is at work on run {key} in mlflow-spool; ") as refused:
            replay.track(team.models, team.project / "reports")
        assert not slow_replay.done()
        assert capfd.readouterr().err == f"warning: {refused.value}\n"
        team.proxy.pause = 0
        assert len(slow_replay.result()) == 1
    replay.track(team.models, team.project / "reports")
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
            spool.open_entry(team.project / "mlflow-spool", str(keys[1]))
    team.proxy.up()
    capsys.readouterr()
    output = str(command("track", "--replay"))
    assert f"mlflow-spool/{keys[1]}/record.json is not as" in output
    assert output.endswith("; runs that wait in mlflow-spool: 1")
    assert capsys.readouterr().out.count(": small, FINISHED, epochs: 3, the model\n") == 2
    oldest_first = sorted(team.runs(), key=lambda run: run.info.start_time)
    assert [run.data.tags["postergenre.spool"] for run in oldest_first] == [keys[0], keys[2]]
    shutil.rmtree(team.project / "mlflow-spool" / str(keys[1]))
    assert command("track", "--replay") == 0
    assert capsys.readouterr().out == "nothing waits in mlflow-spool\n"


TRAIN = """
run.log_epoch(1, {"loss": 0.5})
run.log_epoch(2, {"loss": 0.4})
Path(name).write_text(run.key)
if name == "fails":
    raise errors.InputError("the loss is nan")
"""


def test_trainings_that_fail_or_are_killed_while_the_server_is_dead_are_delivered_as_they_ended(team: Team) -> None:
    ends = {"fails": None, "interrupted": signal.SIGINT, "terminated": signal.SIGTERM, "killed": signal.SIGKILL}
    team.proxy.down()
    children = start_children(team.models / "run.json", ends, TRAIN)
    children.wait_for_files()
    for name, pid in children.pids.items():
        if signalled := ends[name]:
            os.kill(pid, signalled)
    ended = children.end()
    assert {name: code for name, (code, _) in ended.items()} == {
        "fails": 1,
        "interrupted": 130,
        "terminated": 143,
        "killed": -9,
    }
    assert all(ended[name][1].startswith("warning: MLflow at ") for name in ("fails", "interrupted", "terminated"))
    assert ended["fails"][1].endswith("error: the loss is nan\n")
    team.proxy.up()
    assert len(team.replay()) == 4
    names = {Path(name).read_text(): name for name in ends}
    statuses = {names[run.data.tags["postergenre.spool"]]: run.info.status for run in team.runs()}
    assert statuses == {"fails": "FAILED", "interrupted": "KILLED", "terminated": "KILLED", "killed": "KILLED"}
    for run in team.runs():
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.4)]


def interrupted(about: dict[str, Any], folder: Path) -> runs.Run:
    """A training that Ctrl-C ends after its first epoch."""
    with suppress(KeyboardInterrupt), runs.training_run(about, folder) as run:
        run.log_epoch(1, {"loss": 0.5})
        raise KeyboardInterrupt
    return run


def test_what_waits_for_a_server_does_not_go_into_the_projects_own_store(
    team: Team, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    about = json.loads((team.models / "run.json").read_text())
    team.proxy.down()
    key = str(interrupted(about, team.project / "checkpoint").key)
    check_warned(capfd, 1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with pytest.raises(
        InputError, match=f"^run {key} waits for MLflow at {team.proxy.url}; MLFLOW_TRACKING_URI should"
    ):
        team.replay()
    record = team.project / "mlflow-spool" / key / "record.json"
    files.write_json(record, json.loads(record.read_text()) | {"status": "RUNNING"})  # as a kill leaves it
    with training(about):
        pass
    check_warned(capfd, 0)
    assert (team.waiting(), [run.info.status for run in team.runs()]) == ([key], ["FINISHED"])


def test_a_training_that_was_spooled_goes_on_in_its_own_run(team: Team) -> None:
    about, folder = json.loads((team.models / "run.json").read_text()), team.project / "checkpoint"
    team.proxy.down()
    first = interrupted(about, folder)
    team.proxy.up()
    with runs.training_run(about, folder) as again:
        again.log_epoch(2, {"loss": 0.4})
    assert team.waiting() == []
    (logged,) = team.runs()
    assert again.key == first.key
    assert (logged.info.run_id, logged.info.status) == (again.id, "FINISHED")
    history = mlflow.MlflowClient().get_metric_history(logged.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.4)]


def test_a_run_that_waits_with_the_names_of_an_earlier_version_is_delivered(
    team: Team, undisturbed: dict[str, Any]
) -> None:
    team.proxy.down()
    team.train()
    team.evaluate()
    (key,) = team.waiting()
    record = team.project / "mlflow-spool" / key / "record.json"
    fields = json.loads(record.read_text())
    old = {"evaluation": "judged", "trained_before": "afterwards", "logged_late": "restored"}
    files.write_json(record, {old.get(name, name): value for name, value in fields.items()})
    team.proxy.up()
    check_replay(team, undisturbed)


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
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    unshare = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("a small disk is mounted in a namespace, and this machine gives none")
    folder = tmp_path_factory.mktemp("full")
    shutil.copy(empty_store, folder / "server.db")
    with support.mlflow_server(folder, [*unshare, "sh", "-c", FULL, str(folder / "kept")]) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        team.train()
        team.evaluate()
        out, err = capfd.readouterr()
        assert out == ""
        assert err.count("failed (too many 500 error responses); ") == err.count("\n") == 2
        with pytest.raises(InputError, match=r"^MLflow at .*; runs that wait in mlflow-spool: 1$"):
            team.replay()
        pid = int((folder / "server.pid").read_text())
        Path(f"/proc/{pid}/root{folder}/kept/filler").unlink()
        check_replay(team, undisturbed)
