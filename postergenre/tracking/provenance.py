"""Where a run comes from: code, data and machine."""

import os
import platform
import socket
import subprocess
import sys
from typing import Any

from postergenre.dvc_project import lockfile

# What differs from the commit, but for what the pipeline itself writes while it runs.
CHANGED = ("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)dvc.lock", ":(exclude)reports")


def facts() -> dict[str, str]:
    """Where a run comes from: code, data and machine."""
    facts = {
        "postergenre.host": socket.gethostname(),
        "system.platform": platform.platform(),
        "system.python": platform.python_version(),
        "system.cpus": str(os.cpu_count()),
        "system.gpus": _gpus(),
        "system.backend": keras().backend.backend(),
    }
    facts |= {f"system.{name}": version for name, version in versions().items()}
    if commit := _said("git", "rev-parse", "HEAD"):
        facts |= {"git.commit": commit, "git.dirty": str(bool(_said(*CHANGED))).lower()}
        if branch := _said("git", "symbolic-ref", "--short", "HEAD"):  # an experiment in a folder of its own has none
            facts["git.branch"] = branch
    facts |= {name: os.environ[name] for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV") if name in os.environ}
    return facts | locked("scrape", "resize", "dataset")


def keras() -> Any:
    """Keras, imported where it is first needed, for that takes seconds, and `promote` needs none."""
    from postergenre.networks.backend import keras

    return keras


def versions() -> dict[str, str]:
    """Of the packages that the model runs on."""
    return {name: sys.modules[name].__version__ for name in ("keras", keras().backend.backend(), "numpy")}


def locked(*stages: str) -> dict[str, str]:
    """The md5 of these stages' outputs, by which DVC keeps them."""
    locked = lockfile.read()
    return {f"dvc.{out['path']}": out["md5"] for name in stages if name in locked for out in locked[name]["outs"]}


def _gpus() -> str:
    """Those that training sees, by name where NVIDIA's driver is there to tell."""
    seen = keras().distribution.list_devices("gpu")
    names = _said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines() if seen else []
    return ", ".join(names or seen) or "none"


def _said(*command: str) -> str:
    """What a program prints; "" where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
