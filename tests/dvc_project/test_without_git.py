"""An unpacked ZIP of the project, which is no git repository."""

import shutil
import sys
from pathlib import Path

import pytest

from tests import in_process, support
from tests.factories import dvc_, make_two_stages

REMEDY = "`git init && git add .` makes it one, and `dvc config --local core.no_scm true` lets DVC work without git"


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    folder = make_two_stages(tmp_path / "project")
    shutil.rmtree(folder / ".git")
    return folder


@pytest.mark.parametrize("words", [("repro",), ("push",), ("verify",), ("team", "/tmp/store")])
def test_a_command_that_needs_git_says_how_to_go_on(unpacked: Path, words: tuple[str, ...]) -> None:
    done = in_process.postergenre(unpacked, *words)
    assert done.returncode == 1
    assert f"{unpacked} is not a git repository" in done.stderr
    assert done.stderr.splitlines()[-1].endswith(REMEDY)


def test_either_remedy_lets_it_run(unpacked: Path) -> None:
    dvc_(unpacked, "config", "--local", "core.no_scm", "true")
    done = support.run(sys.executable, "-m", "postergenre.cli", "repro", cwd=unpacked, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (unpacked / "reports/metrics.json").exists()
    (unpacked / ".dvc/config.local").unlink()
    support.run("git", "init", "-q", cwd=unpacked)
    support.run("git", "add", ".", cwd=unpacked)
    assert "up to date" in dvc_(unpacked, "status")
