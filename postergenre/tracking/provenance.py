"""Where a run comes from: code, data and machine."""

import os
import platform
import socket
import subprocess
import sys

from postergenre import machine
from postergenre.dvc_project import lockfile

# In a container the checkout may be another user's. This process runs its code already, so git may read it too.
GIT = ("git", "-c", "safe.directory=*")
# Lists what differs from the commit, without what the pipeline itself writes while it runs.
CHANGED = (*GIT, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)dvc.lock", ":(exclude)reports")


def tags() -> dict[str, str]:
    """The tags of a new run: MLflow's own, such as the user's name, and ours."""
    from mlflow.tracking.context import registry

    return {**registry.resolve_tags(), **facts()}


def facts() -> dict[str, str]:
    """Code, data and machine as tags: `git.*`, `dvc.PATH`, `system.*` and `postergenre.host`."""
    from postergenre.networks import backend

    facts = {
        "postergenre.host": socket.gethostname(),
        "system.platform": platform.platform(),
        "system.python": platform.python_version(),
        "system.cpus": str(machine.processors()),
        "system.gpus": _gpus(),
        "system.backend": backend.name(),
    }
    facts |= {f"system.{name}": version for name, version in versions().items()}
    if commit := _output_of(*GIT, "rev-parse", "HEAD"):
        facts |= {"git.commit": commit, "git.dirty": str(bool(_output_of(*CHANGED))).lower()}
        if branch := _output_of(*GIT, "symbolic-ref", "--short", "HEAD"):  # none in an experiment's own folder
            facts["git.branch"] = branch
    facts |= {name: os.environ[name] for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV") if name in os.environ}
    return facts | output_hashes("scrape", "resize", "read", "dataset")


def versions() -> dict[str, str]:
    """The versions of the packages that the model runs on: Keras, its backend and NumPy."""
    from postergenre.networks import backend

    return {name: sys.modules[name].__version__ for name in ("keras", backend.name(), "numpy")}


def output_hashes(*stages: str) -> dict[str, str]:
    """The MD5 of these stages' outputs in dvc.lock, as tags `dvc.PATH`."""
    locked = lockfile.read()
    return {f"dvc.{out['path']}": out["md5"] for name in stages if name in locked for out in locked[name]["outs"]}


def _gpus() -> str:
    """The GPUs that Keras sees: their names where `nvidia-smi` gives them, else Keras's."""
    from postergenre.networks import backend

    devices = backend.list_gpus()
    names = _output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines() if devices else []
    return ", ".join(names or devices) or "none"


def _output_of(*command: str) -> str:
    """What a program prints; "" where it fails or is not installed."""
    try:
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
