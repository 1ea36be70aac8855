import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks import leaderboard
from postergenre import files
from postergenre.evaluation.comparison import Comparison, Score
from postergenre.evaluation.metrics import METRICS
from postergenre.tracking import logged_models, spool
from postergenre.tracking.logged_models import EvaluatedRun
from tests.support import ROOT
from tests.tracking.trainings import training


@pytest.fixture
def in_project(in_project: Path, empty_store: Path) -> Path:
    """One that has had no run yet."""
    shutil.copy(empty_store, in_project / "mlflow.db")
    return in_project


def comparison(value: float, **parts: float) -> Comparison:
    scores = {"model": Score(value, value - 0.1, value + 0.1), "genre prior": Score(0.25, 0.2, 0.3)}
    scores |= {name.replace("_", " "): Score(part, part - 0.1, part + 0.1) for name, part in parts.items()}
    return Comparison({name: dict.fromkeys(METRICS, score) for name, score in scores.items()})


def trained(folder: Path, models: Path, dataset: str, network: str, value: float) -> str | None:
    """A run as the train and evaluate stages log it."""
    lock = {"stages": {"dataset": {"outs": [{"path": "data/dataset", "md5": dataset}]}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    about = json.loads((models / "run.json").read_text())
    about["params"]["train"]["network"] = network
    files.write_json(folder / "reports/metrics.json", {"map": value})
    files.write_json(folder / "reports/scrape.json", {"rows": 5, "status": {"ok": 3, "gone": 2}})
    comparison(value).write(folder / "reports/comparison.csv")
    with training(about) as run:
        run.log_epoch(1, {"loss": 0.5, "val_map": 0.1})
        run.log_training(models)
        run.log_evaluation(folder / "reports")
    return run.id


def test_the_newest_run_of_each_network_on_this_dataset_is_taken_and_can_be_timed(
    in_project: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that goes on by 500 milliseconds whenever it is read: at the start of a run, at each epoch, at its end.
    clock = itertools.count(spool.now(), 500)
    monkeypatch.setattr(spool, "now", lambda: next(clock))
    for dataset, network, value in (("1.dir", "a", 0.4), ("2.dir", "b", 0.9), ("1.dir", "c", 0.5)):
        trained(in_project, models, dataset, network, value)
    last = trained(in_project, models, "1.dir", "a", 0.45)
    newest = logged_models.newest("1.dir")
    assert set(newest) == {"a", "c"}
    assert newest["a"].run_id == last
    assert newest["a"].weights == json.loads((models / "run.json").read_text())["weights"]
    assert newest["a"].seconds == 1.5  # three epochs
    assert newest["a"].comparison.score("map").value == pytest.approx(0.45)
    assert logged_models.newest("3.dir") == {}
    assert leaderboard.speed(newest["a"], np.zeros((200, 24, 16, 3), np.uint8)) > 0


def test_the_best_network_comes_first_and_the_baselines_last() -> None:
    networks = {name: EvaluatedRun("id", 1234567, 61.4, comparison(value)) for name, value in (("a", 0.4), ("b", 0.5))}
    lines = leaderboard.table(networks, {"a": 100.4, "b": 20.0}).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| `b` | 0.500 (0.400-0.600) |")
    assert lines[3].endswith("| 1,234,567 | 61 | 100 |")
    assert lines[4].startswith("| genre prior | 0.250 | 0.250 |")


def test_a_network_that_reads_has_rows_for_its_parts_below_it() -> None:
    parts = comparison(0.5, picture_alone=0.3, text_alone=0.45)
    networks = {"a": EvaluatedRun("id", 1, 1.0, parts), "b": EvaluatedRun("id", 1, 1.0, comparison(0.4))}
    lines = leaderboard.table(networks, {"a": 1.0, "b": 1.0}).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    names = [line.split(" | ")[0] for line in lines[2:]]
    assert names == ["| `a`", "| `a`, picture alone", "| `a`, text alone", "| `b`", "| genre prior"]
    assert lines[3].startswith("| `a`, picture alone | 0.300 (0.200-0.400) |")


def test_the_written_leaderboard_has_the_columns_that_would_be_written_now() -> None:
    heading = leaderboard.table({"a": EvaluatedRun("id", 1, 1.0, comparison(0.4))}, {"a": 1.0}).splitlines()[:2]
    written = (ROOT / leaderboard.OUTPUT).read_text(encoding="utf-8").splitlines()
    shown = [line for line in written if line.startswith(("| |", "|--"))]
    assert shown == heading, "`python -m benchmarks.leaderboard` writes it anew"


def test_without_an_evaluated_run_it_says_what_makes_one(in_project: Path) -> None:
    lock: dict[str, Any] = {"stages": {"dataset": {"outs": [{"path": "data/dataset", "md5": "1.dir"}]}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    with pytest.raises(SystemExit, match=r"no evaluated run of the present dataset; `dvc repro` makes one"):
        leaderboard.main()
