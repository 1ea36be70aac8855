"""Telling MLflow what an entry of the spool says, at once or in a thread of its own, and never anything twice."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
from mlflow.models import Model, ModelSignature
from mlflow.tracking.context import registry as context_registry
from mlflow.types import Schema, TensorSpec

from postergenre import params
from postergenre.dvc_project import lockfile
from postergenre.networks import model_folder
from postergenre.tracking import mlflow_store, provenance, spool
from postergenre.tracking.spool import Entry

# The tag by which an entry of the spool finds its run, also where nobody heard that it was created.
KEY = "postergenre.spool"
LOGGED_LATE = "postergenre.logged_late"
# What made a run, which it shows beside the small files of models/; the large ones are in the model that MLflow keeps.
LINEAGE = (str(params.FILE), lockfile.FILE)
JUDGING = "evaluate."  # how the params of an evaluation begin
BATCH = 100  # params, tags or metrics in one request; servers refuse more
GRACE = 1.0  # seconds that a run's end waits for a call that succeeds, where the last one failed
SLOW = 2.0  # seconds that a server may take for one thing


def facts() -> dict[str, str]:
    """The tags of a new run."""
    return {**context_registry.resolve_tags(), **provenance.facts()}


class Worker:
    """Keeps MLflow up to date with an entry, in a thread of its own, once woken; the next success forgets a failure."""

    def __init__(self, entry: Entry, afterwards: Callable[[], None]):
        """afterwards: what else to do, once, when the first calls have succeeded."""
        self._delivery, self._afterwards = Delivery(entry), [afterwards]
        self._error: Exception | None = None  # the first since calls last succeeded
        self._since = 0.0  # when the last one was
        self._began: float | None = None  # when MLflow was last asked for something, None when nothing is left to ask
        self._slow = False  # whether the last answer was long in coming
        self._ending, self._abandoned = False, False
        self._woken, self._over = threading.Event(), threading.Event()
        # A daemon, for a process that ends does not wait for a server that hangs.
        threading.Thread(target=self._work, name="tracking", daemon=True).start()

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    def finish(self, seconds: float, if_slow: float) -> Exception | None:
        """Wait until all has arrived, only as long as calls succeed; what failed.

        seconds: no longer than these. if_slow: no longer than these for a server that takes more than `SLOW`.
        """
        self._ending = True
        self.wake()
        started = time.monotonic()
        try:
            while not self._over.wait(0.02):
                now = time.monotonic()
                if self._error and now - max(started, self._since) > GRACE:
                    return self._error
                if now - started > (if_slow if self._slow or self._is_slow(now) else seconds):
                    return TimeoutError(f"it had not heard all after {now - started:.0f} seconds")
            return self._error
        finally:
            # A process that ends while a thread of it is in Keras aborts.
            with self._delivery.saving:
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

    def _is_slow(self, now: float) -> bool:
        """Whether the server takes its time, and it is not Keras that does."""
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
    """Tells MLflow what an entry says, as often as it is asked to; what MLflow has already is not sent again."""

    def __init__(self, entry: Entry):
        self._entry, self._record = entry, entry.record
        self._run: Any = None  # as MLflow had it when we last looked; None where we have to look
        self._known: set[tuple[str, int]] = set()  # metric and epoch
        self._judged: dict[str, Any] | None = None  # what was sent of the evaluation
        self._anew: Delivery | None = None  # of an evaluation that our run has no place for
        self.saving = threading.Lock()  # held while Keras is at work

    def steps(self) -> Iterator[None]:
        """Does one thing after another, and yields between them. After a failure the next one looks anew."""
        record = self._record
        try:
            if self._run is None:
                self._find()
                yield
            trained = record.model is not None and self._run.data.tags.get(mlflow_store.MODEL) == record.model
            if not (record.afterwards and trained):
                yield from self._describe()
                yield from self._send_epochs()
            if record.model and not trained:
                yield from self._send_training(record.model)
            if record.judged and record.judged is not self._judged:
                yield from self._send_evaluation(record.judged)
            if self._anew:
                yield from self._anew.steps()
                self._anew._entry.remove()
                self._anew = None
            if record.status != spool.RUNNING:
                yield from self._end()
        except Exception:
            self._run = self._judged = None
            raise

    def finish(self) -> None:
        """All of the steps."""
        for _ in self.steps():
            pass

    def _find(self) -> None:
        """The run by its key, else where it was trained before by its model; else a new one.

        Of a model's runs it is the newest that was not judged, or as we have it: what others judged stays as it is.
        """
        record, client = self._record, mlflow.MlflowClient()
        experiment = mlflow_store.connect()
        runs = self._found(experiment)
        if not runs and record.afterwards and record.model:
            runs = [run for run in mlflow_store.runs_of(record.model) if not self._differs(run)]
        if not runs:
            made = {LOGGED_LATE: "true"} if record.afterwards else {}
            tags = record.tags | made | {KEY: record.key}
            runs = [client.create_run(experiment, record.start, tags, record.name)]
            with self._entry.change():
                record.logged_late = record.afterwards
        run_id = runs[0].info.run_id
        if record.status == spool.RUNNING:
            client.update_run(run_id, spool.RUNNING)
        with self._entry.change():
            record.id = run_id
        self._run = client.get_run(run_id)
        self._known = {
            (name, metric.step)
            for name in self._run.data.metrics  # all, for what is told later may be of epochs that arrived long ago
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
            params=self._missing_params(judging=False),
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
        for name in model_folder.SMALL:
            client.log_artifact(run_id, str(self._entry.folder / "models" / name), "models")
            yield
        yield from self._send_lineage()
        yield from self._send_model()
        # Last, so that a run that has it is complete.
        yield from self._log(
            tags=[
                RunTag("postergenre.weights", str(self._record.about["weights"])),
                RunTag(mlflow_store.MODEL, model),
            ]
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
        given = [(name, value) for name, value in self._record.params.items() if not name.startswith(JUDGING)]
        found = self._models() or [
            client.create_logged_model(self._run.info.experiment_id, "model", run_id, params=dict(given[:BATCH]))
        ]
        with tempfile.TemporaryDirectory() as scratch:
            with self.saving:
                yield  # to whoever gives up, who shall do so before this or after it
                _save_model(self._entry.folder / "models", Path(scratch, "model"), found[0], self._run)
                yield
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
        client, run_id, run = mlflow.MlflowClient(), self._run.info.run_id, self._run
        if self._differs(run):
            self._anew = Delivery(spool.forked(self._entry))
            self._anew.saving = self.saving
            with self._entry.change() as record:
                record.judged = None
            return
        if not _verdict(run.data.metrics, run.data.params):
            yield from self._send_lineage()
            client.log_artifacts(run_id, str(self._entry.folder / "reports"), "reports")
            yield
            # Last and at once, so that a run that has test metrics has all of an evaluation.
            metrics = [Metric(name, value, judged["time"], 0) for name, value in judged["metrics"].items()]
            tags = [RunTag(name, value) for name, value in judged["tags"].items()]
            client.log_batch(run_id, metrics, self._missing_params(judging=True), tags)
            self._look()
        self._judged = judged
        yield

    def _differs(self, run: Any) -> bool:
        """Whether a run was judged, and otherwise than we have it."""
        judged, held = self._record.judged, _verdict(run.data.metrics, run.data.params)
        return bool(judged and held and held != _verdict(judged["metrics"], self._record.params))

    def _missing_params(self, judging: bool) -> list[Param]:
        """Those that the run lacks, either of the evaluation or all others."""
        return [
            Param(name, value)
            for name, value in self._record.params.items()
            if name not in self._run.data.params and name.startswith(JUDGING) == judging
        ]

    def _end(self) -> Iterator[None]:
        client, run_id = mlflow.MlflowClient(), self._run.info.run_id
        if not (self._record.afterwards and self._run.info.status == self._record.status):
            client.set_terminated(run_id, self._record.status, self._record.end)
            yield
        twins = [run.info.run_id for run in self._found(self._run.info.experiment_id) if run.info.run_id != run_id]
        models = [model.model_id for model in self._models()[1:] if model.status != "READY"]
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


def _verdict(metrics: dict[str, float], params: dict[str, str]) -> dict[str, str]:
    """By what one evaluation is told from another, empty where there was none."""
    tested = {name: str(value) for name, value in metrics.items() if name.startswith("test.")}
    judging = {name: value for name, value in params.items() if name.startswith(JUDGING)}
    return tested | judging if tested else {}


def _posters(data: dict[str, Any]) -> DatasetInput:
    """The posters that were trained on."""
    source = CodeDatasetSource({"store": data["store"], "dataset": data["dataset"]})
    tags = {"mlflow.data.context": "training"} | {name: str(count) for name, count in data["posters"].items()}
    dataset = MetaDataset(source, "posters", data["dataset"][:32])
    return DatasetInput(dataset._to_mlflow_entity(), [InputTag(name, value) for name, value in tags.items()])


def _save_model(models: Path, folder: Path, logged: Any, run: Any) -> None:
    """The model in `models` as MLflow keeps it. logged: what MLflow knows of it so far."""
    model = model_folder.load_keras(models)
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
            metadata=model_folder.read_metadata(models),
        ),
        signature=ModelSignature(inputs=Schema([posters]), outputs=Schema([genres])),
        # Given, since MLflow would load the model in a process of its own to find them out.
        pip_requirements=[f"{name}=={run.data.tags[f'system.{name}']}" for name in names],
    )
