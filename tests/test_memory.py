"""The stages in little memory, by the kernel's own limits where this user may set them."""

import math
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from postergenre.dvc_project.reproduction import NEEDS
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
# What the train stage does before its first step.
WARN = """
from postergenre.networks import backend
backend.start()
from postergenre import params
from postergenre.networks import architecture, config, memory
network = params.load("networks.pretrained", config.Network)
model = architecture.build(network.merged, 268, 182, [0.2] * 13, 1, "pretrained", True)
memory.warn_if_short(model, network, 1500)
"""
SENTENCE = "the stage train was killed, most likely because memory ran out: {} GB are here"


def make_stage(folder: Path, code: str, name: str = "train") -> Path:
    """Make a DVC project whose only stage has that code and name."""
    (folder / "stages").mkdir()
    (folder / "stages/__init__.py").touch()
    (folder / f"stages/{name}.py").write_text(code)
    stage = {"cmd": f"python -m stages.{name}", "deps": [f"stages/{name}.py"], "outs": ["models"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {name: stage}}))
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
    assert "; on the sample, with `pretrained`, it needs 1.5 GB; give it more memory, or lower " in done.stderr
    assert "training.batch_size" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("options", "shell"), [(["--quiet"], "/bin/sh"), (["-q", "--keep-going"], "/bin/bash")])
def test_a_killed_stage_says_so_to_whoever_asks_dvc_to_be_quiet(tmp_path: Path, options: list[str], shell: str) -> None:
    folder = make_stage(tmp_path, KILLED, "other")
    done = support.run("postergenre", "repro", *options, cwd=folder, env={"SHELL": shell})
    assert done.returncode == 1
    # A shell that waits for the stage may say "Killed" itself.
    assert re.fullmatch(
        r"(.*Killed.*\n)?error: the stage other was killed, most likely because memory ran out: "
        r"[\d.]+ GB are here for all that runs; give it more memory\n",
        done.stderr,
    ), done.stderr


def test_the_needs_of_stages_are_those_of_the_benchmarks() -> None:
    table = (ROOT / "benchmarks/README.md").read_text().split("## The stages")[1].split("\n\n")[2]
    peaks = re.findall(r"^\| (\w+) \|.* ([\d,]+) \|$", table, re.MULTILINE)
    needs = {stage: math.ceil(int(peak.replace(",", "")) / 100) / 10 for stage, peak in peaks}
    assert {stage: need for stage, (need, _) in NEEDS.items()} == needs
    assert [*NEEDS] == [*yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]]


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
@pytest.mark.parametrize(("limit", "warns"), [("1500000256", False), ("1000001536", True)])
def test_the_warning_is_true_in_a_container(limit: str, warns: bool) -> None:
    with support.cgroup("memory", {"memory.max": limit}, {"memory.limit_in_bytes": limit}) as within:
        done = support.run(*within, sys.executable, "-c", WARN, cwd=ROOT)
    assert (done.returncode, "warning" in done.stderr) == (0, warns), done.stderr


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
