"""Where runs are kept: on the server that MLFLOW_TRACKING_URI names, else in the project's own mlflow.db."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import mlflow

from postergenre import files
from postergenre.errors import InputError
from postergenre.tracking import mlflow_errors

EXPERIMENT = "poster-genres"
STORE = "mlflow.db"  # in the project's folder
PATIENCE = 60  # seconds to wait for another process that creates the store


@contextmanager
def client_for(purpose: str) -> Iterator[mlflow.MlflowClient]:
    """A client for a command that reads runs.

    purpose: how the message of a failure begins, such as "nothing was promoted".

    Raises:
        InputError: there is no server and no store here, or a call in the block fails.
    """
    require_store(files.project_root(Path.cwd()), purpose)
    try:
        yield mlflow.MlflowClient()
    except InputError:
        raise
    except Exception as error:  # MLflow passes its database's exceptions on as they are
        raise InputError(f"{purpose}: {mlflow_errors.describe(error)}") from None


def connect() -> str:
    """Choose the store and the experiment, create what is missing of them, and return the experiment's id."""
    project = files.project_root(Path.cwd())
    if not choose_store(project):
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)
    # Two processes that both create the tables of a new store break each other.
    with filelock.FileLock(project / f"{STORE}.lock", timeout=PATIENCE):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(project / "mlruns").as_uri())
        return str(mlflow.set_experiment(EXPERIMENT).experiment_id)


def require_store(project: Path, purpose: str) -> None:
    """Choose the store as `choose_store` does, and refuse a project that has none yet.

    purpose: how the message begins.
    """
    if choose_store(project) and not (project / STORE).exists():
        raise InputError(
            f"{purpose}: {project} has no {STORE}, which `dvc repro` creates, and MLFLOW_TRACKING_URI names no server"
        )


def choose_store(project: Path) -> bool:
    """Point MLflow to $MLFLOW_TRACKING_URI, else to the project's own store; returns whether it is the project's."""
    default = f"sqlite:///{project / STORE}"
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or default)
    return bool(mlflow.get_tracking_uri() == default)
