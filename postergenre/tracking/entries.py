"""What stages and commands write into the spool: a training's params, epochs and model, and an evaluation's figures."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postergenre import files, params
from postergenre.dvc_project import lockfile
from postergenre.networks import model_folder
from postergenre.tracking import provenance, spool
from postergenre.tracking.spool import Entry, Record

PATIENCE = 10  # seconds to wait for another process that delivers the entry that we want to go on with
STAGE = "evaluate"  # also its section of params.yaml
PARAM_PREFIX = f"{STAGE}."  # how the params of an evaluation begin


def for_training(about: dict[str, Any], key: str | None, uri: str) -> Entry:
    """The entry of a training that starts now, or with `key` goes on.

    about: what run.json will hold.
    uri: MLflow's, without a password.
    """
    folder = spool_folder()
    try:
        entry = spool.open_entry(folder, key, PATIENCE) if key else None
    except spool.HeldError:  # by a slow replay, for which no training waits
        key = entry = None
    if entry is None:
        entry = spool.create(folder, _record(about, key or spool.new_key(), uri))
    with entry.change() as record:
        record.status, record.end = spool.RUNNING, None
        record.tags |= provenance.tags()
    return entry


def for_model(about: dict[str, Any], models: Path, uri: str) -> Entry:
    """The entry of a finished training: what MLflow has not yet of it, else one that is made from the models folder.

    Raises:
        HeldError: another process is at work on it.
    """
    folder = spool_folder()
    entry = spool.open_model(folder, about["model"], PATIENCE)
    if entry is None:
        entry = spool.create(folder, _record(about, spool.new_key(), uri))
        try:
            with entry.change() as record:
                record.trained_before, record.tags = True, provenance.tags()
            _add_model(entry, models)
            end(entry, "FINISHED")
        except BaseException:
            entry.remove()
            raise
    return entry


def spool_folder() -> Path:
    """Where the project around here keeps its spool."""
    return files.project_root(Path.cwd()) / spool.FOLDER


def add_epochs(entry: Entry, epochs: dict[int, dict[str, float]]) -> None:
    """Add metrics by epoch, counted from 1; an epoch that is there already stays as it is."""
    with entry.change() as record:
        known = {epoch["epoch"] for epoch in record.epochs}
        for number in sorted({*epochs} - known):
            record.epochs.append({"epoch": number, "time": spool.now(), "metrics": epochs[number]})


def add_training(entry: Entry, models: Path) -> None:
    """Add a finished training: its dvc.lock, model and epochs."""
    add_lineage(entry)
    _add_model(entry, models)


def add_evaluation(entry: Entry, reports: Path, section: Any) -> None:
    """Add an evaluation. section: the params that the reports were made with."""
    metrics = files.read_json(reports / "metrics.json", "`dvc repro evaluate`")
    crawl = reports / "scrape.json"  # not there where the evaluation alone was pulled
    statuses = files.read_json(crawl, "`dvc repro scrape`")["status"] if crawl.exists() else {}
    entry.add_folder("reports", reports, link=False)
    add_lineage(entry)
    figures = {f"test.{name}": float(value) for name, value in metrics.items()}
    figures |= {f"scrape.{status}": float(count) for status, count in statuses.items()}
    with entry.change() as record:
        record.params = {name: value for name, value in record.params.items() if not name.startswith(PARAM_PREFIX)}
        record.params |= _flatten({STAGE: section} if section else {})
        record.evaluation = {"time": spool.now(), "metrics": figures, "tags": provenance.output_hashes("train")}


def add_lineage(entry: Entry) -> None:
    """Add params.yaml and dvc.lock, from which `postergenre checkout` restores the run.

    While a stage runs, dvc.lock is as it will be after it.
    """
    try:
        locked = lockfile.predict()
    except Exception as error:  # of DVC's, which must not cost a figure
        print(
            f"warning: {lockfile.FILE} of this run could not be computed ({error}); "
            "`postergenre checkout` will not know this run",
            file=sys.stderr,
        )
        return
    if locked:
        entry.add_file(params.FILE)
        with files.atomic_write(entry.folder / lockfile.FILE) as new:
            new.write_text(locked, encoding="utf-8")


def end(entry: Entry, status: str) -> None:
    """Set the status and the time of the end; of a training that has ended before, both stay."""
    with entry.change() as record:
        if record.end is None:
            record.status, record.end = status, spool.now()


def _record(about: dict[str, Any], key: str, uri: str) -> Record:
    sections = {name: section for name, section in params.read().items() if name == "scrape"} | about["params"]
    return Record(key, about["params"]["train"]["network"], spool.now(), about, _flatten(sections), uri=uri)


def _add_model(entry: Entry, models: Path) -> None:
    entry.add_folder("models", models, link=True)
    rows = model_folder.read_history(models).to_dict("records")
    add_epochs(entry, {int(row.pop("epoch")): {str(k): float(v) for k, v in row.items()} for row in rows})
    about = model_folder.read_run(models)
    with entry.change() as record:
        record.about, record.model = about, about["model"]


def _flatten(sections: dict[str, Any]) -> dict[str, str]:
    """Nested params as MLflow has them: `network.blocks.0.kind`."""
    return {name: str(value) for name, value in _leaves(sections)}


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value
