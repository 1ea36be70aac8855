"""Where runs are kept, in the project's own store or on a server: how it is chosen and asked, and how it fails."""

import logging
import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# No retries, for a run that is created twice is two, and seconds of patience: with MLflow's own values a dead server
# holds up a command for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import filelock
import mlflow

from postergenre.errors import InputError
from postergenre.networks import model_folder

EXPERIMENT = "poster-genres"
# The default store, in the project's folder.
STORE = "mlflow.db"
# The tag by which a model finds its run: run ids would make two identical trainings differ. It is set last, so a run
# that has it is complete.
MODEL = "postergenre.model"
PATIENCE = 60  # seconds to wait for another process that makes the store
UNREACHABLE = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)


@contextmanager
def asking(purpose: str) -> Iterator[mlflow.MlflowClient]:
    """What a command asks of runs that must be there.

    purpose: what the sentence begins with in which a failure of MLflow's ends.

    Raises:
        InputError: there is no store here and no server, or it fails.
    """
    choose_filled_store(project_root(Path.cwd()), purpose)
    try:
        yield mlflow.MlflowClient()
    except InputError:
        raise
    except Exception as error:  # those of its database MLflow lets through as they are
        raise InputError(f"{purpose}: {failed(error)}") from None


def run_of(models: Path) -> str:
    """The run of the model in a folder, the newest where it has several.

    Raises:
        InputError: the folder holds no model, or MLflow no run of it.
    """
    run = latest_of(model_folder.read_run(models)["model"])
    if run is None:
        raise InputError(
            f"MLflow at {named()} has no finished training of the model in {models}; `postergenre track` logs it"
        )
    return str(run.info.run_id)


def finished(run_id: str) -> Any:
    """A run that finished and holds a model of this project.

    Raises:
        InputError: there is no such run, or it is another kind of run.
    """
    if not exists(run_id):
        raise InputError(f"MLflow at {named()} has no run {run_id}, or it was deleted; `make mlflow` shows them all")
    run = mlflow.get_run(run_id)
    if run.info.status != "FINISHED":
        raise InputError(f"run {run_id} is {run.info.status}; it should have FINISHED, as `dvc repro` leaves it")
    if MODEL not in run.data.tags:
        raise InputError(f"run {run_id} holds no model of this project; a run of `dvc repro` does")
    return run


def exists(run_id: str) -> bool:
    """Whether MLflow has this run, and nobody deleted it."""
    if not re.fullmatch(r"[a-zA-Z0-9][\w-]{0,255}", run_id, re.ASCII):  # MLflow would answer that no id looks so
        return False
    try:
        return bool(mlflow.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def connect() -> str:
    """Choose the store and in it the experiment, which are made where they are not; the experiment's id."""
    project = project_root(Path.cwd())
    if not choose_store(project):
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)
    # Two processes that both make the tables of a new store break each other.
    with filelock.FileLock(project / f"{STORE}.lock", timeout=PATIENCE):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(project / "mlruns").as_uri())
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)


def choose_filled_store(project: Path, purpose: str) -> None:
    """As `choose_store`, but the project's own must be there; purpose: what the sentence begins with that says so."""
    if choose_store(project) and not (project / STORE).exists():
        raise InputError(
            f"{purpose}: {project} has no {STORE}, which `dvc repro` makes, and MLFLOW_TRACKING_URI names no server"
        )


def choose_store(project: Path) -> bool:
    """Point MLflow to $MLFLOW_TRACKING_URI, else to the project's own store; whether it is the project's."""
    # Failures come as exceptions, which end in one warning of ours; those in the background MLflow would also log.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    default = f"sqlite:///{project / STORE}"
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or default)
    return bool(mlflow.get_tracking_uri() == default)


def project_root(folder: Path) -> Path:
    """`dvc exp run --temp` and `--queue` work in a copy below the project's .dvc/tmp/exps, which they throw away."""
    exps = next((parent for parent in folder.parents if parent.parts[-3:] == (".dvc", "tmp", "exps")), None)
    return exps.parents[2] if exps else folder


def latest_of(model: str) -> Any | None:
    """The newest run of a model, if it has any; model: its hash."""
    return next(iter(runs_of(model)), None)


def runs_of(model: str) -> list[Any]:
    """The runs of a model, the newest first."""
    runs: list[Any] = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{MODEL}` = '{model}'",
        order_by=["start_time DESC"],
        output_format="list",
    )
    return runs


def failed(error: Exception) -> str:
    """A sentence; that something was asked for which is not there is no failure of MLflow's."""
    code = error.error_code if isinstance(error, mlflow.exceptions.MlflowException) else None
    if code == "ENDPOINT_NOT_FOUND":
        return f"{named()} is no MLflow server; MLFLOW_TRACKING_URI should name one"
    return f"MLflow at {named()} {'says' if code == 'RESOURCE_DOES_NOT_EXIST' else 'failed'} ({reason(error)})"


def unreachable(error: BaseException) -> bool:
    """Whether the next call would fail alike."""
    return any(isinstance(cause, UNREACHABLE) for cause in _causes(error))


def is_dropped(error: BaseException) -> bool:
    """Whether it was only this connection: a server that is well may close one that was kept open."""
    return any(isinstance(cause, ConnectionResetError | BrokenPipeError) for cause in _causes(error))


def named() -> str:
    """The server, for people to read."""
    return _without_password(str(mlflow.get_tracking_uri()))


def reason(error: BaseException) -> str:
    """In a few words: of a connection, what the system said about it; else the first line of what it came from."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, UNREACHABLE):
            return cause.strerror or str(cause)
        if isinstance(cause, mlflow.exceptions.MlflowException) and cause.get_http_status_code() == 401:
            return "401: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD name no account there"
    return _without_password(str(causes[-1]).strip().split("\n")[0][:200]) or type(causes[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause:
        yield cause
        within = next((part for part in cause.args if isinstance(part, BaseException)), None)  # as urllib3 wraps it
        cause = cause.__cause__ or cause.__context__ or within


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)
