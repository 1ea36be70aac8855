"""The report's charts as coordinates, which the template draws as SVG."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.ticker import MaxNLocator

from postergenre.evaluation import plot_tables
from postergenre.evaluation.metrics import METRICS
from postergenre.evaluation.report import Report

# Width and height of the charts, in units of the template's view boxes.
LINE_CHART = (440, 180)
CURVE = (100, 100)
MIN_RADIUS, MAX_RADIUS = 1.2, 9


@dataclass(frozen=True)
class LineChart:
    """Values per epoch.

    title: what is drawn.
    series: name and points of each line, as `x,y x,y ...`.
    x_ticks: x and text of each.
    y_ticks: y and text of each.
    best: x of the best epoch.
    """

    title: str
    series: list[tuple[str, str]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    best: float


@dataclass(frozen=True)
class Dot:
    """One bin of a reliability diagram; text: its numbers, in words."""

    x: float
    y: float
    radius: float
    text: str


@dataclass(frozen=True)
class ReliabilityDiagram:
    """Mean probability to the right, share of true pairs upwards.

    title: before or after calibration.
    error: the expected calibration error, as text.
    dots: one for each bin; its area is its share of all pairs.
    """

    title: str
    error: str
    dots: list[Dot]


def training_charts(report: Report) -> list[LineChart]:
    """The losses and the validation mAP of each epoch."""
    history, best = report.data.history, report.data.run["best_epoch"]
    return [
        _line_chart("Loss", history, {"training": "loss", "validation": "val_loss"}, best),
        _line_chart(f"Validation {METRICS['map'].label}", history, {"validation": "val_map"}, best),
    ]


def precision_recall_curves(report: Report) -> dict[str, str]:
    """By genre, the points of precision over recall as `x,y x,y ...`; only genres that have test posters."""
    table = plot_tables.precision_recall(report.test, report.model)
    return {
        str(genre): _points(curve["recall"], curve["precision"], (0, 1), (0, 1), CURVE)
        for genre, curve in table.groupby("genre")
    }


def reliability_diagrams(report: Report) -> list[ReliabilityDiagram]:
    """Reliability before and after calibration (Niculescu-Mizil and Caruana 2005)."""
    errors = {"before": report.uncalibrated_scores["ece"], "after": report.comparison.score("ece")}
    table = plot_tables.reliability(report.test, {"before": report.uncalibrated, "after": report.model})
    pairs = report.test.labels.size
    return [
        ReliabilityDiagram(
            title=f"{name.capitalize()} calibration",
            error=error.format(decimals=4).value,
            dots=[
                _dot(row["probability"], row["share"], row["pairs"], pairs)
                for row in table[table["calibration"] == name].to_dict("records")
            ],
        )
        for name, error in errors.items()
    ]


def _dot(probability: float, share: float, pairs: int, all_pairs: int) -> Dot:
    return Dot(
        x=round(100 * probability, 1),
        y=round(100 - 100 * share, 1),
        radius=round(max(MIN_RADIUS, MAX_RADIUS * (pairs / all_pairs) ** 0.5), 2),
        text=f"{pairs:,} predictions, {probability:.0%} on average; {share:.0%} of them are true",
    )


def _line_chart(title: str, history: pd.DataFrame, columns: dict[str, str], best: int) -> LineChart:
    epochs, values = history["epoch"], history[list(columns.values())]
    y_ticks = MaxNLocator(4).tick_values(values.min().min(), values.max().max())
    x_ticks = [x for x in MaxNLocator(6, integer=True).tick_values(1, epochs.max()) if 1 <= x <= epochs.max()]
    x_range, y_range = (1, max(epochs.max(), 2)), (y_ticks[0], y_ticks[-1])
    width, height = LINE_CHART
    return LineChart(
        title=title,
        series=[
            (name, _points(epochs, values[column], x_range, y_range, LINE_CHART)) for name, column in columns.items()
        ],
        x_ticks=[(_scaled(x, x_range, width), f"{x:g}") for x in x_ticks],
        y_ticks=[(_scaled(y, y_range[::-1], height), f"{y:g}") for y in y_ticks],
        best=_scaled(best, x_range, width),
    )


def _points(
    x: pd.Series, y: pd.Series, x_range: tuple[float, float], y_range: tuple[float, float], size: tuple[int, int]
) -> str:
    """`x,y x,y ...` in a chart of that width and height, in which y grows downwards."""
    width, height = size
    return " ".join(
        f"{_scaled(a, x_range, width):g},{_scaled(b, y_range[::-1], height):g}" for a, b in zip(x, y, strict=True)
    )


def _scaled(value: float, limits: tuple[float, ...], length: float) -> float:
    """Where `value` is on a line of that length from the first limit to the second."""
    return round(float((value - limits[0]) / (limits[1] - limits[0]) * length), 1)
