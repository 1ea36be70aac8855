"""Runs in MLflow, which only this module and `registry` import.

MLflow is where runs are compared; nothing that a stage needs comes from it. So whatever goes wrong with it costs one
warning, and `postergenre track` logs the run later from what DVC keeps.
"""

import logging
import os
import platform
import re
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# One retry and seconds of patience: with MLflow's own values a dead server holds up a training for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
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
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from mlflow.utils.async_logging.run_operations import RunOperations

from postergenre import files, lockfile, params, predictor
from postergenre.errors import InputError, Terminated

if TYPE_CHECKING:
    from postergenre.backend import keras

EXPERIMENT = "poster-genres"
# The default store, in the project's folder.
STORE = "mlflow.db"
# The tag by which a model finds its run: run ids would make two identical trainings differ. It is set last, so a run
# that has it is complete.
MODEL = "postergenre.model"
TRAIN = "`dvc repro train`"
BATCH = 100  # params in one request; servers refuse more
PATIENCE = 60  # seconds to wait for another process that makes the store


class Run:
    """One run in MLflow, or none: after the first failure nothing more is logged.

    Attributes:
        id: None without a run. restored: the run was made after the fact, because the server had none of this model.
    """

    def __init__(self, run_id: str | None, restored: bool = False):
        self.id = run_id
        self.restored = restored
        self._sent: list[RunOperations] = []

    def attempt(self, work: Callable[[], None]) -> None:
        """Do `work` in this run; a failure of MLflow's, of any kind, costs a warning and ends the tracking."""
        if self.id is None:
            return
        try:
            work()
        except Exception as error:
            self._give_up(error)

    def log_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """In the background, for no epoch should wait for a server; the run's end waits, and says what failed."""
        self.attempt(lambda: self._sent.append(mlflow.log_metrics(metrics, step=epoch, synchronous=False)))

    def log_training(self, models: Path) -> None:
        """All that a finished training has to show, epochs that did not arrive included; a second time adds nothing."""
        while self._sent:
            with suppress(mlflow.exceptions.MlflowException):  # `_log_training` logs what is missing, or fails in turn
                self._sent.pop().wait()
        self.attempt(lambda: _log_training(models))

    def log_evaluation(self, reports: Path) -> None:
        """The test metrics and the report."""
        self.attempt(lambda: _log_evaluation(reports))

    def end(self, status: str) -> None:
        """Set the status, also of a run that was given up, which would else count as running for ever."""
        while self._sent:
            self.attempt(self._sent.pop().wait)
        try:
            if mlflow.active_run():
                mlflow.end_run(status)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if self.id is not None:
            _warn(error)
        self.id = None


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
def training_run(about: dict[str, Any], run_id: str | None = None) -> Iterator[Run]:
    """A run for the training that `about` (run.json's contents) describes, or that of `run_id` gone on with.

    It ends FINISHED, FAILED after an exception, KILLED after Ctrl-C or SIGTERM. After a SIGKILL the next training on
    this host marks it.
    """
    with _tracked(lambda: _start_training(about, run_id)) as run:
        run.attempt(lambda: _describe(about))
        yield run


@contextmanager
def evaluation_run(models: Path) -> Iterator[Run]:
    """The run of the model in a folder; a new one where the server has none, because DVC restored the training.

    Raises:
        InputError: the folder holds no model.
    """
    about = files.read_json(models / "run.json", TRAIN)
    with _tracked(lambda: _find_or_restore(about)) as run:
        if run.restored:
            run.attempt(lambda: _describe(about))
            run.log_training(models)
        yield run


def track(models: Path, reports: Path) -> Run:
    """Log a finished training, and its evaluation if there is one, after the fact.

    Raises:
        InputError: there is no training, or the server does not answer.
    """
    with evaluation_run(models) as run:
        if (reports / "metrics.json").exists() and not lockfile.outdated("evaluate"):  # else of the model before
            run.log_evaluation(reports)
    if run.id is None:
        raise InputError(f"nothing was tracked, or not all: MLflow at {_named()} failed, see the warning")
    return run


def newest(dataset: str) -> dict[str, Judged]:
    """By network, the newest run that was trained here on a dataset and judged. dataset: DVC's md5 of data/dataset."""
    _connect()
    query = f"tags.`dvc.data/dataset` = '{dataset}' AND attributes.status = 'FINISHED' AND metrics.`test.map` > 0"
    runs = mlflow.search_runs(filter_string=query, order_by=["start_time DESC"], output_format="list")
    found: dict[str, Judged] = {}
    for run in runs:
        network = run.data.params["train.network"]
        # One that was logged after the fact knows no times.
        if network not in found and "postergenre.restored" not in run.data.tags:
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


def _connect() -> None:
    """Choose the store and in it the experiment, which are made where they are not."""
    project = _project_root(Path.cwd())
    if not _choose_store(project):
        mlflow.set_experiment(EXPERIMENT)
        return
    # Two processes that both make the tables of a new store break each other.
    with filelock.FileLock(project / f"{STORE}.lock", timeout=PATIENCE):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(project / "mlruns").as_uri())
        mlflow.set_experiment(EXPERIMENT)


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


@contextmanager
def _tracked(start: Callable[[], Run]) -> Iterator[Run]:
    """The run that `start` gives, or none where it fails; ended as the block ends."""
    run = Run(None)
    try:
        try:
            run = start()
        except Exception as error:
            _warn(error)
        yield run
    except (KeyboardInterrupt, Terminated):
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def _start_training(about: dict[str, Any], run_id: str | None) -> Run:
    _connect()
    _mark_killed(except_for=run_id)
    if run_id is not None and exists(run_id):
        mlflow.start_run(run_id, tags=_process() | _facts())
        return Run(run_id)
    run = mlflow.start_run(run_name=about["params"]["train"]["network"], tags=_process() | _facts())
    return Run(run.info.run_id)


def _find_or_restore(about: dict[str, Any]) -> Run:
    _connect()
    found = _latest_of(about["model"])
    if found:
        mlflow.start_run(found.info.run_id, tags=_process())
        return Run(found.info.run_id)
    run = _start_training(about, None)
    mlflow.set_tag("postergenre.restored", "true")
    return Run(run.id, restored=True)


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


def _describe(about: dict[str, Any]) -> None:
    """The params, and the posters that were trained on."""
    _log_params(about)
    counts = {name: str(count) for name, count in about["data"]["posters"].items()}
    source = CodeDatasetSource({"store": about["data"]["store"], "dataset": about["data"]["dataset"]})
    mlflow.log_input(MetaDataset(source, "posters", about["data"]["dataset"][:32]), context="training", tags=counts)


def _log_training(models: Path) -> None:
    about = files.read_json(models / "run.json", TRAIN)
    if MODEL in _active().data.tags:
        return
    _log_history(models / "history.csv")
    small = ("genres", "calibration", "thresholds", "run", "architecture")
    for name in (*(f"{stem}.json" for stem in small), "summary.txt", "history.csv"):
        mlflow.log_artifact(str(models / name), "models")
    _log_lineage()
    _log_model(models)
    mlflow.set_tags({MODEL: about["model"], "postergenre.weights": str(about["weights"])})


def _log_history(history: Path) -> None:
    """The epochs that are not there yet: a server may have been away for some."""
    rows = pd.read_csv(history)
    known = {metric.step for metric in mlflow.MlflowClient().get_metric_history(_active().info.run_id, "val_map")}
    for row in rows.to_dict("records"):
        if int(row["epoch"]) not in known:
            mlflow.log_metrics({str(k): float(v) for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))


def _log_model(models: Path) -> None:
    model = predictor.load_keras(models)
    posters = TensorSpec(np.dtype("uint8"), (-1, *model.input_shape[1:]))
    genres = TensorSpec(np.dtype("float32"), (-1, model.output_shape[-1]))
    mlflow.keras.log_model(
        model,
        name="model",
        signature=ModelSignature(inputs=Schema([posters]), outputs=Schema([genres])),
        # Given, since MLflow would load the model in a process of its own to find them out.
        pip_requirements=[f"{name}=={version}" for name, version in _versions().items()],
        metadata=predictor.about(models),
    )


def _log_evaluation(reports: Path) -> None:
    metrics = files.read_json(reports / "metrics.json", "`dvc repro evaluate`")
    logged = _active().data.metrics
    fresh = {f"test.{name}": float(value) for name, value in metrics.items() if logged.get(f"test.{name}") != value}
    rows = files.read_json(reports / "scrape.json", "`dvc repro scrape`")["status"]
    mlflow.log_metrics(fresh | {f"scrape.{status}": float(count) for status, count in rows.items()})
    mlflow.set_tags(_locked("train"))
    _log_lineage()
    mlflow.log_artifacts(str(reports), "reports")


def _log_lineage() -> None:
    """From what `postergenre checkout` restores the run."""
    if locked := lockfile.now():
        mlflow.log_artifact(str(params.FILE))
        mlflow.log_text(locked, lockfile.FILE)


def _log_params(about: dict[str, Any]) -> None:
    """What made the model, and of the sections that did not, what params.yaml says; MLflow lets none change later."""
    sections = {name: value for name, value in params.read().items() if name in ("scrape", "evaluate")}
    known = _active().data.params
    flat = [(name, value) for name, value in _flattened(sections | about["params"]) if name not in known]
    for start in range(0, len(flat), BATCH):
        mlflow.log_params(dict(flat[start : start + BATCH]))


def _flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flattened(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _process() -> dict[str, str]:
    """Whom to ask whether a run is still under way."""
    return {"postergenre.host": socket.gethostname(), "postergenre.pid": str(os.getpid())}


def _facts() -> dict[str, str]:
    """Where a run comes from: code, data, machine."""
    facts = {
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


def _mark_killed(except_for: str | None) -> None:
    """Runs of this host that still count as running although their process is gone were killed without a word."""
    running = mlflow.search_runs(
        filter_string=f"attributes.status = 'RUNNING' AND tags.`postergenre.host` = '{socket.gethostname()}'",
        output_format="list",
    )
    for run in running:
        pid = int(run.data.tags.get("postergenre.pid", 0))
        if run.info.run_id != except_for and not _alive(pid):
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


def _active() -> Any:
    """The run that is under way, as the server has it now."""
    return mlflow.get_run(mlflow.active_run().info.run_id)


def _warn(error: Exception) -> None:
    print(
        f"warning: MLflow at {_named()} failed ({_reason(error)}); "
        "this run is not tracked further, `postergenre track` logs it later",
        file=sys.stderr,
    )


def _named() -> str:
    """The server, for people to read."""
    return _without_password(str(mlflow.get_tracking_uri()))


def _reason(error: BaseException) -> str:
    """In a few words: of a connection, what the system said about it; else the error's first line."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ConnectionError | TimeoutError | socket.gaierror | ssl.SSLError):
            return cause.strerror or str(cause)
        cause = cause.__cause__ or cause.__context__
    return _without_password(str(error).strip().split("\n")[0][:200]) or type(error).__name__


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)
