"""Runs in MLflow, of which this is the only importer.

MLflow is where runs are compared; nothing that a stage needs comes from it. So whatever goes wrong with it costs one
warning, and `postergenre track` logs the run later from what DVC keeps.
"""

import logging
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# One retry and seconds of patience: with MLflow's own values a dead server holds up a training for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import filelock
import mlflow
import numpy as np
import pandas as pd
import yaml
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from postergenre import files, params, predictor
from postergenre.backend import keras
from postergenre.errors import InputError, Terminated

EXPERIMENT = "poster-genres"
# The tag by which a model finds its run: run ids would make two identical trainings differ.
MODEL = "postergenre.model"
BATCH = 100  # params in one request; servers refuse more


class Run:
    """One run in MLflow, or none: after the first failure everything else is left out."""

    def __init__(self, run_id: str | None):
        self.id = run_id

    def attempt(self, work: Callable[[], None]) -> None:
        """Do `work` in this run; a failure of MLflow's, of any kind, costs a warning and ends the tracking."""
        if self.id is None:
            return
        try:
            work()
        except Exception as error:
            _warn(error)
            self.id = None

    def log_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        self.attempt(lambda: mlflow.log_metrics(metrics, step=epoch))

    def log_training(self, models: Path) -> None:
        """All that a finished training has to show; what the run has already is not logged twice."""
        self.attempt(lambda: _log_training(models))

    def log_evaluation(self, reports: Path) -> None:
        """The test metrics and the report."""
        self.attempt(lambda: _log_evaluation(reports))

    def end(self, status: str) -> None:
        self.attempt(lambda: mlflow.end_run(status))


@contextmanager
def training_run(about: dict[str, Any], run_id: str | None = None) -> Iterator[Run]:
    """A run for the training that `about` (run.json's contents) describes, or that of `run_id` gone on with.

    It ends FINISHED, FAILED after an exception, KILLED after Ctrl-C or SIGTERM. After a SIGKILL the next training on
    this host marks it.
    """
    with _ended(_opened(lambda: _start_training(about, run_id))) as run:
        yield run


@contextmanager
def evaluation_run(models: Path) -> Iterator[Run]:
    """The run of the model in a folder; a new one where the server has none, because DVC restored the training."""
    with _ended(_opened(lambda: _find_or_restore(models))) as run:
        yield run


def track(models: Path, reports: Path) -> str:
    """Log a finished training, and its evaluation if there is one, after the fact; returns the run's id.

    Raises:
        InputError: the server does not answer.
    """
    with evaluation_run(models) as run:
        run.log_training(models)
        if (reports / "metrics.json").exists():
            run.log_evaluation(reports)
        tracked = run.id
    if tracked is None or run.id is None:
        raise InputError(f"nothing was tracked: MLflow at {mlflow.get_tracking_uri()} failed, see the warning")
    return tracked


def load_model(uri: str) -> predictor.Predictor:
    """A predictor from `models:/NAME/VERSION`, `models:/NAME@ALIAS` or `runs:/ID/model`.

    Raises:
        InputError: there is no such model, or it was not logged by this project.
    """
    try:
        _connect()
        about = mlflow.models.get_model_info(uri).metadata
        model = mlflow.keras.load_model(uri)
    except Exception as error:
        raise InputError(f"{uri} cannot be loaded from {mlflow.get_tracking_uri()}: {_first_line(error)}") from None
    if not about or "thresholds" not in about:
        raise InputError(f"{uri} carries no genres and thresholds; it was not logged by this project")
    return predictor.assemble(model, about)


def _connect() -> None:
    """Point MLflow to $MLFLOW_TRACKING_URI, else to a store in the project's folder, and to the experiment."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    root = _project_root(Path.cwd())
    default = f"sqlite:///{root / 'mlflow.db'}"
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", default))
    if mlflow.get_tracking_uri() != default:
        mlflow.set_experiment(EXPERIMENT)
        return
    # Two processes that both make the tables of a new store break each other.
    with filelock.FileLock(root / "mlflow.db.lock"):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(root / "mlruns").as_uri())
        mlflow.set_experiment(EXPERIMENT)


def _project_root(folder: Path) -> Path:
    """`dvc exp run --temp` and `--queue` work in a copy below the project's .dvc/tmp/exps, which they throw away."""
    exps = next((parent for parent in folder.parents if parent.parts[-3:] == (".dvc", "tmp", "exps")), None)
    return exps.parents[2] if exps else folder


def _opened(start: Callable[[], str]) -> Run:
    try:
        return Run(start())
    except Exception as error:
        _warn(error)
        return Run(None)


@contextmanager
def _ended(run: Run) -> Iterator[Run]:
    try:
        yield run
    except (KeyboardInterrupt, Terminated):
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def _start_training(about: dict[str, Any], run_id: str | None) -> str:
    _connect()
    _mark_killed(except_for=run_id)
    known = run_id is not None and _exists(run_id)
    run = mlflow.start_run(
        run_id=run_id if known else None, run_name=None if known else about["params"]["train"]["network"]
    )
    mlflow.set_tags(_facts() | {"postergenre.pid": str(os.getpid())})
    _log_params(about)
    counts = {name: str(count) for name, count in about["data"]["posters"].items()}
    source = CodeDatasetSource({"store": about["data"]["store"], "dataset": about["data"]["dataset"]})
    mlflow.log_input(MetaDataset(source, "posters", about["data"]["dataset"][:32]), context="training", tags=counts)
    return str(run.info.run_id)


def _find_or_restore(models: Path) -> str:
    about = files.read_json(models / "run.json", "`dvc repro train`")
    _connect()
    query = f"tags.`{MODEL}` = '{about['model']}'"
    found = mlflow.search_runs(filter_string=query, order_by=["start_time DESC"], max_results=1, output_format="list")
    if found:
        mlflow.start_run(run_id=found[0].info.run_id)
        return str(found[0].info.run_id)
    run_id = _start_training(about, None)
    mlflow.set_tag("postergenre.restored", "true")
    _log_training(models)
    return run_id


def _log_training(models: Path) -> None:
    run = _active()
    about = files.read_json(models / "run.json", "`dvc repro train`")
    _log_history(models / "history.csv")
    for name in ("genres.json", "thresholds.json", "summary.txt", "history.csv", "run.json", "architecture.json"):
        mlflow.log_artifact(str(models / name), "models")
    for file in (params.FILE, Path("dvc.lock")):
        if file.exists():
            mlflow.log_artifact(str(file))
    if MODEL not in run.data.tags:
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
    answers = predictor.load(models)
    posters = TensorSpec(np.dtype("uint8"), (-1, answers.height, answers.width, 3))
    genres = TensorSpec(np.dtype("float32"), (-1, len(answers.genres)))
    packages = ("keras", keras.backend.backend(), "numpy")
    mlflow.keras.log_model(
        answers.model,
        name="model",
        signature=ModelSignature(inputs=Schema([posters]), outputs=Schema([genres])),
        # Given, since MLflow would load the model in a process of its own to find them out.
        pip_requirements=[f"{name}=={sys.modules[name].__version__}" for name in packages if name in sys.modules],
        metadata=predictor.about(models),
    )


def _log_evaluation(reports: Path) -> None:
    metrics = files.read_json(reports / "metrics.json", "`dvc repro evaluate`")
    logged = _active().data.metrics
    fresh = {f"test.{name}": float(value) for name, value in metrics.items() if logged.get(f"test.{name}") != value}
    mlflow.log_metrics(fresh)
    mlflow.log_artifacts(str(reports), "reports")


def _log_params(about: dict[str, Any]) -> None:
    """What made the model, and of the sections that did not, what params.yaml says now."""
    sections = {name: value for name, value in params.read().items() if name in ("scrape", "evaluate")}
    flat = list(_flattened(sections | about["params"]))
    for start in range(0, len(flat), BATCH):
        mlflow.log_params(dict(flat[start : start + BATCH]))


def _flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flattened(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _facts() -> dict[str, str]:
    """Where a run comes from: code, data, machine."""
    facts = {
        "postergenre.host": socket.gethostname(),
        "system.platform": platform.platform(),
        "system.python": platform.python_version(),
        "system.cpus": str(os.cpu_count()),
        "system.keras": f"{keras.__version__} on {keras.backend.backend()}",
        "system.gpus": ", ".join(keras.distribution.list_devices("gpu")) or "none",
        "git.commit": _git("rev-parse", "HEAD"),
        "git.branch": _git("rev-parse", "--abbrev-ref", "HEAD"),
        "git.dirty": str(bool(_git("status", "--porcelain"))).lower(),
    }
    facts |= {name: os.environ[name] for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV") if name in os.environ}
    if Path("dvc.lock").exists():
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        outs = [out for name, stage in stages.items() if name not in ("train", "evaluate") for out in stage["outs"]]
        facts |= {f"dvc.{out['path']}": out["md5"] for out in outs}
    return facts


def _git(*command: str) -> str:
    """What git says; "" outside a repository."""
    try:
        return subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout.strip()
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


def _exists(run_id: str) -> bool:
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
        f"warning: MLflow at {mlflow.get_tracking_uri()} failed ({_first_line(error)}); "
        "this run is not tracked further, `postergenre track` logs it later",
        file=sys.stderr,
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
