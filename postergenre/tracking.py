"""Runs in MLflow, which only this module and `registry` import.

MLflow is where runs are compared; nothing that a stage needs comes from it. So a run is written down in the spool
first, and a thread of its own tells MLflow. Whatever goes wrong there costs one warning; what MLflow lacks stays in the
spool, and `postergenre track --replay` delivers it.
"""

import logging
import math
import os
import platform
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# No retries, for a run that is created twice is two, and seconds of patience: with MLflow's own values a dead server
# holds up a command for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import filelock
import mlflow
import numpy as np
import pandas as pd
import yaml
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
from mlflow.models import Model, ModelSignature
from mlflow.tracking.context import registry as context_registry
from mlflow.types import Schema, TensorSpec

from postergenre import files, lockfile, params, predictor, spool
from postergenre.errors import InputError, Terminated
from postergenre.spool import Entry, Record

if TYPE_CHECKING:
    from postergenre.backend import keras

EXPERIMENT = "poster-genres"
# The default store, in the project's folder.
STORE = "mlflow.db"
# The tag by which a model finds its run: run ids would make two identical trainings differ. It is set last, so a run
# that has it is complete.
MODEL = "postergenre.model"
# The tag by which an entry of the spool finds its run, also where nobody heard that it was created.
KEY = "postergenre.spool"
RESTORED = "postergenre.restored"
TRAIN = "`dvc repro train`"
# Files that a run shows: of models/, where the large ones are in the model that MLflow keeps, and what made it.
SMALL = (
    *(f"{stem}.json" for stem in ("genres", "calibration", "thresholds", "run", "architecture")),
    "summary.txt",
    "history.csv",
)
LINEAGE = (str(params.FILE), lockfile.FILE)
BATCH = 100  # params, tags or metrics in one request; servers refuse more
PATIENCE = 60  # seconds to wait for another process that makes the store, or delivers what we want to go on with
# What a run waits for a server at its end, where calls succeed: a twentieth of the time it took, and no less than these
# seconds. Where they fail, so many for one that succeeds.
SHARE, LEAST = 0.05, 60.0
GRACE = 1.0
WAITING = f"what it lacks of this run waits in {spool.FOLDER}, and `postergenre track --replay` delivers it"
UNREACHABLE = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)


class Run:
    """One run, or none where it could not be written down. Nothing here waits for a server until the run ends.

    Attributes:
        key: the run's own name, by which a later process goes on with it. id: MLflow's, None until it has given one.
        restored: the run was made after the fact, because the server had none of this model.
    """

    def __init__(self, entry: Entry | None, worker: "_Worker | None" = None, own: bool = False):
        """own: the project's own store is told, which is no server, and is waited for as long as it takes."""
        self._entry, self._worker, self._own = entry, worker, own
        self._started = time.monotonic()
        self._trouble: Exception | None = None

    @property
    def key(self) -> str | None:
        return self._entry.record.key if self._entry else None

    @property
    def id(self) -> str | None:
        return self._entry.record.id if self._entry else None

    @property
    def restored(self) -> bool:
        return self._entry is not None and self._entry.record.restored

    def log_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """The figures of a finished epoch, counted from 1."""
        self._write(lambda entry: _add_epochs(entry, {epoch: metrics}))

    def log_training(self, models: Path) -> None:
        """All that a finished training has to show, epochs that are missing included; a second time adds nothing."""
        self._write(lambda entry: _add_training(entry, models))

    def log_evaluation(self, reports: Path) -> None:
        """The test metrics and the report."""
        self._write(lambda entry: _add_evaluation(entry, reports))

    def end(self, status: str) -> None:
        """Set the status, and wait for what goes on arriving; what does not stays in the spool and costs a warning."""
        if self._entry is None or self._worker is None:
            return
        try:
            self._write(lambda entry: _end(entry, status))
            limit = max(LEAST, SHARE * (time.monotonic() - self._started))
            failure = self._worker.finish(math.inf if self._own else limit)
            if failure:
                _warn(f"{_failed(failure)}; {WAITING}")
            else:
                self._entry.remove()
        except OSError as error:
            self._trouble = error
        finally:
            self._entry.close()
        if self._trouble:
            _warn_unwritten(self._trouble)

    def _write(self, work: Callable[[Entry], None]) -> None:
        """Write something down, and let MLflow hear of it; a failure never reaches the training."""
        if self._entry is None or self._worker is None:
            return
        try:
            work(self._entry)
        except Exception as error:
            self._trouble = error
        self._worker.wake()


class _Worker:
    """Keeps MLflow up to date with an entry, in a thread of its own. A failure is forgotten by the next success."""

    def __init__(self, entry: Entry, afterwards: Callable[[], None]):
        """afterwards: what else to do, once, when the first calls have succeeded."""
        self._delivery, self._afterwards = _Delivery(entry), [afterwards]
        self._error: Exception | None = None  # the first since calls last succeeded
        self._since = 0.0  # when the last one was
        self._ending, self._abandoned = False, False
        self._woken, self._over = threading.Event(), threading.Event()
        # A daemon, for a process that ends does not wait for a server that hangs.
        threading.Thread(target=self._work, name="tracking", daemon=True).start()
        self.wake()

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    def finish(self, seconds: float) -> Exception | None:
        """Wait until all has arrived, no longer than `seconds` and only as long as calls succeed; what failed."""
        self._ending = True
        self.wake()
        started = time.monotonic()
        try:
            while not self._over.wait(0.02):
                now = time.monotonic()
                if self._error and now - max(started, self._since) > GRACE:
                    return self._error
                if now - started > seconds:
                    return TimeoutError(f"it had not heard all after {seconds:.0f} seconds")
            return self._error
        finally:
            self._abandoned = True

    def _work(self) -> None:
        while not self._over.is_set():
            self._woken.wait()
            self._woken.clear()
            ending = self._ending  # read before the work, so that the last round sees all that was written
            # A second time at once, for a server that is well may still close a connection that was kept open.
            if self._fails() and not self._abandoned:
                self._fails()
            if ending or self._abandoned:
                self._over.set()

    def _fails(self) -> bool:
        try:
            self._deliver()
        except Exception as error:
            self._error, self._since = self._error or error, time.monotonic()
            return True
        return False

    def _deliver(self) -> None:
        for _ in self._delivery.steps():
            self._error = None
            if self._abandoned:
                return
        while self._afterwards:
            self._afterwards.pop()()


class _Delivery:
    """Tells MLflow what an entry says, as often as it is asked to; what MLflow has already is not sent again."""

    def __init__(self, entry: Entry):
        self._entry, self._record = entry, entry.record
        self._run: Any = None  # as MLflow had it when we last looked; None where we have to look
        self._known: set[tuple[str, int]] = set()  # metric and epoch
        self._judged: dict[str, Any] | None = None  # what was sent of the evaluation

    def steps(self) -> Iterator[None]:
        """Does one thing after another, and yields between them. After a failure the next one looks anew."""
        record = self._record
        try:
            if self._run is None:
                self._find()
                yield
            trained = record.model is not None and self._run.data.tags.get(MODEL) == record.model
            if not (record.afterwards and trained):
                yield from self._describe()
                yield from self._send_epochs()
            if record.model and not trained:
                yield from self._send_training(record.model)
            if record.judged and record.judged is not self._judged:
                yield from self._send_evaluation(record.judged)
            if record.status != spool.RUNNING:
                yield from self._end()
        except Exception:
            self._run = self._judged = None
            raise

    def _find(self) -> None:
        """The run by its key, else where it was trained before by its model; else a new one."""
        record, client = self._record, mlflow.MlflowClient()
        experiment = _connect()
        runs = self._found(experiment)
        if not runs and record.afterwards and record.model:
            runs = [run for run in [_latest_of(record.model)] if run]
        if not runs:
            made = {RESTORED: "true"} if record.afterwards else {}
            tags = (record.tags or _facts()) | made | {KEY: record.key}
            runs = [client.create_run(experiment, record.start, tags, record.name)]
            with self._entry.change():
                record.restored = record.afterwards
        run_id = runs[0].info.run_id
        if record.status == spool.RUNNING:
            client.update_run(run_id, spool.RUNNING)
        with self._entry.change():
            record.id = run_id
        self._run = client.get_run(run_id)
        self._known = {
            (name, metric.step)
            for name in {name for epoch in record.epochs for name in epoch["metrics"]} & {*self._run.data.metrics}
            for metric in client.get_metric_history(run_id, name)
        }

    def _found(self, experiment: str) -> list[Any]:
        """The runs with this key, ours first: one whose creation was not answered may have come twice."""
        runs = mlflow.MlflowClient().search_runs([experiment], f"tags.`{KEY}` = '{self._record.key}'")
        return sorted(runs, key=lambda run: (run.info.run_id != self._record.id, run.info.run_id))

    def _describe(self) -> Iterator[None]:
        """The params, of which MLflow lets none change, the tags, and the posters that were trained on."""
        record, run = self._record, self._run
        yield from self._log(
            params=[Param(name, value) for name, value in record.params.items() if name not in run.data.params],
            tags=[RunTag(name, value) for name, value in record.tags.items() if run.data.tags.get(name) != value],
        )
        if not run.inputs or not run.inputs.dataset_inputs:
            mlflow.MlflowClient().log_inputs(run.info.run_id, [_posters(record.about["data"])])
            self._look()
            yield

    def _send_epochs(self) -> Iterator[None]:
        fresh = [
            Metric(name, value, epoch["time"], epoch["epoch"])
            for epoch in list(self._record.epochs)
            for name, value in epoch["metrics"].items()
            if (name, epoch["epoch"]) not in self._known
        ]
        yield from self._log(metrics=fresh)
        self._known |= {(metric.key, metric.step) for metric in fresh}

    def _send_training(self, model: str) -> Iterator[None]:
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        for name in SMALL:
            client.log_artifact(run_id, str(self._entry.folder / "models" / name), "models")
            yield
        yield from self._send_lineage()
        yield from self._send_model()
        # Last, so that a run that has it is complete.
        yield from self._log(
            tags=[RunTag("postergenre.weights", str(self._record.about["weights"])), RunTag(MODEL, model)]
        )
        self._look()

    def _send_lineage(self) -> Iterator[None]:
        for file in (self._entry.folder / name for name in LINEAGE):
            if file.exists():
                mlflow.MlflowClient().log_artifact(self._run.info.run_id, str(file))
                yield

    def _send_model(self) -> Iterator[None]:
        """As MLflow's `log_model` does it, but so that it can be gone on with at any point."""
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        found = self._models() or [
            client.create_logged_model(
                self._run.info.experiment_id, "model", run_id, params=dict(list(self._record.params.items())[:BATCH])
            )
        ]
        yield
        with tempfile.TemporaryDirectory() as scratch:
            _save_model(self._entry.folder / "models", Path(scratch, "model"), found[0], self._run)
            client.log_model_artifacts(found[0].model_id, str(Path(scratch, "model")))
        yield
        client.finalize_logged_model(found[0].model_id, "READY")
        self._look()
        if not self._run.outputs or not self._run.outputs.model_outputs:
            client.log_outputs(run_id, [LoggedModelOutput(found[0].model_id, step=0)])
        yield

    def _models(self) -> list[Any]:
        """The models of the run, that which it names first: one whose creation was not answered may have come twice."""
        named = {output.model_id for output in self._run.outputs.model_outputs} if self._run.outputs else set()
        query = f"source_run_id = '{self._run.info.run_id}'"
        models = mlflow.MlflowClient().search_logged_models([self._run.info.experiment_id], query)
        return sorted(models, key=lambda model: (model.model_id not in named, model.model_id))

    def _send_evaluation(self, judged: dict[str, Any]) -> Iterator[None]:
        logged = self._run.data.metrics
        fresh = {name: value for name, value in judged["metrics"].items() if logged.get(name) != value}
        yield from self._log(
            metrics=[Metric(name, value, judged["time"], 0) for name, value in fresh.items()],
            tags=[RunTag(name, value) for name, value in judged["tags"].items()],
        )
        yield from self._send_lineage()
        mlflow.MlflowClient().log_artifacts(self._run.info.run_id, str(self._entry.folder / "reports"), "reports")
        self._judged = judged
        self._look()
        yield

    def _end(self) -> Iterator[None]:
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        client.set_terminated(run_id, self._record.status, self._record.end)
        yield
        twins = [run.info.run_id for run in self._found(self._run.info.experiment_id) if run.info.run_id != run_id]
        models = [model.model_id for model in self._models()[1:]]
        try:
            for twin in twins:
                client.set_terminated(twin, "KILLED")
                client.delete_run(twin)
            for model in models:
                client.delete_logged_model(model)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "PERMISSION_DENIED":  # only whoever manages an experiment may delete; it is empty
                raise
        yield

    def _log(
        self, metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[RunTag] = ()
    ) -> Iterator[None]:
        """In order, and no more at once than a server takes."""
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        for kind, values in (("params", params), ("metrics", metrics), ("tags", tags)):
            for start in range(0, len(values), BATCH):
                client.log_batch(run_id, **{kind: values[start : start + BATCH]})
                yield
        if params or tags:
            self._look()

    def _look(self) -> None:
        self._run = mlflow.MlflowClient().get_run(self._run.info.run_id)


@dataclass(frozen=True)
class Judged:
    """A run that was trained and judged.

    seconds: from its start to its last epoch, pauses included. comparison: see `metrics.compare`.
    """

    run_id: str
    weights: int
    seconds: float
    comparison: pd.DataFrame


@contextmanager
def training_run(about: dict[str, Any], key: str | None = None) -> Iterator[Run]:
    """A run for the training that `about` (run.json's contents) describes, or that with `key` gone on with.

    It ends FINISHED, FAILED after an exception, KILLED after Ctrl-C or SIGTERM. After a SIGKILL the next training on
    this host marks it.
    """
    run = _started(lambda: _training_entry(about, key), _settle_killed)
    try:
        yield run
    except (KeyboardInterrupt, Terminated):
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


@contextmanager
def evaluation_run(models: Path) -> Iterator[Run]:
    """The run of the model in a folder; a new one where the server has none, because DVC restored the training.

    Raises:
        InputError: the folder holds no model.
    """
    about = files.read_json(models / "run.json", TRAIN)
    run = _started(lambda: _evaluation_entry(about, models), lambda: None)
    try:
        yield run
    finally:
        run.end("FINISHED")


def track(models: Path, reports: Path) -> Record:
    """Log a finished training, and its evaluation if there is one, after the fact.

    Raises:
        InputError: there is no training, or the server does not answer.
    """
    about = files.read_json(models / "run.json", TRAIN)
    _choose_store(_project_root(Path.cwd()))
    entry = _evaluation_entry(about, models)
    try:
        if (reports / "metrics.json").exists() and not lockfile.outdated("evaluate"):  # else of the model before
            _add_evaluation(entry, reports)
        else:
            _add_lineage(entry)
        _deliver(entry)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"nothing was tracked, or not all: {_failed(error)}; {WAITING}") from None
    finally:
        entry.close()
    return entry.record


def replay() -> Iterator[str]:
    """Deliver what waits in the spool, the oldest run first; yields a line for each that has arrived.

    Raises:
        InputError: the server failed, or an entry is broken. What arrived before has left the spool.
    """
    project = _project_root(Path.cwd())
    _choose_store(project)
    folder, failures = project / spool.FOLDER, []
    if not spool.keys(folder):
        return
    with filelock.FileLock(folder / "replay.lock"):  # a second replay waits, and then finds what is left
        for key in spool.keys(folder):
            try:
                yield from _replayed(folder, key)
            except Exception as error:
                failures.append(str(error) if isinstance(error, InputError) else _failed(error))
                if _unreachable(error):
                    break
    if failures:
        raise InputError(f"{failures[0]}; runs that wait in {spool.FOLDER}: {len(spool.keys(folder))}")


def newest(dataset: str) -> dict[str, Judged]:
    """By network, the newest run that was trained here on a dataset and judged. dataset: DVC's md5 of data/dataset."""
    _connect()
    query = f"tags.`dvc.data/dataset` = '{dataset}' AND attributes.status = 'FINISHED' AND metrics.`test.map` > 0"
    runs = mlflow.search_runs(filter_string=query, order_by=["start_time DESC"], output_format="list")
    found: dict[str, Judged] = {}
    for run in runs:
        network = run.data.params["train.network"]
        # One that was logged after the fact knows no times.
        if network not in found and RESTORED not in run.data.tags:
            found[network] = _judged(run)
    return found


def load_keras(run_id: str) -> "keras.Model":
    """The model of a run, as Keras has it."""
    return _load(f"runs:/{run_id}/model")


def load_model(uri: str, project: Path) -> predictor.Predictor:
    """A predictor from `models:/NAME/VERSION`, `models:/NAME@ALIAS` or `runs:/ID/model`.

    project: the folder whose runs are meant where $MLFLOW_TRACKING_URI names no server.

    Raises:
        InputError: there is no such model, or it was not logged by this project.
    """
    _choose_filled_store(project, f"{uri} cannot be loaded")
    try:
        about = mlflow.models.get_model_info(uri).metadata
        model = _load(uri)
    except Exception as error:
        raise InputError(f"{uri} cannot be loaded from {_named()}: {_reason(error)}") from None
    if not about or "common" not in about:
        raise InputError(f"{uri} carries no genres and thresholds; it was not logged by this project")
    return predictor.of_keras(model, about)


@contextmanager
def asking(purpose: str) -> Iterator[mlflow.MlflowClient]:
    """What a command asks of runs that must be there.

    purpose: what the sentence begins with in which a failure of MLflow's ends.

    Raises:
        InputError: there is no store here and no server, or it fails.
    """
    _choose_filled_store(_project_root(Path.cwd()), purpose)
    try:
        yield mlflow.MlflowClient()
    except InputError:
        raise
    except Exception as error:  # those of its database MLflow lets through as they are
        raise InputError(f"{purpose}: MLflow at {_named()} failed ({_reason(error)})") from None


def run_of(models: Path) -> str:
    """The run of the model in a folder, the newest where it has several.

    Raises:
        InputError: the folder holds no model, or MLflow no run of it.
    """
    run = _latest_of(files.read_json(models / "run.json", TRAIN)["model"])
    if run is None:
        raise InputError(
            f"MLflow at {_named()} has no finished training of the model in {models}; `postergenre track` logs it"
        )
    return str(run.info.run_id)


def finished(run_id: str) -> Any:
    """A run that finished and holds a model of this project.

    Raises:
        InputError: there is no such run, or it is another kind of run.
    """
    if not exists(run_id):
        raise InputError(f"MLflow at {_named()} has no run {run_id}, or it was deleted; `make mlflow` shows them all")
    run = mlflow.get_run(run_id)
    if run.info.status != "FINISHED":
        raise InputError(f"run {run_id} is {run.info.status}; it should have FINISHED, as `dvc repro` leaves it")
    if MODEL not in run.data.tags:
        raise InputError(f"run {run_id} holds no model of this project; a run of `dvc repro` does")
    return run


def _judged(run: Any) -> Judged:
    client, run_id = mlflow.MlflowClient(), run.info.run_id
    last = max(metric.timestamp for metric in client.get_metric_history(run_id, "val_map"))
    with tempfile.TemporaryDirectory() as folder:
        comparison = pd.read_csv(client.download_artifacts(run_id, "reports/comparison.csv", folder))
    weights = int(run.data.tags["postergenre.weights"])
    return Judged(run_id, weights, (last - run.info.start_time) / 1000, comparison)


def _connect() -> str:
    """Choose the store and in it the experiment, which are made where they are not; the experiment's id."""
    project = _project_root(Path.cwd())
    if not _choose_store(project):
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)
    # Two processes that both make the tables of a new store break each other.
    with filelock.FileLock(project / f"{STORE}.lock", timeout=PATIENCE):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(project / "mlruns").as_uri())
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)


def _choose_filled_store(project: Path, purpose: str) -> None:
    """As `_choose_store`, but the project's own must be there; purpose: what the sentence begins with that says so."""
    if _choose_store(project) and not (project / STORE).exists():
        raise InputError(f"{purpose}: {project} has no {STORE}, and MLFLOW_TRACKING_URI names no server")


def _choose_store(project: Path) -> bool:
    """Point MLflow to $MLFLOW_TRACKING_URI, else to the project's own store; whether it is the project's."""
    # Failures come as exceptions, which end in one warning of ours; those in the background MLflow would also log.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    default = f"sqlite:///{project / STORE}"
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or default)
    return bool(mlflow.get_tracking_uri() == default)


def _project_root(folder: Path) -> Path:
    """`dvc exp run --temp` and `--queue` work in a copy below the project's .dvc/tmp/exps, which they throw away."""
    exps = next((parent for parent in folder.parents if parent.parts[-3:] == (".dvc", "tmp", "exps")), None)
    return exps.parents[2] if exps else folder


def _started(make: Callable[[], Entry], afterwards: Callable[[], None]) -> Run:
    """The run of an entry, or none where it cannot be written."""
    try:
        own = _choose_store(_project_root(Path.cwd()))
        entry = make()
    except Exception as error:
        _warn_unwritten(error)
        return Run(None)
    if own:
        # Before the training: whoever kills it must not meet a store whose tables are half made. Where this fails, so
        # does the worker, and the run's end says it.
        with suppress(Exception):
            _connect()
    return Run(entry, _Worker(entry, afterwards), own)


def _training_entry(about: dict[str, Any], key: str | None) -> Entry:
    folder = _project_root(Path.cwd()) / spool.FOLDER
    entry = spool.opened(folder, key, PATIENCE) if key else None
    if entry is None:
        entry = spool.made(folder, _record(about, key or spool.new_key()))
    with entry.change() as record:
        record.status, record.end = spool.RUNNING, None
        record.tags |= _facts()
    return entry


def _evaluation_entry(about: dict[str, Any], models: Path) -> Entry:
    """What the training left, if MLflow has not got it all; else one that knows the training after the fact."""
    folder = _project_root(Path.cwd()) / spool.FOLDER
    entry = spool.of_model(folder, about["model"], PATIENCE)
    if entry is None:
        entry = spool.made(folder, _record(about, spool.new_key()))
        try:
            with entry.change() as record:
                record.afterwards = True
            _add_model(entry, models)
            _end(entry, "FINISHED")
        except BaseException:
            entry.remove()
            raise
    return entry


def _record(about: dict[str, Any], key: str) -> Record:
    sections = {name: value for name, value in params.read().items() if name in ("scrape", "evaluate")}
    flat = {name: str(value) for name, value in _flattened(sections | about["params"])}
    return Record(key, about["params"]["train"]["network"], spool.now(), about, flat)


def _add_epochs(entry: Entry, epochs: dict[int, dict[str, float]]) -> None:
    """Those that are not there yet, by their numbers."""
    with entry.change() as record:
        known = {epoch["epoch"] for epoch in record.epochs}
        for number in sorted({*epochs} - known):
            record.epochs.append({"epoch": number, "time": spool.now(), "metrics": epochs[number]})


def _add_training(entry: Entry, models: Path) -> None:
    _add_lineage(entry)
    _add_model(entry, models)


def _add_model(entry: Entry, models: Path) -> None:
    entry.add_folder("models", models, link=True)
    rows = pd.read_csv(models / "history.csv").to_dict("records")
    _add_epochs(entry, {int(row.pop("epoch")): {str(k): float(v) for k, v in row.items()} for row in rows})
    about = files.read_json(models / "run.json", TRAIN)
    with entry.change() as record:
        record.about, record.model = about, about["model"]


def _add_evaluation(entry: Entry, reports: Path) -> None:
    metrics = files.read_json(reports / "metrics.json", "`dvc repro evaluate`")
    rows = files.read_json(reports / "scrape.json", "`dvc repro scrape`")["status"]
    entry.add_folder("reports", reports, link=False)
    _add_lineage(entry)
    figures = {f"test.{name}": float(value) for name, value in metrics.items()}
    figures |= {f"scrape.{status}": float(count) for status, count in rows.items()}
    with entry.change() as record:
        record.judged = {"time": spool.now(), "metrics": figures, "tags": _locked("train")}


def _add_lineage(entry: Entry) -> None:
    """From what `postergenre checkout` restores the run; while a stage runs, dvc.lock as it will be after it."""
    if locked := lockfile.now():
        entry.add_file(params.FILE)
        with files.replaced_file(entry.folder / lockfile.FILE) as new:
            new.write_text(locked, encoding="utf-8")


def _end(entry: Entry, status: str) -> None:
    with entry.change() as record:
        record.status, record.end = status, spool.now()


def _deliver(entry: Entry) -> None:
    """Now and all of it; the entry is gone then."""
    for _ in _Delivery(entry).steps():
        pass
    entry.remove()


def _replayed(folder: Path, key: str) -> Iterator[str]:
    entry = spool.opened(folder, key)
    if entry is None:
        if (folder / key).exists():
            yield f"{key} is under way in another process, and was left to it"
        return
    try:
        _deliver(entry)
    finally:
        entry.close()
    record = entry.record
    said = f"run {record.id}: {record.name}, {record.status}, epochs: {len(record.epochs)}"
    yield said + (", the model" if record.model else "") + (", the test metrics" if record.judged else "")


def _settle_killed() -> None:
    """What became of runs whose processes were killed without a word."""
    for entry in spool.orphans(_project_root(Path.cwd()) / spool.FOLDER):
        try:
            _deliver(entry)
        finally:
            entry.close()
    _mark_killed()


def _latest_of(model: str) -> Any | None:
    """The newest run of a model, if it has any; model: its hash."""
    runs = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{MODEL}` = '{model}'",
        order_by=["start_time DESC"],
        max_results=1,
        output_format="list",
    )
    return runs[0] if runs else None


def _posters(data: dict[str, Any]) -> DatasetInput:
    """The posters that were trained on."""
    source = CodeDatasetSource({"store": data["store"], "dataset": data["dataset"]})
    tags = {"mlflow.data.context": "training"} | {name: str(count) for name, count in data["posters"].items()}
    dataset = MetaDataset(source, "posters", data["dataset"][:32])
    return DatasetInput(dataset._to_mlflow_entity(), [InputTag(name, value) for name, value in tags.items()])


def _save_model(models: Path, folder: Path, logged: Any, run: Any) -> None:
    """The model in `models` as MLflow keeps it. logged: what MLflow knows of it so far."""
    model = predictor.load_keras(models)
    posters = TensorSpec(np.dtype("uint8"), (-1, *model.input_shape[1:]))
    genres = TensorSpec(np.dtype("float32"), (-1, model.output_shape[-1]))
    names = ("keras", run.data.tags["system.backend"], "numpy")
    mlflow.keras.save_model(
        model,
        str(folder),
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            run_id=run.info.run_id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            metadata=predictor.about(models),
        ),
        signature=ModelSignature(inputs=Schema([posters]), outputs=Schema([genres])),
        # Given, since MLflow would load the model in a process of its own to find them out.
        pip_requirements=[f"{name}=={run.data.tags[f'system.{name}']}" for name in names],
    )


def _flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flattened(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _facts() -> dict[str, str]:
    """Where a run comes from: code, data, machine, and the process to ask whether it is still under way."""
    facts: dict[str, str] = context_registry.resolve_tags() | {
        "postergenre.host": socket.gethostname(),
        "postergenre.pid": str(os.getpid()),
        "system.platform": platform.platform(),
        "system.python": platform.python_version(),
        "system.cpus": str(os.cpu_count()),
        "system.gpus": _gpus(),
        "system.backend": _keras().backend.backend(),
    }
    facts |= {f"system.{name}": version for name, version in _versions().items()}
    if commit := _said("git", "rev-parse", "HEAD"):
        facts |= {
            "git.commit": commit,
            "git.branch": _said("git", "rev-parse", "--abbrev-ref", "HEAD"),
            "git.dirty": str(bool(_said("git", "status", "--porcelain"))).lower(),
        }
    facts |= {name: os.environ[name] for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV") if name in os.environ}
    return facts | _locked("scrape", "resize", "dataset")


def _keras() -> Any:
    """Keras, imported where it is first needed, for that takes seconds, and `promote` needs none."""
    from postergenre.backend import keras

    return keras


def _load(uri: str) -> "keras.Model":
    _keras()  # before MLflow does, and without the greeting
    return mlflow.keras.load_model(uri)


def _versions() -> dict[str, str]:
    """Of the packages that the model runs on."""
    return {name: sys.modules[name].__version__ for name in ("keras", _keras().backend.backend(), "numpy")}


def _gpus() -> str:
    """Those that training sees, by name where NVIDIA's driver is there to tell."""
    seen = _keras().distribution.list_devices("gpu")
    names = _said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines() if seen else []
    return ", ".join(names or seen) or "none"


def _locked(*stages: str) -> dict[str, str]:
    """The md5 of these stages' outputs, by which DVC keeps them."""
    if not Path("dvc.lock").exists():
        return {}
    locked = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {f"dvc.{out['path']}": out["md5"] for name in stages if name in locked for out in locked[name]["outs"]}


def _said(*command: str) -> str:
    """What a program prints; "" where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _mark_killed() -> None:
    """Runs of this host that still count as running although their process is gone, and that no spool knows."""
    running = mlflow.search_runs(
        filter_string=f"attributes.status = 'RUNNING' AND tags.`postergenre.host` = '{socket.gethostname()}'",
        output_format="list",
    )
    for run in running:
        pid = int(run.data.tags.get("postergenre.pid", 0))
        if not _alive(pid):
            mlflow.MlflowClient().set_terminated(run.info.run_id, "KILLED")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return pid > 0


def exists(run_id: str) -> bool:
    """Whether MLflow has this run, and nobody deleted it."""
    try:
        return bool(mlflow.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def _warn(said: str) -> None:
    print(f"warning: {said}", file=sys.stderr)


def _warn_unwritten(error: Exception) -> None:
    _warn(f"{spool.FOLDER} could not be written ({_reason(error)}); `postergenre track` logs this run later")


def _failed(error: Exception) -> str:
    return f"MLflow at {_named()} failed ({_reason(error)})"


def _unreachable(error: BaseException) -> bool:
    """Whether the next call would fail alike."""
    return any(isinstance(cause, UNREACHABLE) for cause in _causes(error))


def _named() -> str:
    """The server, for people to read."""
    return _without_password(str(mlflow.get_tracking_uri()))


def _reason(error: BaseException) -> str:
    """In a few words: of a connection, what the system said about it; else the first line of what it came from."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, UNREACHABLE):
            return cause.strerror or str(cause)
    return _without_password(str(causes[-1]).strip().split("\n")[0][:200]) or type(causes[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause:
        yield cause
        within = next((part for part in cause.args if isinstance(part, BaseException)), None)  # as urllib3 wraps it
        cause = cause.__cause__ or cause.__context__ or within


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)
