"""Sending an entry of the spool to MLflow, at once or in a background thread. What MLflow has is not sent again."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag

from postergenre import params
from postergenre.dvc_project import lockfile
from postergenre.networks import model_folder
from postergenre.tracking import mlflow_errors, mlflow_store, run_queries, saved_models, spool
from postergenre.tracking.entries import PARAM_PREFIX
from postergenre.tracking.spool import Entry

# The tag that holds an entry's key, by which a run is found even where the answer to its creation was lost.
KEY_TAG = "postergenre.spool"
LATE_TAG = "postergenre.logged_late"
WEIGHTS_TAG = "postergenre.weights"
# What a run shows beside the small files of models/, so that it can be restored; the weights are in the logged model.
LINEAGE = (str(params.FILE), lockfile.FILE)
BATCH = 100  # params, tags or metrics in one request; servers refuse more
GRACE = 1.0  # seconds that a run's end waits for a call that succeeds, where the last one failed
SLOW = 2.0  # seconds; a server that takes longer for one call is slow


class Worker:
    """A background thread that keeps MLflow up to date with an entry.

    It starts to work with the first `wake`. A call that succeeds clears the failures before it.
    """

    def __init__(self, entry: Entry, afterwards: Callable[[], None]):
        """afterwards: called once, when all that the entry held at first has been sent."""
        self._delivery, self._afterwards = Delivery(entry), [afterwards]
        self._error: Exception | None = None  # the first since a call last succeeded
        self._since = 0.0  # when the last failure was
        self._began: float | None = None  # when the present call began; None between calls
        self._slow = False  # whether the last call took longer than SLOW
        self._ending, self._abandoned = False, False
        self._woken, self._over = threading.Event(), threading.Event()
        # A daemon, so that a process that ends does not wait for a server that hangs.
        threading.Thread(target=self._work, name="tracking", daemon=True).start()

    def wake(self) -> None:
        """The entry has something new to send."""
        self._woken.set()

    def finish(self, seconds: float, if_slow: float) -> Exception | None:
        """Wait until all is sent, but only as long as calls succeed; returns the failure, if there is one.

        seconds: how long to wait at most.
        if_slow: the same for a server that takes more than `SLOW` seconds for a call, and no less than `GRACE`.
        """
        self._ending, if_slow = True, max(GRACE, if_slow)
        self.wake()
        started = time.monotonic()
        try:
            while not self._over.wait(0.02):
                now = time.monotonic()
                if self._error and now - max(started, self._since) > GRACE:
                    return self._error
                if now - started > (if_slow if self._slow or self._is_slow(now) else seconds):
                    return TimeoutError(f"not everything was sent after {now - started:.0f} seconds")
            return self._error
        finally:
            # A process that ends while one of its threads is in Keras aborts.
            with self._delivery.saving:
                self._abandoned = True

    def _work(self) -> None:
        while not self._over.is_set():
            self._woken.wait()
            self._woken.clear()
            ending = self._ending  # read before the work, so that the last round sends all that was written
            # A second try at once, since a healthy server may close a connection that was kept open.
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

    def _is_slow(self, now: float) -> bool:
        """Whether the present call is slow because of the server, and not because Keras saves a model."""
        return self._began is not None and now - self._began > SLOW and not self._delivery.saving.locked()

    def _deliver(self) -> None:
        self._began = time.monotonic()
        for _ in self._delivery.steps():
            now = time.monotonic()
            self._error, self._slow, self._began = None, self._is_slow(now), now
            if self._abandoned:
                return
        self._began = None
        while self._afterwards:
            self._afterwards.pop()()


class Delivery:
    """Sends an entry to MLflow, step by step. It may be run again at any time: what MLflow has is not sent again."""

    def __init__(self, entry: Entry):
        self._entry, self._record = entry, entry.record
        self._run: Any = None  # MLflow's run when it was last read; None where it has to be read
        self._known: set[tuple[str, int]] = set()  # (metric, epoch) that MLflow has
        self._evaluation: dict[str, Any] | None = None  # the one that was sent
        self._other: Delivery | None = None  # for an evaluation that gets a run of its own
        self.saving = threading.Lock()  # held while Keras saves the model

    def steps(self) -> Iterator[None]:
        """Send one thing after another, and yield between them. After a failure the next call reads the run again."""
        record = self._record
        try:
            if self._run is None:
                self._find()
                yield
            trained = record.model is not None and self._run.data.tags.get(run_queries.MODEL_TAG) == record.model
            if not (record.trained_before and trained):
                yield from self._describe()
                yield from self._send_epochs()
            if record.model and not trained:
                yield from self._send_training(record.model)
            if record.evaluation and record.evaluation is not self._evaluation:
                yield from self._send_evaluation(record.evaluation)
            if self._other:
                yield from self._other.steps()
                self._other._entry.remove()
                self._other = None
            if record.status != spool.RUNNING:
                yield from self._end()
        except Exception:
            self._run = self._evaluation = None
            raise

    def finish(self) -> None:
        """Take all steps."""
        for _ in self.steps():
            pass

    def _find(self) -> None:
        """Find the run by its key, else, where the training ended before, by its model; else create it.

        Of a model's runs it is the newest that has no evaluation, or the same. A run with another one stays as it is.
        """
        record, client = self._record, mlflow.MlflowClient()
        experiment = mlflow_store.connect()
        runs = self._runs_with_key(experiment)
        if not runs and record.trained_before and record.model:
            runs = [run for run in run_queries.runs_of(record.model) if not self._has_other_evaluation(run)]
        if not runs:
            late = {LATE_TAG: "true"} if record.trained_before else {}
            tags = record.tags | late | {KEY_TAG: record.key}
            runs = [client.create_run(experiment, record.start, tags, record.name)]
            with self._entry.change():
                record.logged_late = record.trained_before
        run_id = runs[0].info.run_id
        if record.status == spool.RUNNING:
            client.update_run(run_id, spool.RUNNING)
        with self._entry.change():
            record.id = run_id
        self._run = client.get_run(run_id)
        self._known = {
            (name, metric.step)
            for name in self._run.data.metrics  # all of them: a later step may send epochs that arrived long ago
            for metric in client.get_metric_history(run_id, name)
        }

    def _runs_with_key(self, experiment: str) -> list[Any]:
        """The runs with this key, ours first: where an answer was lost, the run may have been created twice."""
        runs = mlflow.MlflowClient().search_runs([experiment], f"tags.`{KEY_TAG}` = '{self._record.key}'")
        return sorted(runs, key=lambda run: (run.info.run_id != self._record.id, run.info.run_id))

    def _describe(self) -> Iterator[None]:
        """Send the missing params, for MLflow lets none change, the tags, and the posters that were trained on."""
        record, run = self._record, self._run
        yield from self._log(
            params=self._missing_params(evaluation=False),
            tags=[RunTag(name, value) for name, value in record.tags.items() if run.data.tags.get(name) != value],
        )
        if not run.inputs or not run.inputs.dataset_inputs:
            mlflow.MlflowClient().log_inputs(run.info.run_id, [_posters(record.about["data"])])
            self._reload()
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
        models = self._entry.folder / "models"
        for name in model_folder.small_files(models):
            client.log_artifact(run_id, str(models / name), ("models" / name.parent).as_posix())
            yield
        yield from self._send_lineage()
        yield from self._send_model()
        weights = RunTag(WEIGHTS_TAG, str(self._record.about["weights"]))
        # The model's tag is the last, so that a run that has it is complete.
        yield from self._log(tags=[weights, RunTag(run_queries.MODEL_TAG, model)])
        self._reload()

    def _send_lineage(self) -> Iterator[None]:
        for file in (self._entry.folder / name for name in LINEAGE):
            if file.exists():
                mlflow.MlflowClient().log_artifact(self._run.info.run_id, str(file))
                yield

    def _send_model(self) -> Iterator[None]:
        """Log the model as MLflow's `log_model` does, but in steps, so that it can be resumed at any of them."""
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        params = [(name, value) for name, value in self._record.params.items() if not name.startswith(PARAM_PREFIX)]
        models = self._models() or [
            client.create_logged_model(self._run.info.experiment_id, "model", run_id, params=dict(params[:BATCH]))
        ]
        model = models[0]
        with tempfile.TemporaryDirectory() as scratch:
            with self.saving:
                yield  # giving up may happen before or after saving, not during
                saved_models.save(self._entry.folder / "models", Path(scratch, "model"), model, self._run)
                yield
            client.log_model_artifacts(model.model_id, str(Path(scratch, "model")))
        yield
        client.finalize_logged_model(model.model_id, "READY")
        self._reload()
        if not self._run.outputs or not self._run.outputs.model_outputs:
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        yield

    def _models(self) -> list[Any]:
        """The run's models, those that it names first: where an answer was lost, one may have been created twice."""
        named = {output.model_id for output in self._run.outputs.model_outputs} if self._run.outputs else set()
        query = f"source_run_id = '{self._run.info.run_id}'"
        models = mlflow.MlflowClient().search_logged_models([self._run.info.experiment_id], query)
        return sorted(models, key=lambda model: (model.model_id not in named, model.model_id))

    def _send_evaluation(self, evaluation: dict[str, Any]) -> Iterator[None]:
        client, run_id, run = mlflow.MlflowClient(), self._run.info.run_id, self._run
        if self._has_other_evaluation(run):
            self._other = Delivery(spool.fork(self._entry))
            self._other.saving = self.saving
            with self._entry.change() as record:
                record.evaluation = None
            return
        if not _fingerprint(run.data.metrics, run.data.params):
            yield from self._send_lineage()
            client.log_artifacts(run_id, str(self._entry.folder / "reports"), "reports")
            yield
            # Last and in one request, so that a run that has test metrics has a complete evaluation.
            metrics = [Metric(name, value, evaluation["time"], 0) for name, value in evaluation["metrics"].items()]
            tags = [RunTag(name, value) for name, value in evaluation["tags"].items()]
            client.log_batch(run_id, metrics, self._missing_params(evaluation=True), tags)
            self._reload()
        self._evaluation = evaluation
        yield

    def _has_other_evaluation(self, run: Any) -> bool:
        """Whether a run holds an evaluation that is not the entry's."""
        ours, theirs = self._record.evaluation, _fingerprint(run.data.metrics, run.data.params)
        return bool(ours and theirs and theirs != _fingerprint(ours["metrics"], self._record.params))

    def _missing_params(self, evaluation: bool) -> list[Param]:
        """The params that the run lacks: those of the evaluation, or all others."""
        return [
            Param(name, value)
            for name, value in self._record.params.items()
            if name not in self._run.data.params and name.startswith(PARAM_PREFIX) == evaluation
        ]

    def _end(self) -> Iterator[None]:
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        if not (self._record.trained_before and self._run.info.status == self._record.status):
            client.set_terminated(run_id, self._record.status, self._record.end)
            yield
        with_key = [run.info.run_id for run in self._runs_with_key(self._run.info.experiment_id)]
        unfinished = [model.model_id for model in self._models()[1:] if model.status != "READY"]
        try:
            for duplicate in with_key:
                if duplicate != run_id:
                    client.set_terminated(duplicate, "KILLED")
                    client.delete_run(duplicate)
            for model in unfinished:
                client.delete_logged_model(model)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "PERMISSION_DENIED":  # only an experiment's managers may delete; these are empty
                raise
        yield

    def _log(
        self, metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[RunTag] = ()
    ) -> Iterator[None]:
        """Send params, metrics and tags in this order, in batches that a server takes."""
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        for kind, values in (("params", params), ("metrics", metrics), ("tags", tags)):
            for start in range(0, len(values), BATCH):
                client.log_batch(run_id, **{kind: values[start : start + BATCH]})
                yield
        if params or tags:
            self._reload()

    def _reload(self) -> None:
        self._run = mlflow.MlflowClient().get_run(self._run.info.run_id)


def deliver(entry: Entry) -> None:
    """Send all of an entry now, and remove it.

    Raises:
        Exception: MLflow's; the entry is still there.
    """
    delivery = Delivery(entry)
    try:
        delivery.finish()
    except Exception as error:
        if not mlflow_errors.is_dropped(error):
            raise
        delivery.finish()
    entry.remove()


def _fingerprint(metrics: dict[str, float], params: dict[str, str]) -> dict[str, str]:
    """What tells two evaluations apart: test metrics and the stage's params. Empty where there was no evaluation."""
    tested = {name: str(value) for name, value in metrics.items() if name.startswith("test.")}
    chosen = {name: value for name, value in params.items() if name.startswith(PARAM_PREFIX)}
    return tested | chosen if tested else {}


def _posters(data: dict[str, Any]) -> DatasetInput:
    """The posters that were trained on, as MLflow describes a dataset."""
    source = CodeDatasetSource({"store": data["store"], "dataset": data["dataset"]})
    tags = {"mlflow.data.context": "training"} | {name: str(count) for name, count in data["posters"].items()}
    dataset = MetaDataset(source, "posters", data["dataset"][:32])
    return DatasetInput(Dataset(**dataset.to_dict()), [InputTag(name, value) for name, value in tags.items()])
