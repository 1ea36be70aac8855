"""Runs in MLflow, as stages and commands see them.

MLflow is where runs are compared; nothing that a stage needs comes from it. So a run is written down in the spool
first, and a thread of its own tells MLflow. Whatever goes wrong there costs one warning; what MLflow lacks stays in the
spool, and `postergenre track --replay` delivers it.
"""

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import mlflow

from postergenre import files, params
from postergenre.dvc_project import lockfile
from postergenre.errors import InputError, Terminated
from postergenre.evaluation import comparison
from postergenre.evaluation.comparison import Comparison
from postergenre.networks import model_folder
from postergenre.prediction import predictor
from postergenre.tracking import delivery, mlflow_store, provenance, spool
from postergenre.tracking.spool import Entry, Record

if TYPE_CHECKING:
    from postergenre.networks.backend import keras

PATIENCE = 10  # seconds to wait for another process that delivers what we want to go on with
# What a run waits for a server at its end, where calls succeed: a twentieth of the time it took, and no less than these
# seconds for one that is not slow.
SHARE, LEAST = 0.05, 60.0
JUDGING = "evaluate"  # the stage, and its section of params.yaml
WAITING = f"what it lacks of this run waits in {spool.FOLDER}, and `postergenre track --replay` delivers it"


class Run:
    """One run, or none where it could not be written down. Nothing here waits for a server until the run ends.

    Attributes:
        key: the run's own name, by which a later process goes on with it. id: MLflow's, None until it has given one.
        logged_late: the run was made after the fact, because the server had none of this model.
    """

    def __init__(self, entry: Entry | None, worker: "delivery.Worker | None" = None, own: bool = False):
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
    def logged_late(self) -> bool:
        return self._entry is not None and self._entry.record.logged_late

    def begin(self) -> None:
        """Let MLflow hear of it, before there is anything to log."""
        if self._worker:
            self._worker.wake()

    def log_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """The figures of a finished epoch, counted from 1."""
        self._write(lambda entry: _add_epochs(entry, {epoch: metrics}))

    def log_training(self, models: Path) -> None:
        """All that a finished training has to show, epochs that are missing included; a second time adds nothing."""
        self._write(lambda entry: _add_training(entry, models))

    def log_evaluation(self, reports: Path) -> None:
        """The test metrics and the report. A run that holds others keeps them: these go to a run of their own."""
        self._write(lambda entry: _add_evaluation(entry, reports, params.read().get(JUDGING)))

    def end(self, status: str) -> None:
        """Set the status, and wait for what goes on arriving; what does not stays in the spool and costs a warning."""
        if self._entry is None or self._worker is None:
            return
        try:
            self._write(lambda entry: _end(entry, status))
            share = max(delivery.GRACE, SHARE * (time.monotonic() - self._started))
            failure = self._worker.finish(*((math.inf, math.inf) if self._own else (max(LEAST, share), share)))
            if failure:
                _warn(f"{mlflow_store.failed(failure)}; {WAITING}")
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


@dataclass(frozen=True)
class EvaluatedRun:
    """A run that was trained and judged.

    seconds: from its start to its last epoch, pauses included. comparison: of its model with the baselines.
    """

    run_id: str
    weights: int
    seconds: float
    comparison: Comparison


@contextmanager
def training_run(about: dict[str, Any], key: str | None = None) -> Iterator[Run]:
    """A run for the training that `about` (run.json's contents) describes, or that with `key` gone on with.

    It ends FINISHED, FAILED after an exception, KILLED after Ctrl-C or SIGTERM. After a SIGKILL the next training
    in this project marks it.
    """
    run = _started(lambda: _training_entry(about, key), _settle_killed)
    run.begin()
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
    about = model_folder.read_run(models)
    # MLflow hears of it when its figures are known, for they decide whether the model's run has a place for them.
    run = _started(lambda: _evaluation_entry(about, models), lambda: None)
    try:
        yield run
    finally:
        run.end("FINISHED")


def track(models: Path, reports: Path) -> Record:
    """Log a finished training, and its evaluation if there is one, after the fact.

    Raises:
        InputError: there is no training, another process delivers it now, or the server does not answer.
    """
    about = model_folder.read_run(models)
    mlflow_store.choose_store(mlflow_store.project_root(Path.cwd()))
    try:
        entry = _evaluation_entry(about, models)
    except OSError as error:
        why = mlflow_store.reason(error)
        raise InputError(f"nothing was tracked: {spool.FOLDER} could not be written ({why})") from None
    try:
        if (reports / "metrics.json").exists() and not lockfile.outdated(JUDGING):  # else of the model before
            _add_evaluation(entry, reports, lockfile.params(JUDGING) or params.read().get(JUDGING))
        else:
            _add_lineage(entry)
        _deliver(entry)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"nothing was tracked, or not all: {mlflow_store.failed(error)}; {WAITING}") from None
    finally:
        entry.close()
    return entry.record


def replay() -> Iterator[str]:
    """Deliver what waits in the spool, the oldest run first; yields a line for each that has arrived.

    Raises:
        InputError: this is no project's folder, the server failed, or an entry is broken. What arrived before has left
            the spool.
    """
    project = mlflow_store.project_root(Path.cwd())
    mlflow_store.choose_store(project)
    folder, failures = _spool_of(project), []
    if not spool.keys(folder):
        return
    with filelock.FileLock(folder / "replay.lock"):  # a second replay waits, and then finds what is left
        for key in spool.keys(folder):
            try:
                yield from _replayed(folder, key)
            except Exception as error:
                failures.append(str(error) if isinstance(error, InputError) else mlflow_store.failed(error))
                if mlflow_store.unreachable(error):
                    break
    if failures:
        raise InputError(f"{failures[0]}; runs that wait in {spool.FOLDER}: {len(spool.keys(folder))}")


def newest(dataset: str) -> dict[str, EvaluatedRun]:
    """By network, the newest run that was trained here on a dataset and judged. dataset: DVC's md5 of data/dataset."""
    mlflow_store.connect()
    query = f"tags.`dvc.data/dataset` = '{dataset}' AND attributes.status = 'FINISHED' AND metrics.`test.map` > 0"
    runs = mlflow.search_runs(filter_string=query, order_by=["start_time DESC"], output_format="list")
    found: dict[str, EvaluatedRun] = {}
    for run in runs:
        network = run.data.params["train.network"]
        # One that was logged after the fact knows no times.
        if network not in found and delivery.LOGGED_LATE not in run.data.tags:
            found[network] = _evaluated(run)
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
    mlflow_store.choose_filled_store(project, f"{uri} cannot be loaded")
    try:
        about = mlflow.models.get_model_info(uri).metadata
        model = _load(uri)
    except Exception as error:
        raise InputError(f"{uri} cannot be loaded from {mlflow_store.named()}: {mlflow_store.reason(error)}") from None
    if not about or "global_threshold" not in about:
        raise InputError(f"{uri} carries no genres and thresholds; it was not logged by this project")
    return predictor.from_keras(model, about)


def _evaluated(run: Any) -> EvaluatedRun:
    client, run_id = mlflow.MlflowClient(), run.info.run_id
    last = max(metric.timestamp for metric in client.get_metric_history(run_id, "val_map"))
    with tempfile.TemporaryDirectory() as folder:
        scores = comparison.read(Path(client.download_artifacts(run_id, "reports/comparison.csv", folder)))
    weights = int(run.data.tags["postergenre.weights"])
    return EvaluatedRun(run_id, weights, (last - run.info.start_time) / 1000, scores)


def _started(make: Callable[[], Entry], afterwards: Callable[[], None]) -> Run:
    """The run of an entry, or none where it cannot be written."""
    try:
        own = mlflow_store.choose_store(mlflow_store.project_root(Path.cwd()))
        entry = make()
    except spool.HeldError as error:
        _warn(str(error))
        return Run(None)
    except Exception as error:
        _warn_unwritten(error)
        return Run(None)
    if own:
        # Before the training: whoever kills it must not meet a store whose tables are half made. Where this fails, so
        # does the worker, and the run's end says it.
        with suppress(Exception):
            mlflow_store.connect()
    return Run(entry, delivery.Worker(entry, afterwards), own)


def _training_entry(about: dict[str, Any], key: str | None) -> Entry:
    folder = mlflow_store.project_root(Path.cwd()) / spool.FOLDER
    try:
        entry = spool.opened(folder, key, PATIENCE) if key else None
    except spool.HeldError:  # by a replay that is slow, and no training waits for one
        key = entry = None
    if entry is None:
        entry = spool.made(folder, _record(about, key or spool.new_key()))
    with entry.change() as record:
        record.status, record.end = spool.RUNNING, None
        record.tags |= delivery.facts()
    return entry


def _evaluation_entry(about: dict[str, Any], models: Path) -> Entry:
    """What the training left, if MLflow has not got it all; else one that knows the training after the fact."""
    folder = mlflow_store.project_root(Path.cwd()) / spool.FOLDER
    entry = spool.of_model(folder, about["model"], PATIENCE)
    if entry is None:
        entry = spool.made(folder, _record(about, spool.new_key()))
        try:
            with entry.change() as record:
                record.afterwards, record.tags = True, delivery.facts()
            _add_model(entry, models)
            _end(entry, "FINISHED")
        except BaseException:
            entry.remove()
            raise
    return entry


def _record(about: dict[str, Any], key: str) -> Record:
    flat = _flat({name: value for name, value in params.read().items() if name == "scrape"} | about["params"])
    return Record(key, about["params"]["train"]["network"], spool.now(), about, flat, uri=mlflow_store.named())


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
    rows = model_folder.read_history(models).to_dict("records")
    _add_epochs(entry, {int(row.pop("epoch")): {str(k): float(v) for k, v in row.items()} for row in rows})
    about = model_folder.read_run(models)
    with entry.change() as record:
        record.about, record.model = about, about["model"]


def _add_evaluation(entry: Entry, reports: Path, judging: Any) -> None:
    """judging: the params that the reports were made with."""
    metrics = files.read_json(reports / "metrics.json", "`dvc repro evaluate`")
    rows = files.read_json(reports / "scrape.json", "`dvc repro scrape`")["status"]
    entry.add_folder("reports", reports, link=False)
    _add_lineage(entry)
    figures = {f"test.{name}": float(value) for name, value in metrics.items()}
    figures |= {f"scrape.{status}": float(count) for status, count in rows.items()}
    with entry.change() as record:
        record.params = {name: value for name, value in record.params.items() if not name.startswith(f"{JUDGING}.")}
        record.params |= _flat({JUDGING: judging} if judging else {})
        record.judged = {"time": spool.now(), "metrics": figures, "tags": provenance.locked("train")}


def _add_lineage(entry: Entry) -> None:
    """From what `postergenre checkout` restores the run; while a stage runs, dvc.lock as it will be after it."""
    try:
        locked = lockfile.now()
    except Exception as error:  # of DVC's, which shall cost no figure
        _warn(f"{lockfile.FILE} cannot be told ahead ({error}); `postergenre checkout` will not know this run")
        return
    if locked:
        entry.add_file(params.FILE)
        with files.atomic_write(entry.folder / lockfile.FILE) as new:
            new.write_text(locked, encoding="utf-8")


def _end(entry: Entry, status: str) -> None:
    """Of a training that has ended, and is judged now, the end stays as it was."""
    with entry.change() as record:
        if record.end is None:
            record.status, record.end = status, spool.now()


def _deliver(entry: Entry) -> None:
    """Now and all of it; the entry is gone then."""
    told = delivery.Delivery(entry)
    try:
        told.finish()
    except Exception as error:
        if not mlflow_store.is_dropped(error):
            raise
        told.finish()
    entry.remove()


def _spool_of(project: Path) -> Path:
    """The folder where runs wait, which need not be there yet."""
    folder = project / spool.FOLDER
    if not any((project / name).exists() for name in (params.FILE, ".dvc")):
        raise InputError(f"{project} has no {params.FILE} and no .dvc; run this in the project's folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; it should be a folder, which a training makes")
    return folder


def _replayed(folder: Path, key: str) -> Iterator[str]:
    try:
        entry = spool.opened(folder, key)
    except spool.HeldError:
        yield f"{key} is under way in another process, and was left to it"
        return
    if entry is None:
        return
    record = entry.record
    try:
        if _is_misplaced(record):
            raise InputError(
                f"run {key} waits for MLflow at {record.uri}; MLFLOW_TRACKING_URI should name a server, that one "
                f"or another; to give the run up, delete {spool.FOLDER}/{key}: `postergenre track` logs models/ alone"
            )
        _deliver(entry)
    finally:
        entry.close()
    said = f"run {record.id}: {record.name}, {record.status}, epochs: {len(record.epochs)}"
    yield said + (", the model" if record.model else "") + (", the test metrics" if record.judged else "")


def _is_misplaced(record: Record) -> bool:
    """What a server was to be told does not go into the project's own store only because nobody named the server."""
    return record.uri.startswith("http") and not mlflow_store.named().startswith("http")


def _settle_killed() -> None:
    """What became of runs whose processes were killed without a word."""
    for entry in spool.orphans(mlflow_store.project_root(Path.cwd()) / spool.FOLDER):
        try:
            if not _is_misplaced(entry.record):
                _deliver(entry)
        finally:
            entry.close()


def _flat(sections: dict[str, Any]) -> dict[str, str]:
    """Params as MLflow has them."""
    return {name: str(value) for name, value in _flattened(sections)}


def _flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flattened(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _load(uri: str) -> "keras.Model":
    provenance.keras()  # before MLflow does, and without the greeting
    return mlflow.keras.load_model(uri)


def _warn(said: str) -> None:
    print(f"warning: {said}", file=sys.stderr)


def _warn_unwritten(error: Exception) -> None:
    _warn(
        f"{spool.FOLDER} could not be written ({mlflow_store.reason(error)}); `postergenre track` logs this run later"
    )
