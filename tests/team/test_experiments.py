"""DVC's experiments with this project: in the workspace, aside (--temp) and one after another (--queue)."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from postergenre.data import splits
from tests import support
from tests.factories import commit, count_stages, is_clean, make_dataset_project, make_project, read_runs
from tests.in_process import PERSON
from tests.support import Site


@pytest.fixture
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


def cached(folder: Path) -> set[Path]:
    return {file for file in (folder / ".dvc/cache/files").rglob("*") if file.is_file()}


def dvc(folder: Path, *words: str) -> str:
    """What DVC says on stdout; an experiment may train for minutes."""
    done = support.run("dvc", *words, cwd=folder, env=PERSON, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def json_of(folder: Path, *words: str) -> Any:
    return json.loads(dvc(folder, *words, "--json"))


def test_an_experiment_aside_asks_for_no_poster_again_and_stores_none(tmp_path: Path, site: Site) -> None:
    folder = make_project(tmp_path, site)
    dvc(folder, "repro", "dataset")
    commit(folder)
    requests, objects = len(site.requests), cached(folder)
    output = dvc(folder, "exp", "run", "--temp", "-n", "aside", "-S", "scrape.min_success=0.5", "dataset")
    assert count_stages(output) == 1
    assert "aside" in dvc(folder, "exp", "list", "--name-only")
    assert len(site.requests) == requests
    assert cached(folder) == objects
    assert not list((folder / ".dvc/tmp/exps").rglob("posters.sqlite"))


def test_an_experiment_aside_brings_its_split_along(tmp_path: Path) -> None:
    films = [f"tt{n:07d}" for n in range(1, 41)]
    folder = make_dataset_project(tmp_path, {film_id: ("Comedy", "Drama")[int(film_id[-1]) % 2] for film_id in films})
    output = dvc(folder, "exp", "run", "--temp", "-n", "aside", "-S", "dataset.split=aside")
    assert "git commit data/splits/aside.csv" in output
    assert not list((folder / "data/splits").glob("*.csv"))
    dvc(folder, "exp", "apply", "aside")
    assert splits.read_given(folder / "data/splits/aside.csv").keys() == {*films}
    assert is_clean(folder)


@pytest.mark.long
def test_experiments_run_queued_and_aside_are_shown_compared_and_applied(tmp_path: Path, site: Site) -> None:
    folder = make_project(tmp_path, site)
    dvc(folder, "exp", "run", "-n", "here", "-S", "networks.small.training.epochs=1")
    commit(folder)
    requests = len(site.requests)
    dvc(folder, "exp", "run", "--queue", "-n", "later", "-S", "evaluate.seed=2")
    dvc(folder, "exp", "run", "--run-all")
    assert count_stages(dvc(folder, "exp", "run", "--temp", "-n", "aside", "-S", "train.seed=3")) == 2
    assert len(site.requests) == requests
    shown = list(csv.DictReader(dvc(folder, "exp", "show", "--csv").splitlines()))
    seeds = {row["Experiment"]: (row["train.seed"], row["evaluate.seed"]) for row in shown if row["map"]}
    assert {"later": ("1", "2"), "aside": ("3", "1")}.items() <= seeds.items()
    assert json_of(folder, "exp", "diff", "later", "aside")["params"]["params.yaml"]["train.seed"]["new"] == 3
    dvc(folder, "exp", "apply", "later")
    assert yaml.safe_load((folder / "params.yaml").read_text())["evaluate"]["seed"] == 2
    assert is_clean(folder)
    metrics = json_of(folder, "metrics", "diff", "--all", "HEAD")["reports/metrics.json"]
    assert metrics["map"]["new"] == json.loads((folder / "reports/metrics.json").read_text())["map"]
    dvc(folder, "plots", "diff", "HEAD", "aside")
    assert "Validation mAP per epoch" in (folder / "dvc_plots/index.html").read_text()
    assert set(read_runs(folder)["params.train.seed"]) == {"1", "3"}
