"""The chain under each way of starting processes: macOS spawns, Python 3.14 on Linux uses a fork server.

Only two stages start processes: resize, and scrape, which spawns whatever the method is.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from postergenre import files
from tests import support
from tests.factories import make_project
from tests.support import Site

SCRAPE = {"processes": 2, "concurrency": 2}
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


@pytest.fixture(scope="module")
def scraped(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose posters are fetched, by two processes."""
    project = make_project(tmp_path_factory.mktemp("scraped") / "project", site, scrape=SCRAPE)
    run(project, "-m", "stages.scrape")
    return project


def set_method(project: Path, method: str) -> Path:
    """Let the project's processes start others by that method."""
    (project.parent / "sitecustomize.py").write_text(PRELUDE.format(method=method), encoding="utf-8")
    return project


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project; it has to succeed."""
    done = support.run(sys.executable, *words, cwd=project, env={"PYTHONPATH": str(project.parent)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("method", METHODS[1:])
def test_posters_are_resized(method: str, scraped: Path) -> None:
    project = set_method(scraped, method)
    code = "import multiprocessing; print(multiprocessing.get_start_method())"
    assert run(project, "-c", code).stdout == f"{method}\n"
    files.remove(project / "data/resized")
    run(project, "-m", "stages.resize")
    assert len(pd.read_csv(project / "data/resized/index.csv")) == 49


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_the_whole_chain(method: str, site: Site, tmp_path: Path) -> None:
    project = set_method(make_project(tmp_path / "project", site, scrape=SCRAPE), method)
    for stage in ("scrape", "resize", "read", "dataset", "train", "evaluate"):
        run(project, "-m", f"stages.{stage}")
    (project / "poster.jpg").write_bytes(support.encode(support.make_picture(1)))
    done = run(project, "-m", "postergenre.cli", "predict", "poster.jpg")
    assert done.stdout.startswith("poster.jpg  ")
