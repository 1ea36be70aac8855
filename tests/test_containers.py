"""A container's user: no name in the system, no home or one that cannot be written."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from postergenre import account
from tests import support
from tests.factories import commit, git, make_project
from tests.support import ROOT

NUMBER = 12_345  # whom the system does not know
# The user may read all, for the tests' Python may be root's alone; it may write what is its own.
READER = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
AS_USER = ["setpriv", "--reuid", str(NUMBER), "--regid", str(NUMBER), "--clear-groups", *READER]
VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME", *account.CACHES)


def run_as_user(folder: Path, home: str | None, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder as the user, who has that home in the environment, or none."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= {"HOME": home} if home is not None else {}
    return subprocess.run(
        [*AS_USER, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False
    )


def give(folder: Path) -> None:
    """Give a folder and all in it to the user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NUMBER, NUMBER, follow_symlinks=False)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that all may read: those that pytest makes are root's alone."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, with util-linux' setpriv")
    if run_as_user(Path("/"), "/", sys.executable, "--version").returncode:
        pytest.skip("root may not give another user the right to read all")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def project(place: Path) -> Iterator[Path]:
    """A project that the user owns, with a .venv that holds what the tests run with."""
    with support.site() as site:
        folder = make_project(place / "project", site)
        (folder / ".venv").mkdir()
        for name in ("bin", "lib", "pyvenv.cfg"):
            (folder / ".venv" / name).symlink_to(Path(sys.prefix, name))
        (folder / ".venv/.installed").touch()
        (folder / "poster.png").write_bytes(support.encode(support.make_picture(1), "PNG"))
        give(folder)
        yield folder


def make_read_only_home(folder: Path) -> Path:
    """Make a home that is root's: the user may look into it, and write nothing."""
    home = folder / "home"
    home.mkdir(mode=0o755)
    return home


def read_output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.long
def test_without_a_name_and_a_home_that_can_be_written_all_works(project: Path) -> None:
    output = read_output(run_as_user(project, "/nonexistent", "make", "repro"))
    assert output.count("Running stage") == 5
    assert "predict  postergenre predict poster.jpg" in output
    assert "temporary" not in output  # as Matplotlib would tell
    assert (project / ".cache/matplotlib").is_dir()
    (project / "reports/report.html").unlink()
    shutil.rmtree(project / ".cache")
    read_only = make_read_only_home(project.parent)
    assert read_output(run_as_user(project, str(read_only), "make", "repro")).count("Running stage") == 1
    assert (project / ".cache/matplotlib").is_dir()
    for home in (str(read_only), None):
        for words in (["predict", "poster.png"], ["verify"], ["promote"]):
            read_output(run_as_user(project, home, ".venv/bin/postergenre", *words))
    assert not [*read_only.iterdir()]
    assert ".cache" not in support.run("git", "status", "--short", cwd=project).stdout


def test_a_run_has_its_commit_in_a_checkout_of_another_user(place: Path) -> None:
    (place / "film").touch()
    git(place, "init", "-q")
    commit(place)
    assert run_as_user(place, "/nonexistent", "git", "status").returncode  # git distrusts it
    code = "from postergenre.tracking import provenance; print(provenance.facts()['git.commit'])"
    done = run_as_user(place, "/nonexistent", "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", code)
    assert done.stdout == git(place, "rev-parse", "HEAD"), done.stderr
