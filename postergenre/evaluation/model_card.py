"""`model_card.md`: what the model is for, what it was made of and how good it is (Mitchell et al. 2019, 1810.03993)."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from postergenre import files
from postergenre.evaluation.metrics import METRICS
from postergenre.evaluation.report import MAIN, MODEL, TRUST, Report, against_guessing, figures

# Genres named as the best and as the worst.
NAMED = 3


def write(file: Path, report: Report) -> None:
    """Write the card as Markdown."""
    templates = Environment(
        loader=PackageLoader("postergenre.evaluation"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    judged = report.genres[report.genres["test"] > 0].sort_values("average_precision", ascending=False, kind="stable")
    card = templates.get_template("model_card.md.jinja").render(
        data=report.data,
        run=report.data.run,
        counts=figures(report),
        rows=[_row(report, key) for key in (*MAIN, *(key for key in TRUST if key not in MAIN))],
        best=judged.head(NAMED).to_dict("records"),
        worst=judged.tail(NAMED).to_dict("records"),
        guessed=judged.loc[judged["low"] <= judged["prevalence"], "genre"].tolist(),
        groups=report.groups.to_dict("records"),
    )
    with files.atomic_write(file) as new:
        new.write_text(card, encoding="utf-8")


def _row(report: Report, key: str) -> tuple[str, str, str, str]:
    """Label, value, interval, and the best baseline's value with its name."""
    rows = report.comparison[report.comparison["metric"] == key].set_index("answer")
    cells = rows[["value", "low", "high"]].map("{:.3f}".format).to_dict("index")
    rival, model = against_guessing(report.comparison, key)[1], cells[MODEL]
    label = METRICS[key].label + ("" if METRICS[key].higher_is_better else " (low is good)")
    return label, model["value"], f"{model['low']} - {model['high']}", f"{cells[rival]['value']} ({rival})"
