"""Runs in MLflow, as the stages see them: a stage gives to a run and takes nothing back.

A run is written to the spool first, and a background thread sends it; training never waits. Whatever goes wrong there
costs one warning. What MLflow lacks stays in the spool, and `postergenre track --replay` delivers it.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postergenre import files, params
from postergenre.errors import Terminated
from postergenre.networks import model_folder
from postergenre.tracking import entries, mlflow_settings, spool
from postergenre.tracking.spool import Entry

# MLflow is imported in functions here, for its settings come first.
if TYPE_CHECKING:
    from postergenre.tracking.delivery import Worker

# How long the end of a run waits for a server that answers: this share of the run's time, and at least these seconds
# for one that is not slow.
SHARE, LEAST = 0.05, 60.0
KEY_FILE = "tracked-run.json"  # in a training's own folder: the run that a later process goes on with


class Run:
    """One run, or none where the spool could not be written. Nothing here waits for a server until the run ends.

    Attributes, for people and tests; a stage uses none of them:
        key: our own name for the run.
        id: MLflow's id, None until it has given one.
        logged_late: the run was created after the fact, because MLflow had none of this model.
    """

    def __init__(self, entry: Entry | None, worker: "Worker | None" = None, own: bool = False):
        """own: the run goes to the project's own store, which is no server: its end waits as long as it takes."""
        self._entry, self._worker, self._own = entry, worker, own
        self._started = time.monotonic()
        self._failure: Exception | None = None

    @property
    def key(self) -> str | None:
        return self._entry.record.key if self._entry else None

    @property
    def id(self) -> str | None:
        return self._entry.record.id if self._entry else None

    @property
    def logged_late(self) -> bool:
        return self._entry is not None and self._entry.record.logged_late

    def log_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """Log the metrics of a finished epoch, counted from 1."""
        self._write(lambda entry: entries.add_epochs(entry, {epoch: metrics}))

    def log_training(self, models: Path) -> None:
        """Log a finished training: the model, its files and the epochs that are missing. A second call adds nothing."""
        self._write(lambda entry: entries.add_training(entry, models))

    def log_evaluation(self, reports: Path) -> None:
        """Log test metrics and the report. Where the run holds other ones, these go to a run of their own."""
        self._write(lambda entry: entries.add_evaluation(entry, reports, params.read().get(entries.STAGE)))

    def keep_key(self, folder: Path) -> None:
        """Note the run's key in a folder, where `training_run` finds it."""
        self._write(lambda entry: files.write_json(folder / KEY_FILE, {"key": entry.record.key}))

    def end(self, status: str) -> None:
        """Set the status, and wait as long as things arrive.

        What does not arrive stays in the spool, and costs a warning.
        """
        if self._entry is None or self._worker is None:
            return
        try:
            self._write(lambda entry: entries.end(entry, status))
            share = SHARE * (time.monotonic() - self._started)
            failure = self._worker.finish(*((math.inf, math.inf) if self._own else (max(LEAST, share), share)))
            if failure:
                from postergenre.tracking import mlflow_errors

                _warn(f"{mlflow_errors.describe(failure)}; {spool.WAITING}")
            else:
                self._entry.remove()
        except OSError as error:
            self._failure = error
        finally:
            self._entry.close()
        if self._failure:
            _warn_unwritten(self._failure)

    def _write(self, change: Callable[[Entry], None]) -> None:
        """Change the entry and wake the worker. A failure never reaches the training."""
        if self._entry is None or self._worker is None:
            return
        try:
            change(self._entry)
        except Exception as error:
            self._failure = error
        self._worker.wake()


@contextmanager
def training_run(about: dict[str, Any], folder: Path) -> Iterator[Run]:
    """A run for a training. A training that was interrupted goes on in the same run.

    The run ends FINISHED, FAILED after an exception, or KILLED after Ctrl-C or SIGTERM. After a SIGKILL the next
    training in this project sets the status.

    about: what run.json will hold.
    folder: the training's own, which outlives an interruption, and has a small file of ours.
    """
    run = _start(lambda uri: entries.for_training(about, _kept_key(folder), uri), _deliver_killed)
    run.keep_key(folder)
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
    """The run of the model in a folder. MLflow may have none, where DVC restored the training; then it gets a new one.

    Raises:
        InputError: the folder holds no model.
    """
    about = model_folder.read_run(models)
    # Nothing is sent before the metrics are known: they decide which run the evaluation belongs to.
    run = _start(lambda uri: entries.for_model(about, models, uri), lambda: None)
    try:
        yield run
    finally:
        run.end("FINISHED")


def _start(make_entry: Callable[[str], Entry], afterwards: Callable[[], None]) -> Run:
    """A run whose entry `make_entry` makes, given MLflow's URI; a run that does nothing where it cannot."""
    mlflow_settings.configure(mlflow_settings.STAGE_TIMEOUT)
    from postergenre.tracking import delivery, mlflow_errors, mlflow_store

    try:
        own = mlflow_store.choose_store(files.project_root(Path.cwd()))
        entry = make_entry(mlflow_errors.store_name())
    except spool.HeldError as error:
        _warn(str(error))
        return Run(None)
    except Exception as error:
        _warn_unwritten(error)
        return Run(None)
    if own:
        # Create tables first, so that a kill cannot leave them half-made. Where this fails, the worker fails too, and
        # the run's end reports it.
        with suppress(Exception):
            mlflow_store.connect()
    return Run(entry, delivery.Worker(entry, afterwards), own)


def _kept_key(folder: Path) -> str | None:
    """The key that an earlier process noted in a folder; None without one that can be read."""
    try:
        return str(json.loads((folder / KEY_FILE).read_text(encoding="utf-8"))["key"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _deliver_killed() -> None:
    from postergenre.tracking import replay

    replay.deliver_killed()


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _warn_unwritten(error: Exception) -> None:
    from postergenre.tracking import mlflow_errors

    reason = mlflow_errors.reason(error)
    fault = f"{spool.FOLDER} could not be written" if isinstance(error, OSError) else "this run could not be logged"
    _warn(f"{fault} ({reason}); `postergenre track` logs it later")
