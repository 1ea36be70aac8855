"""Finding runs in MLflow: by id, and by the model that they trained."""

import re
from pathlib import Path
from typing import Any

import mlflow

from postergenre.errors import InputError
from postergenre.networks import model_folder
from postergenre.tracking import mlflow_errors, mlflow_store

# The tag that holds the model's hash, by which a model finds its run: with run ids in models/, two identical trainings
# would differ. It is set last, so a run that has it is complete.
MODEL_TAG = "postergenre.model"


def run_of(models: Path) -> str:
    """The id of the newest run of the model in a folder.

    Raises:
        InputError: the folder holds no model, or MLflow has no run of it.
    """
    runs = runs_of(model_folder.read_run(models)["model"])
    if not runs:
        raise InputError(
            f"MLflow at {mlflow_errors.store_name()} has no finished training of the model in {models}; "
            "`postergenre track` logs it"
        )
    return str(runs[0].info.run_id)


def runs_of(model: str) -> list[Any]:
    """The runs of a model, the newest first. model: its hash."""
    runs: list[Any] = mlflow.search_runs(
        experiment_names=[mlflow_store.EXPERIMENT],
        filter_string=f"tags.`{MODEL_TAG}` = '{model}'",
        order_by=["start_time DESC"],
        output_format="list",
    )
    return runs


def finished_run(run_id: str) -> Any:
    """The run with this id, which must have finished and hold a model of this project.

    Raises:
        InputError: there is no such run, or it is another kind of run.
    """
    if not exists(run_id):
        raise InputError(
            f"MLflow at {mlflow_errors.store_name()} has no run {run_id}, or it was deleted; "
            "`make mlflow` shows all runs"
        )
    run = mlflow.get_run(run_id)
    if run.info.status != "FINISHED":
        raise InputError(f"run {run_id} is {run.info.status}; it should have FINISHED, as `dvc repro` leaves it")
    if MODEL_TAG not in run.data.tags:
        raise InputError(f"run {run_id} holds no model of this project; a run of `dvc repro` does")
    return run


def exists(run_id: str) -> bool:
    """Whether MLflow has this run, and nobody deleted it."""
    if not re.fullmatch(r"[a-zA-Z0-9][\w-]{0,255}", run_id, re.ASCII):  # MLflow would fail with "invalid run id"
        return False
    try:
        return bool(mlflow.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
