"""Sending to MLflow what it missed: what waits in the spool, and the model in models/."""

from collections.abc import Iterator
from pathlib import Path

import filelock

from postergenre import files, params
from postergenre.dvc_project import lockfile
from postergenre.errors import InputError
from postergenre.networks import model_folder
from postergenre.tracking import delivery, entries, mlflow_errors, mlflow_store, spool
from postergenre.tracking.spool import Record


def track(models: Path, reports: Path) -> Record:
    """Log a finished training, and its evaluation if there is one, after the fact.

    Raises:
        InputError: there is no training, another process is delivering it, or the server does not answer.
    """
    about = model_folder.read_run(models)
    mlflow_store.choose_store(files.project_root(Path.cwd()))
    try:
        entry = entries.for_model(about, models, mlflow_errors.store_name())
    except OSError as error:
        why = mlflow_errors.reason(error)
        raise InputError(f"nothing was tracked: {spool.FOLDER} could not be written ({why})") from None
    try:
        # Outdated reports are of the model before.
        if (reports / "metrics.json").exists() and not lockfile.is_outdated(entries.STAGE):
            section = lockfile.read_params(entries.STAGE) or params.read().get(entries.STAGE)
            entries.add_evaluation(entry, reports, section)
        else:
            entries.add_lineage(entry)
        delivery.deliver(entry)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"nothing was tracked, or not all: {mlflow_errors.describe(error)}; {spool.WAITING}") from None
    finally:
        entry.close()
    return entry.record


def deliver_waiting() -> Iterator[str]:
    """Deliver what waits in the spool, the oldest run first; yields a line for each run that has arrived.

    Raises:
        InputError: this is no project's folder, the server failed, or an entry is broken. What arrived before has left
            the spool.
    """
    mlflow_store.choose_store(files.project_root(Path.cwd()))
    folder, failures = _existing_spool(files.project_root(Path.cwd())), []
    if not spool.keys(folder):
        return
    with filelock.FileLock(folder / "replay.lock"):  # a second replay waits, and then delivers what is left
        for key in spool.keys(folder):
            try:
                yield from _deliver(folder, key)
            except Exception as error:
                failures.append(str(error) if isinstance(error, InputError) else mlflow_errors.describe(error))
                if mlflow_errors.is_unreachable(error):
                    break
    if failures:
        raise InputError(f"{failures[0]}; runs that wait in {spool.FOLDER}: {len(spool.keys(folder))}")


def deliver_killed() -> None:
    """Deliver the runs whose processes were killed."""
    for entry in spool.open_killed(entries.spool_folder()):
        try:
            if not _needs_server(entry.record):
                delivery.deliver(entry)
        finally:
            entry.close()


def _existing_spool(project: Path) -> Path:
    """The project's spool, which may not exist yet."""
    folder = project / spool.FOLDER
    if not any((project / name).exists() for name in (params.FILE, ".dvc")):
        raise InputError(f"{project} has no {params.FILE} and no .dvc; run this in the project's folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; it should be a folder, which a training makes")
    return folder


def _deliver(folder: Path, key: str) -> Iterator[str]:
    try:
        entry = spool.open_entry(folder, key)
    except spool.HeldError:
        yield f"run {key} belongs to another process that is running; it was left alone"
        return
    if entry is None:
        return
    record = entry.record
    try:
        if _needs_server(record):
            raise InputError(
                f"run {key} waits for MLflow at {record.uri}; MLFLOW_TRACKING_URI should name a server, that one "
                f"or another; to give the run up, delete {spool.FOLDER}/{key}: `postergenre track` logs models/ alone"
            )
        delivery.deliver(entry)
    finally:
        entry.close()
    parts = [f"run {record.id}: {record.name}", record.status, f"epochs: {len(record.epochs)}"]
    parts += ["the model"] * bool(record.model) + ["the test metrics"] * bool(record.evaluation)
    yield ", ".join(parts)


def _needs_server(record: Record) -> bool:
    """Whether a run was meant for a server and no server is named now: it must not go into the project's own store."""
    return record.uri.startswith("http") and not mlflow_errors.store_name().startswith("http")
