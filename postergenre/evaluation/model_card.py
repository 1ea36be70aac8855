"""`model_card.md`: the model's purpose, training and scores (Mitchell et al. 2019, arXiv:1810.03993)."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from postergenre import files
from postergenre.evaluation.comparison import Comparison
from postergenre.evaluation.metrics import CALIBRATION, MAIN, METRICS
from postergenre.evaluation.report import Report

# How many of the best and of the worst genres are named.
NAMED_GENRES = 3


def write(file: Path, report: Report) -> None:
    """Write the card as Markdown."""
    templates = Environment(
        loader=PackageLoader("postergenre.evaluation"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    genres = report.genres[report.genres["test"] > 0].sort_values("average_precision", ascending=False, kind="stable")
    card = templates.get_template("model_card.md.jinja").render(
        data=report.data,
        run=report.data.run,
        metrics=report.metrics(),
        parts=report.comparison.parts,
        gains=[(METRICS[key].label, gain) for key, gain in report.text_gains.items()],
        rows=[_row(report.comparison, key) for key in dict.fromkeys((*MAIN, *CALIBRATION))],
        best=genres.head(NAMED_GENRES).to_dict("records"),
        worst=genres.tail(NAMED_GENRES).to_dict("records"),
        not_better=genres.loc[genres["low"] <= genres["prevalence"], "genre"].tolist(),
        subgroups=report.subgroups.to_dict("records"),
    )
    with files.atomic_write(file) as new:
        new.write_text(card, encoding="utf-8")


def _row(comparison: Comparison, key: str) -> tuple[str, str, str, list[str], str]:
    """The metric's heading, the model's value and interval, the value of each part, and the best baseline's."""
    model, best = comparison.score(key).format(), comparison.best_baseline(key)
    baseline = f"{comparison.score(key, best).format().value} ({best})"
    parts = [comparison.score(key, name).format().value for name in comparison.parts]
    return METRICS[key].heading, model.value, model.interval, parts, baseline
