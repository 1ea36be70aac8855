"""Models that MLflow keeps: loading one, and the newest evaluated run of each network."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow

from postergenre.errors import InputError
from postergenre.evaluation import comparison
from postergenre.evaluation.comparison import Comparison
from postergenre.prediction import predictor
from postergenre.tracking import delivery, mlflow_errors, mlflow_store, old_names, saved_models

if TYPE_CHECKING:
    from postergenre.networks.backend import keras


@dataclass(frozen=True)
class EvaluatedRun:
    """A run that was trained and evaluated.

    run_id: MLflow's.
    weights: how many the network has.
    seconds: from its start to its last epoch, pauses included.
    comparison: of its model with the baselines.
    """

    run_id: str
    weights: int
    seconds: float
    comparison: Comparison


def newest(dataset: str) -> dict[str, EvaluatedRun]:
    """By network, the newest evaluated run on a dataset. dataset: DVC's MD5 of data/dataset.

    Runs that were logged after the fact are left out, for they know no times.
    """
    mlflow_store.connect()
    query = f"tags.`dvc.data/dataset` = '{dataset}' AND attributes.status = 'FINISHED' AND metrics.`test.map` > 0"
    runs = mlflow.search_runs(filter_string=query, order_by=["start_time DESC"], output_format="list")
    by_network: dict[str, EvaluatedRun] = {}
    for run in runs:
        network = run.data.params["train.network"]
        if network not in by_network and not {delivery.LATE_TAG, old_names.LATE_TAG} & {*run.data.tags}:
            by_network[network] = _read(run)
    return by_network


def load_keras(run_id: str) -> "keras.Model":
    """The Keras model of a run: of a model with text, what it has for pictures."""
    return saved_models.load_keras(f"runs:/{run_id}/model")


def load_predictor(uri: str, project: Path, with_text: bool = True) -> predictor.Predictor:
    """A predictor from `models:/NAME/VERSION`, `models:/NAME@ALIAS` or `runs:/ID/model`.

    with_text: see `predictor.load`.
    project: the folder whose own store is meant where MLFLOW_TRACKING_URI names no server.

    Raises:
        InputError: there is no such model, or it was not logged by this project.
    """
    mlflow_store.require_store(project, f"{uri} cannot be loaded")
    try:
        info = mlflow.models.get_model_info(uri)
        if saved_models.has_text(info):
            with saved_models.downloaded(uri) as models:
                return predictor.load(models, with_text)
        metadata, model = info.metadata, saved_models.load_keras(uri)
    except Exception as error:
        store, reason = mlflow_errors.store_name(), mlflow_errors.reason(error)
        raise InputError(f"{uri} cannot be loaded from {store}: {reason}") from None
    metadata = old_names.translate_metadata(metadata or {})
    if "global_threshold" not in metadata:
        raise InputError(f"{uri} carries no genres and thresholds; it was not logged by this project")
    return predictor.from_keras(model, metadata)


def _read(run: Any) -> EvaluatedRun:
    client, run_id = mlflow.MlflowClient(), run.info.run_id
    last_epoch = max(metric.timestamp for metric in client.get_metric_history(run_id, "val_map"))
    with tempfile.TemporaryDirectory() as folder:
        scores = comparison.read(Path(client.download_artifacts(run_id, "reports/comparison.csv", folder)))
    weights = int(run.data.tags[delivery.WEIGHTS_TAG])
    return EvaluatedRun(run_id, weights, (last_epoch - run.info.start_time) / 1000, scores)
