"""`dvc` and `postergenre` in this process where that can be: a new one takes a second to load DVC."""

import io
import subprocess
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from dvc.cli import main as dvc_main

from tests import support

PERSON = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def dvc(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc` in a folder; what it printed and what it exited with.

    What runs stages gets a process of its own, for DVC's log writes to the first stdout that it met.
    """
    if words[0] in ("repro", "exp"):
        return support.run("dvc", *words, cwd=folder, env=PERSON | {"PYTHONPATH": str(support.ROOT)})
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, chdir(folder), redirect_stdout(out), redirect_stderr(err):
        for name, value in (PERSON | {"DVC_NO_ANALYTICS": "1"}).items():
            patch.setenv(name, value)
        code = dvc_main([*words])
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def postergenre(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `postergenre` in a folder; what it printed and what it exited with."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = support.command(*words)
    if isinstance(code, str):  # as Python does
        err.write(f"{code}\n")
    return subprocess.CompletedProcess(words, 1 if isinstance(code, str) else code or 0, out.getvalue(), err.getvalue())
