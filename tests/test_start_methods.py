"""The chain under each way of starting processes: macOS spawns, Python 3.14 on Linux uses a fork server.

Only two stages start processes: scrape, and resize.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests import support
from tests.factories import make_project
from tests.support import Site

METHODS = ("fork", "spawn", "forkserver")
# Python runs a module of this name first, in the processes that it starts too.
PRELUDE = """
import multiprocessing
multiprocessing.set_start_method("{method}", force=True)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


def make(folder: Path, site: Site, method: str) -> Path:
    """Make a project whose processes start others by that method."""
    project = make_project(folder / "project", site, scrape={"processes": 2, "concurrency": 2})
    (folder / "sitecustomize.py").write_text(PRELUDE.format(method=method), encoding="utf-8")
    return project


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project; it has to succeed."""
    done = support.run(sys.executable, *words, cwd=project, env={"PYTHONPATH": str(project.parent)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("method", METHODS[1:])
def test_posters_are_fetched_and_resized(method: str, site: Site, tmp_path: Path) -> None:
    project = make(tmp_path, site, method)
    code = "import multiprocessing; print(multiprocessing.get_start_method())"
    assert run(project, "-c", code).stdout == f"{method}\n"
    for stage in ("scrape", "resize"):
        run(project, "-m", f"stages.{stage}")
    assert len(pd.read_csv(project / "data/resized/index.csv")) == 49


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_the_whole_chain(method: str, site: Site, tmp_path: Path) -> None:
    project = make(tmp_path, site, method)
    for stage in ("scrape", "resize", "dataset", "train", "evaluate"):
        run(project, "-m", f"stages.{stage}")
    (project / "poster.jpg").write_bytes(support.encode(support.make_picture(1)))
    done = run(project, "-m", "postergenre.cli", "predict", "poster.jpg")
    assert done.stdout.startswith("poster.jpg  ")
