from pathlib import Path

import numpy as np
import pytest

from postergenre.errors import InputError
from postergenre.evaluation import comparison, terminal
from postergenre.evaluation.bootstrap import resample_counts
from postergenre.evaluation.comparison import MODEL, Comparison, Score, Verdict
from postergenre.evaluation.metrics import METRICS
from tests.evaluation.examples import posters, predictions


def same_everywhere(model: tuple[float, float, float], **baselines: float) -> Comparison:
    """The same score in every metric, for the model and for each baseline."""
    scores = {MODEL: Score(*model)} | {name: Score(value, value, value) for name, value in baselines.items()}
    return Comparison({name: dict.fromkeys(METRICS, score) for name, score in scores.items()})


def test_all_predictors_are_evaluated_on_the_same_resamples() -> None:
    labels, scores = posters()
    counts = resample_counts(len(labels), 100, seed=3)
    table = comparison.compare(labels, dict.fromkeys((MODEL, "again"), predictions(scores)), counts).table()
    one, other = (table[table["predictor"] == name].drop(columns="predictor") for name in (MODEL, "again"))
    assert (one.to_numpy() == other.to_numpy()).all()
    assert ((one["low"] <= one["value"]) & (one["value"] <= one["high"])).all()


@pytest.mark.parametrize(
    ("metric", "model", "verdict", "best"),
    [
        ("map", (0.5, 0.4, 0.6), Verdict.BETTER, "b"),
        ("map", (0.5, 0.2, 0.6), Verdict.UNSURE, "b"),
        ("map", (0.3, 0.2, 0.4), Verdict.NOT_BETTER, "b"),
        ("brier", (0.05, 0.01, 0.09), Verdict.BETTER, "a"),
        ("brier", (0.05, 0.01, 0.2), Verdict.UNSURE, "a"),
        ("brier", (0.2, 0.1, 0.3), Verdict.NOT_BETTER, "a"),
    ],
)
def test_the_model_is_compared_with_the_best_baseline(
    metric: str, model: tuple[float, float, float], verdict: Verdict, best: str
) -> None:
    compared = same_everywhere(model, a=0.1, b=0.3)
    assert (compared.verdict(metric), compared.best_baseline(metric)) == (verdict, best)


def test_a_metric_that_is_undefined_is_never_the_best_nor_better() -> None:
    assert METRICS["map"].best({"a": np.nan, "b": 0.1}) == "b"
    assert METRICS["brier"].best({"a": np.nan, "b": 0.1}) == "b"
    undefined = same_everywhere((np.nan, np.nan, np.nan), a=np.nan)
    assert (undefined.verdict("map"), undefined.best_baseline("map")) == (Verdict.NOT_BETTER, "a")


def test_the_direction_of_a_metric_is_part_of_its_heading() -> None:
    assert METRICS["map"].heading == "mAP"
    assert METRICS["brier"].heading == "Brier score (lower is better)"


def test_the_file_gives_the_comparison_back(tmp_path: Path) -> None:
    written = same_everywhere((0.5, 0.25, np.nan), **{"no genre": 0.125, "{Drama, Comedy}": 0.375})
    written.write(tmp_path / "comparison.csv")
    assert (
        (tmp_path / "comparison.csv").read_text().startswith("predictor,metric,value,low,high\nmodel,map,0.5,0.25,\n")
    )
    read = comparison.read(tmp_path / "comparison.csv")
    assert read.table().equals(written.table())
    assert read.baselines == ["no genre", "{Drama, Comedy}"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, r"is missing; `dvc repro evaluate` writes it"),
        ("", r"is not as the evaluate stage writes it .*run `dvc repro evaluate`$"),
        ("answer,metric,value,low,high\nmodel,map,1,1,1\n", r"is not as the evaluate stage writes it \(.*predictor"),
        ("predictor,metric,value,low,high\nmodel,map,1,1,1\n", r"has the predictor model, baselines, and every metric"),
        ("predictor,metric,value,low,high\nmodel,map,high,1,1\n", r"is not as the evaluate stage writes it"),
    ],
)
def test_a_file_that_is_no_comparison_is_refused_in_one_sentence(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "comparison.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=reason):
        comparison.read(file)


def test_the_terminal_table_fits_and_marks_metrics_in_which_a_baseline_is_as_good() -> None:
    names = ("no genre", "genre prior", "{Documentary}", "{Documentary, Animation}", "all genres")
    values = dict(zip(names, (0.1, 0.3, 0.1, 0.1, 0), strict=True))
    table = terminal.results_table(same_everywhere((0.2, 0.1, 0.3), **values))
    assert max(map(len, table.splitlines())) <= 110
    assert not any(line != line.rstrip() for line in table.splitlines())
    assert "0.200*" in table
    assert "* a baseline is as good or better" in table
    assert "~" not in table
    unsure = terminal.results_table(same_everywhere((0.4, 0.1, 0.5), **values))
    assert "0.400~" in unsure
    assert "~ better than every baseline, but the interval includes the best baseline" in unsure
