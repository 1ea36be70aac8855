"""The stages in little memory, by the kernel's own limits where this user may set them."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests import support
from tests.factories import run
from tests.in_process import PERSON
from tests.support import ROOT

KILLED = """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
GREEDY = """
pages = []
while True:
    pages.append(bytearray(b"x" * 10_000_000))
"""
SENTENCE = "the stage train was killed, most likely because memory ran out: {} GB are here"


def make_stage(folder: Path, code: str) -> Path:
    """Make a DVC project whose only stage is a train stage of that code."""
    (folder / "stages").mkdir()
    (folder / "stages/__init__.py").touch()
    (folder / "stages/train.py").write_text(code)
    stage = {"cmd": "python -m stages.train", "deps": ["stages/train.py"], "outs": ["models"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    run(folder, "dvc", "init", "-q", "--no-scm")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("option", "shell"), [("--force", "/bin/sh"), ("--keep-going", "/bin/bash")])
def test_a_stage_that_was_killed_says_so(tmp_path: Path, option: str, shell: str) -> None:
    command = ("postergenre", "repro", option, "train")
    done = support.run(*command, cwd=make_stage(tmp_path, KILLED), env={"SHELL": shell})
    assert done.returncode == 1
    # DVC's own words stay. A shell that becomes the stage passes the signal on, one that waits for it returns 137.
    assert re.search(r"exited with (-9|137)\b", done.stderr), done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the stage train was killed, most likely because memory ran")
    assert "needs 1.5 GB on the sample" in done.stderr
    assert "training.batch_size" in done.stderr


@pytest.mark.slow
def test_what_is_here_is_the_containers_memory(tmp_path: Path) -> None:
    folder, limit = make_stage(tmp_path, GREEDY), "500000256"
    with support.cgroup("memory", {"memory.max": limit}, {"memory.limit_in_bytes": limit}) as within:
        done = support.run(*within, "postergenre", "repro", cwd=folder)
    assert SENTENCE.format("0.5") in done.stderr, done.stderr
    assert done.returncode == 1


@pytest.mark.slow
def test_other_failures_are_dvcs_to_tell(tmp_path: Path) -> None:
    done = support.run("postergenre", "repro", cwd=make_stage(tmp_path, "raise SystemExit('no posters')"))
    assert (done.returncode, "no posters" in done.stderr) == (255, True)
    assert "memory" not in done.stderr


@pytest.mark.long
def test_the_sample_runs_in_two_gigabytes(tmp_path: Path) -> None:
    for name in support.run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "reports/", "dvc.lock")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    run(tmp_path, "git", "init", "-q")
    limits = {"memory.max": "2000000000"}, {"memory.limit_in_bytes": "2000000000"}
    with support.cgroup("memory", *limits) as within:
        command = [*within, sys.executable, "-m", "postergenre.cli", "repro"]
        done = support.run(*command, cwd=tmp_path, timeout=1800, env=PERSON | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "reports/report.html").exists()
