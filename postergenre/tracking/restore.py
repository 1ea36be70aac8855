"""`postergenre checkout`: the workspace as a run left it, with params.yaml, dvc.lock, reports, data and model.

Code is git's: the report names the run's commit, and what differs here from the code that the run had.
"""

import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postergenre import params
from postergenre.dvc_project import lockfile, objects, project, workspace
from postergenre.dvc_project.workspace import NOTHING, Changes, State
from postergenre.errors import InputError
from postergenre.tracking import mlflow_store, run_queries

PARAMS = str(params.FILE)


@dataclass(frozen=True)
class Restored:
    """What was done.

    run_id: MLflow's.
    tags: the run's.
    state: what the run had left.
    changes: what changed here.
    missing: stages that had not run.
    differing: files that the run's stages depend on, and that differ here: code.
    """

    run_id: str
    tags: dict[str, str]
    state: State
    changes: Changes
    missing: list[str]
    differing: list[str]

    def __str__(self) -> str:
        commit = self.tags.get("git.commit")
        dirty = ", with changes that were not committed" if self.tags.get("git.dirty") == "true" else ""
        outputs = [output.path for output in self.state.outputs if output.path not in self.state.texts]
        lines = [
            f"run     {self.run_id} is restored: {' '.join([*self.state.texts, *outputs])}",
            *(f"        it has no outputs of {stage}; `dvc repro` makes them" for stage in self.missing),
            *(f"        {output.path} is never pushed; `dvc repro` makes it" for output in self.state.absent),
            f"commit  {commit}{dirty}" if commit else "commit  none; the run was made outside of git",
        ]
        if self.differing:
            lines.append(f"        code that differs from the run's: {' '.join(self.differing)}")
        if self.differing and commit:
            again = f"git checkout {commit} && postergenre checkout {self.run_id}"
            lines.append(f"        for the run's code: go back first, then `{again}`")
        return "\n".join([*lines, f"back    {self._way_back()}"])

    def _way_back(self) -> str:
        changes = self.changes
        if not changes.changed:
            replaced = " ".join(changes.replaced)
            return f"dvc.lock was the run's; new is only {replaced}" if replaced else "nothing changed"
        tracked = [name for name in changes.changed if name not in changes.created]
        steps = [f"git checkout {shlex.join(tracked)}"] if tracked else []
        steps += [f"rm {shlex.join(changes.created)}"] if changes.created else []
        return " && ".join([*steps, "dvc checkout"])


class _LoggedFiles:
    """The files of a run. Each folder of the run is listed once."""

    def __init__(self, client: Any, run_id: str, folder: str):
        """folder: where to download to."""
        self.client, self.run_id, self.folder = client, run_id, folder
        self.listed: dict[str, set[str]] = {}

    def __call__(self, path: str) -> bytes | None:
        """The content of a file; None where the run has no such file."""
        parent = str(Path(path).parent)
        if parent not in self.listed:
            artifacts = self.client.list_artifacts(self.run_id, None if parent == "." else parent)
            self.listed[parent] = {artifact.path for artifact in artifacts}
        if path not in self.listed[parent]:
            return None
        return Path(self.client.download_artifacts(self.run_id, path, self.folder)).read_bytes()


def checkout(name: str, models: Path) -> Restored:
    """Restore the workspace of a run in MLflow.

    Args:
        name: the run's id, or models:/NAME@ALIAS or models:/NAME/VERSION.
        models: where the train stage writes.

    Raises:
        InputError: there is no such run; it was not made by `dvc repro`; neither cache nor remote has its outputs; or
            something here would be lost that is in no commit or not in the cache. Then all is as it was.
    """
    with project.quiet():
        workspace.check_here()
        run, state = _find(name, models)
        changes = workspace.restore(state)
        missing, differing = workspace.compare(state)
    return Restored(run.info.run_id, run.data.tags, state, changes, missing, differing)


def _find(name: str, models: Path) -> tuple[Any, State]:
    """A run and what it left.

    Raises:
        InputError: a part of it is nowhere, or its dvc.lock belongs to another training.
    """
    with mlflow_store.client_for(NOTHING) as client, tempfile.TemporaryDirectory() as folder:
        run = run_queries.finished_run(_run_id(client, name))
        logged = _LoggedFiles(client, run.info.run_id, folder)
        texts = {path: logged(path) for path in (PARAMS, lockfile.FILE)}
        whole = {path: text for path, text in texts.items() if text}
        if whole.keys() != texts.keys():
            raise _unknown_lock(run)
        about = logged("models/run.json")
        state = workspace.collect(whole, logged, f"run {run.info.run_id}", run.data.tags.get("git.commit", "COMMIT"))
    model = next((output for output in state.outputs if Path(output.path) == models), None)
    # Early runs logged dvc.lock before DVC had written their own entry.
    if not about or not model or model.listing.get("run.json") != objects.md5_of_bytes(about):
        raise _unknown_lock(run)
    return run, state


def _run_id(client: Any, name: str) -> str:
    if name.strip() and not name.startswith("models:"):
        return name
    match = re.fullmatch(r"models:/([^/]+?)(?:@([^/@]+)|/([0-9]+))", name)
    if not match:
        raise InputError(
            f"{NOTHING}: {name!r} should be a run's id, models:/NAME@ALIAS or models:/NAME/VERSION, a number"
        )
    model, alias, number = match.groups()
    version = client.get_model_version_by_alias(model, alias) if alias else client.get_model_version(model, number)
    return str(version.run_id)


def _unknown_lock(run: Any) -> InputError:
    return InputError(
        f"{NOTHING}: run {run.info.run_id} does not hold the {lockfile.FILE} of its own training, as runs of "
        "`dvc repro` and `dvc exp run` do"
    )
