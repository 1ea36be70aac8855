"""dvc.lock of the run that is being logged.

DVC writes a stage's entry when the stage has ended: while a stage logs its run, dvc.lock still tells of the one before.
"""

import os
from pathlib import Path
from typing import Any

import yaml

from postergenre.errors import InputError

FILE = "dvc.lock"
STAGE = "DVC_STAGE"  # in the environment DVC names the stage that it runs


def now() -> str | None:
    """dvc.lock with the entry that DVC is about to write for the stage that runs, and without what that outdates.

    Outside of a stage it is dvc.lock as it is, if the params and outputs here are those that it names.

    Returns:
        The text, byte for byte DVC's; None where there is no such dvc.lock, or no DVC project around here.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo
    from dvc.stage.serialize import to_lockfile
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    try:
        repo = Repo()
    except NotDvcRepoError:
        return None
    with repo:
        file = Path(repo.root_dir, FILE)
        lock: dict[str, Any] = {"schema": "2.0"}
        if file.exists():
            lock = parse_yaml_for_update(file.read_text(encoding="utf-8"), file)
        stages = lock.setdefault("stages", {})
        if STAGE in os.environ:
            (stage,) = repo.stage.collect(os.environ[STAGE])
            stage.save(run_cache=False)
            stages.update(to_lockfile(stage))
        elif not stages or _changed(repo, stages):
            return None
    for name in _outdated(stages):
        del stages[name]
    return str(dumps_yaml(lock))


def read() -> dict[str, Any]:
    """The stages in dvc.lock by their names; none where there is no such file.

    Raises:
        InputError: it is not as DVC writes it.
    """
    file = Path(FILE)
    if not file.exists():
        return {}
    try:
        lock = yaml.safe_load(file.read_text(encoding="utf-8"))
        return {**lock.get("stages", {})}
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"{file} is not as DVC writes it ({said}); settle what git could not merge, or `git checkout {file}`"
        ) from None


def outdated(stage: str) -> bool:
    """Whether dvc.lock tells that a stage's outputs here were made of something that is another now."""
    return stage in _outdated(read())


def params(stage: str) -> Any:
    """The section of params.yaml that has a stage's name, as it was when its outputs here were made."""
    return read().get(stage, {}).get("params", {}).get("params.yaml", {}).get(stage)


def _changed(repo: Any, stages: dict[str, Any]) -> bool:
    """Whether params or outputs here are others than dvc.lock names; code may have been written on."""
    entries = [entry for stage in repo.index.stages if stage.name in stages for entry in [*stage.params, *stage.outs]]
    return any(entry.workspace_status() for entry in entries)


def _outdated(stages: dict[str, Any]) -> list[str]:
    """The stages that read something else than the others made."""
    made = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    return [
        name
        for name, stage in stages.items()
        if any(made.get(dep["path"], dep.get("md5")) != dep.get("md5") for dep in stage.get("deps", []))
    ]
