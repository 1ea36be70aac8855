"""What a process gives to libraries where its user lacks a name or a home, and what make gives."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from postergenre import account
from tests.support import ROOT

CACHES = {"XDG_CACHE_HOME": "", "KERAS_HOME": "/keras", "MPLCONFIGDIR": "/matplotlib"}
NAMELESS = """#!/bin/sh
echo 54321
[ "$1" = -u ]
"""
VOLUMES = dict.fromkeys(CACHES, "/volume")
# What users may have: whether the system knows them, their environment, and what it has then. {home} can be written,
# {none} does not exist.
USERS: list[tuple[bool, dict[str, str], dict[str, str]]] = [
    (True, {"LOGNAME": "me", "HOME": "{home}"}, {}),
    (True, {"LOGNAME": "me", "HOME": "{none}"}, {name: "{project}/.cache" + folder for name, folder in CACHES.items()}),
    (
        True,
        {"USER": "me", "HOME": "{none}", "XDG_CACHE_HOME": "/volume"},
        {"LOGNAME": "me", "KERAS_HOME": "/volume/keras", "MPLCONFIGDIR": "/volume/matplotlib"},
    ),
    (
        True,
        {"LNAME": "me", "HOME": "{none}", "XDG_CACHE_HOME": "", "KERAS_HOME": "/k"},
        {"LOGNAME": "me", "XDG_CACHE_HOME": "{project}/.cache", "MPLCONFIGDIR": "{project}/.cache/matplotlib"},
    ),
    (True, {"USERNAME": "me", "HOME": "{home}", "XDG_CACHE_HOME": "/volume"}, {"LOGNAME": "me"}),
    (True, {"LOGNAME": "a", "USER": "b", "LNAME": "c", "USERNAME": "d", "HOME": "{home}"}, {}),
    (True, {"LOGNAME": "", "USER": "", "LNAME": "c", "USERNAME": "d", "HOME": "{home}"}, {"LOGNAME": "c"}),
    (False, {"HOME": "{home}"}, {"LOGNAME": "54321"}),
    (False, {"LOGNAME": "", "USER": "", **VOLUMES}, {"LOGNAME": "54321", "HOME": "/"}),
    (False, {"USER": "me", **VOLUMES}, {"LOGNAME": "me", "HOME": "/"}),
]
VARIABLES = ("LOGNAME", "HOME", *CACHES)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project, into which the process goes."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/dvc.yaml").touch()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def prepare(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, str]:
    """Prepare a process with that environment; return what it has then."""
    monkeypatch.setattr(os, "environ", environment)
    account.prepare()
    return environment


def prepare_by_make(project: Path, **environment: str) -> dict[str, str]:
    """Run a recipe of the Makefile with that environment; return what it has then."""
    makefile = f"include {ROOT}/Makefile\nprint:\n\t@env\n"
    (project / "Makefile").write_text(makefile, encoding="utf-8")
    command = ["make", "--no-print-directory", "print"]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(("known", "given", "expected"), USERS)
def test_what_a_user_lacks_is_given_by_make_too(
    known: bool,
    given: dict[str, str],
    expected: dict[str, str],
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    places = {"home": tmp_path, "none": tmp_path / "none", "project": project}
    given = {name: value.format(**places) for name, value in given.items()}
    expected = given | {name: value.format(**places) for name, value in expected.items()}
    path = os.environ["PATH"]
    if not known:
        monkeypatch.setattr(pwd, "getpwuid", unknown)
        monkeypatch.setattr(os, "getuid", lambda: 54_321)
        (tmp_path / "id").write_text(NAMELESS, encoding="utf-8")
        (tmp_path / "id").chmod(0o755)
        path = f"{tmp_path}:{path}"
    made = prepare_by_make(project, **given, PATH=path)
    prepared = prepare(monkeypatch, **given)
    for environment in (made, prepared):
        assert {name: environment.get(name) for name in VARIABLES} == {name: expected.get(name) for name in VARIABLES}
    assert not (project / ".cache").exists()


def test_without_a_variable_for_the_home_both_take_the_systems(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, prepared = prepare_by_make(project, PATH=os.environ["PATH"]), prepare(monkeypatch)
    assert {name: made.get(name) for name in VARIABLES} == {name: prepared.get(name) for name in VARIABLES}


def test_an_experiment_has_the_caches_of_its_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = project / ".dvc/tmp/exps/tmp1"
    experiment.mkdir(parents=True)
    (experiment / "dvc.yaml").touch()
    monkeypatch.chdir(experiment)
    prepared = prepare(monkeypatch, LOGNAME="me", HOME=str(project / "none"))
    assert {name: prepared[name] for name in CACHES} == {
        name: f"{project}/.cache{folder}" for name, folder in CACHES.items()
    }


def test_outside_a_project_no_folder_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"LOGNAME": "me", "HOME": str(tmp_path / "none")}
    assert prepare(monkeypatch, **given) == given


def test_recipes_name_the_environments_programs_by_their_path(tmp_path: Path) -> None:
    """The make of macOS, 3.81, looks up a simple recipe's program in its own PATH, whatever the Makefile exports."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("requirements.lock", "pyproject.toml", ".venv/.installed"):
        (tmp_path / name).touch()
    for name in ("mlflow", "mypy", "postergenre", "pytest", "python", "ruff", "uv"):
        (tmp_path / ".venv/bin" / name).write_text("#!/bin/sh\necho ran\n", encoding="utf-8")
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    targets = ("repro", "test", "quick", "test-all", "bench", "check", "format", "lock", "mlflow", "team")
    # What stands in make's command line wins over the Makefile's PATH.
    command = ["make", "--silent", f"PATH={os.defpath}", *targets]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("ran\n" * 16, "")
