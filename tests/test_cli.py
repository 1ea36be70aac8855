"""The `postergenre` command but for `predict`, which has a file of its own."""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest

from postergenre import files
from postergenre.commands import predicting
from postergenre.evaluation import comparison
from postergenre.evaluation.bootstrap import resample_counts
from postergenre.evaluation.comparison import MODEL
from postergenre.evaluation.evaluator import Predictions
from postergenre.tracking import replay
from tests import support
from tests.support import command, encode, make_picture


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict"],
        ["predict", ""],
        ["predict", "a.jpg", "--top", "0"],
        ["predict", "a.jpg", "--model", ""],
        [],
        ["dance"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str]) -> None:
    assert command(*arguments) == 2


def test_help_explains_the_mark_and_loads_no_library(tmp_path: Path) -> None:
    code = (
        "import sys; from postergenre import cli\n"
        "try: cli.main(['predict', '--help'])\n"
        "except SystemExit: print('loaded', {'keras', 'mlflow', 'numpy', 'pandas', 'PIL'} & {*sys.modules})"
    )
    done = support.run(sys.executable, "-c", code, cwd=tmp_path)
    assert "* marks the predicted genres" in " ".join(done.stdout.split())
    assert done.stdout.endswith("loaded set()\n")


def test_results_are_a_table_and_where_to_look_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "comparison.csv is missing; `dvc repro evaluate` writes it" in str(command("results"))
    labels = np.eye(4, dtype=np.uint8)
    perfect = Predictions(labels.astype(np.float32), np.full(4, 0.5), 0.5)
    compared = comparison.compare(labels, dict.fromkeys((MODEL, "prior"), perfect), resample_counts(4, 100, 1))
    Path("reports").mkdir()
    compared.write(Path("reports/comparison.csv"))
    assert command("results") == 0
    output = capsys.readouterr().out
    assert "mAP" in output
    assert all(place in output for place in ("reports/report.html", "make mlflow", "postergenre predict poster.jpg"))
    assert "these results are in git, but the model is not" in output
    Path("models").mkdir()
    Path("models/run.json").touch()
    assert command("results") == 0
    assert "are in git" not in capsys.readouterr().out


def test_track_says_whether_the_run_was_there(
    in_project: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_project / "models").symlink_to(models)
    assert command("track") == 0
    first = capsys.readouterr().out.split()[-1]
    files.write_json(in_project / "reports/metrics.json", {"map": 0.25})
    files.write_json(in_project / "reports/scrape.json", {"status": {"ok": 3}})
    assert command("track") == 0
    assert capsys.readouterr().out == f"run {first} has this model; what it lacked is there now\n"
    logged = mlflow.get_run(first)
    assert logged.data.metrics["test.map"] == 0.25
    assert logged.data.tags["postergenre.model"] == json.loads((models / "run.json").read_text())["model"]


def test_track_without_a_training_says_what_is_missing(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("track") == "error: models/run.json is missing; `dvc repro train` writes it"
    assert capsys.readouterr().err == ""
    assert not (in_project / "mlflow.db").exists()


def test_a_logged_model_predicts_in_any_folder(
    in_project: Path, models: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replay.track(models, in_project / "reports")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "a.jpg").write_bytes(encode(make_picture(1)))
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # which MLflow sets for its children
    monkeypatch.setattr(predicting, "CHECKOUT", in_project)
    assert command("predict", "a.jpg", "--model", f"runs:/{run.id}/model") == 0
    assert [file.name for file in elsewhere.iterdir()] == ["a.jpg"]
