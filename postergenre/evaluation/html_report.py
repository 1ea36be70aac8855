"""`report.html`: one file that loads nothing else, for any screen, light or dark, and for print."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from postergenre import files
from postergenre.evaluation import charts, plot_tables, poster_examples
from postergenre.evaluation.comparison import Comparison, FormattedScore, Verdict
from postergenre.evaluation.metrics import CALIBRATION, METRICS, Metric
from postergenre.evaluation.poster_examples import Heatmaps
from postergenre.evaluation.report import Report

# The metrics of the results table, in groups.
GROUPS = {
    "Does it rank the right genres high?": ("map", "map_micro", "roc_auc", "lrap", "coverage", "top1_hit", "top3_hit"),
    "Does it predict the right genres, at the fitted thresholds?": (
        "f1_micro",
        "f1_micro_at_global_threshold",
        "f1_macro",
        "f1_weighted",
        "f1_samples",
    ),
    "Does it predict the right genres, with every threshold at 0.5?": (
        "f1_micro_at_half",
        "f1_macro_at_half",
        "f1_weighted_at_half",
        "f1_samples_at_half",
        "hamming_at_half",
        "binary_accuracy_at_half",
        "subset_accuracy_at_half",
    ),
    "Are its probabilities better than the genres' shares?": ("bce", "brier"),
}
HEADLINES = ("map", "roc_auc", "f1_macro", "top1_hit")


@dataclass(frozen=True)
class MetricRow:
    """One row of the results table.

    metric: what is measured.
    model: the model's score.
    verdict: whether the model beats the best baseline.
    best_baseline: its name.
    best_value: its value.
    parts: the value of each part of the model.
    baselines: the value of each, and whether it equals the best one while not all are equal.
    """

    metric: Metric
    model: FormattedScore
    verdict: Verdict
    best_baseline: str
    best_value: str
    parts: list[str]
    baselines: list[tuple[str, bool]]


def write(file: Path, report: Report, pictures: int, heatmaps: Heatmaps) -> None:
    """Write the report as one HTML file.

    Args:
        file: the HTML file.
        report: what it shows.
        pictures: up to so many posters among the hits, and among the misses; 0 leaves out all pictures.
        heatmaps: called with up to two posters of each genre, if there are pictures.
    """
    templates = Environment(
        loader=PackageLoader("postergenre.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    hits, misses = poster_examples.film_cards(report, pictures)
    html = templates.get_template("report.html.jinja").render(
        data=report.data,
        counts=report.metrics(),
        parts=report.comparison.parts,
        gains=[(METRICS[key].label, gain) for key, gain in report.text_gains.items()],
        baselines=report.comparison.baselines,
        headlines=[_metric_row(report.comparison, key) for key in HEADLINES],
        groups={title: [_metric_row(report.comparison, key) for key in keys] for title, keys in GROUPS.items()},
        verdicts=Verdict,
        hits=hits,
        misses=misses,
        genres=report.genres.assign(posters=report.genres[list(report.data.splits)].sum(axis=1)).to_dict("records"),
        curves=charts.precision_recall_curves(report),
        charts=charts.training_charts(report),
        cooccurrence=_cooccurrence(report),
        diagrams=charts.reliability_diagrams(report),
        calibration_rows=_calibration_rows(report),
        subgroups={kind: rows.to_dict("records") for kind, rows in report.subgroups.groupby("kind", sort=False)},
        heatmaps=poster_examples.heatmap_examples(report, heatmaps) if pictures else {},
        params=yaml.safe_dump(report.data.run["params"], sort_keys=False, allow_unicode=True, width=100),
    )
    with files.atomic_write(file) as new:
        new.write_text(html, encoding="utf-8")


def _metric_row(comparison: Comparison, key: str) -> MetricRow:
    best = comparison.best_baseline(key)
    values = [comparison.score(key, name).format().value for name in comparison.baselines]
    exact = [comparison.score(key, name).value for name in comparison.baselines]
    is_best = [value == comparison.score(key, best).value and len(set(exact)) > 1 for value in exact]
    return MetricRow(
        metric=METRICS[key],
        model=comparison.score(key).format(),
        verdict=comparison.verdict(key),
        best_baseline=best,
        best_value=comparison.score(key, best).format().value,
        parts=[comparison.score(key, name).format().value for name in comparison.parts],
        baselines=list(zip(values, is_best, strict=True)),
    )


def _calibration_rows(report: Report) -> list[tuple[Metric, FormattedScore, FormattedScore]]:
    """Each metric that calibration should improve, with the model's score before and after it."""
    return [
        (
            METRICS[key],
            report.uncalibrated_scores[key].format(decimals=4),
            report.comparison.score(key).format(decimals=4),
        )
        for key in CALIBRATION
    ]


def _cooccurrence(report: Report) -> dict[str, list[tuple[str, int, float]]]:
    """By genre: each genre, how many posters have both, and which share of the first genre's posters that is."""
    genres = report.test.genres
    posters = plot_tables.cooccurrence(report.data.splits)["posters"].to_numpy().reshape(len(genres), len(genres))
    shares = posters / np.maximum(posters.diagonal(), 1)[:, None]
    return {
        genre: list(zip(genres, posters[k].tolist(), shares[k].tolist(), strict=True)) for k, genre in enumerate(genres)
    }
