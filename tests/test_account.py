"""What a process gives to libraries where its user lacks a name or a home."""

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from postergenre import account
from tests.support import ROOT

CACHES = {"XDG_CACHE_HOME": "", "KERAS_HOME": "/keras", "MPLCONFIGDIR": "/matplotlib"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project, into which the process goes."""
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, str]:
    """Prepare a process with that environment; return what it has then."""
    monkeypatch.setattr(os, "environ", environment)
    account.prepare()
    return environment


def test_whoever_has_a_name_and_a_home_keeps_both(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"LOGNAME": "me", "HOME": str(project)}
    assert prepare(monkeypatch, **given) == given


def test_caches_go_to_the_project_where_the_home_cannot_be_written(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"LOGNAME": "me", "HOME": "/nonexistent"}
    caches = {name: f"{project}/.cache{folder}" for name, folder in CACHES.items()}
    assert prepare(monkeypatch, **given) == given | caches
    assert prepare(monkeypatch, **given, KERAS_HOME="/k") == given | caches | {"KERAS_HOME": "/k"}
    experiment = project / ".dvc/tmp/exps/tmp1"
    experiment.mkdir(parents=True)
    (experiment / "dvc.yaml").touch()
    monkeypatch.chdir(experiment)
    assert prepare(monkeypatch, **given) == given | caches
    assert not (project / ".cache").exists()


def test_outside_a_project_no_folder_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"LOGNAME": "me", "HOME": "/nonexistent"}
    assert prepare(monkeypatch, **given) == given


def test_a_user_that_the_system_does_not_know_gets_a_number_and_a_home(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    prepared = prepare(monkeypatch, LOGNAME="", USER="")
    assert (prepared["LOGNAME"], prepared["HOME"]) == ("54321", "/")
    assert prepare(monkeypatch, USER="me", HOME=str(project))["LOGNAME"] == "me"


def test_make_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(f"include {ROOT}/Makefile\nprint:\n\t@env\n", encoding="utf-8")

    def printed(**environment: str) -> dict[str, str]:
        command = ["make", "--no-print-directory", "print"]
        environment |= {"PATH": os.environ["PATH"]}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=True
        )
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    lacking = printed(HOME="/nonexistent", KERAS_HOME="/k")
    assert {name: lacking[name] for name in CACHES} == {
        "XDG_CACHE_HOME": f"{tmp_path}/.cache",
        "KERAS_HOME": "/k",
        "MPLCONFIGDIR": f"{tmp_path}/.cache/matplotlib",
    }
    assert lacking["HOME"] == "/nonexistent"
    assert lacking["LOGNAME"]
    assert printed()["HOME"] == f"{tmp_path}/.cache"
    having = printed(HOME=str(tmp_path), USER="me")
    assert not {"LOGNAME", *CACHES} & {*having}
