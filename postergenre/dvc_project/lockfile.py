"""dvc.lock: reading it, and predicting it while a stage runs.

DVC writes a stage's entry after the stage has ended. So while a stage logs its run, dvc.lock still describes the run
before.
"""

import os
from pathlib import Path
from typing import Any

import yaml

from postergenre.errors import InputError

FILE = "dvc.lock"
STAGE = "DVC_STAGE"  # in the environment DVC names the stage that it runs


def predict() -> str | None:
    """dvc.lock as it will be after this stage, without stale stages.

    Outside of a stage it is dvc.lock as it is, provided that params and outputs here are those that it names.

    Returns:
        The text, byte for byte DVC's; None where there is no such dvc.lock, or no DVC project around here.
    """
    # DVC takes a second to import, and most of the callers of this module only read dvc.lock.
    from dvc.stage.serialize import to_lockfile
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    from postergenre.dvc_project import project

    if project.find_root() is None:
        return None
    with project.opened() as repo:
        file = Path(repo.root_dir, FILE)
        lock: dict[str, Any] = {"schema": "2.0"}
        if file.exists():
            lock = parse_yaml_for_update(file.read_text(encoding="utf-8"), file)
        stages = lock.setdefault("stages", {})
        if STAGE in os.environ:
            (stage,) = repo.stage.collect(os.environ[STAGE])
            stage.save(run_cache=False)
            stages.update(to_lockfile(stage))
        elif not stages or _differs(repo, stages):
            return None
    for name in _stale(stages):
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
        reason = " ".join(str(error).split())
        raise InputError(
            f"{file} is not as DVC writes it ({reason}); settle what git could not merge, or `git checkout {file}`"
        ) from None


def is_outdated(stage: str) -> bool:
    """Whether a stage's outputs, by dvc.lock, were made from something that has changed since."""
    return stage in _stale(read())


def read_params(stage: str) -> Any:
    """The section of params.yaml that has a stage's name, as it was when the stage's outputs were made."""
    return read().get(stage, {}).get("params", {}).get("params.yaml", {}).get(stage)


def _differs(repo: Any, stages: dict[str, Any]) -> bool:
    """Whether params or outputs here differ from dvc.lock. Code may: somebody may have edited it since."""
    entries = [entry for stage in repo.index.stages if stage.name in stages for entry in [*stage.params, *stage.outs]]
    return any(entry.workspace_status() for entry in entries)


def _stale(stages: dict[str, Any]) -> list[str]:
    """The stages that read another output than the present one of the stage that makes it."""
    outputs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    return [
        name
        for name, stage in stages.items()
        if any(outputs.get(dep["path"], dep.get("md5")) != dep.get("md5") for dep in stage.get("deps", []))
    ]
