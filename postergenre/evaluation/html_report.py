"""`report.html`: one file that needs nothing else, for a screen of any size, light or dark, or paper."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.ticker import MaxNLocator
from PIL import Image

from postergenre import files
from postergenre.evaluation import plot_tables
from postergenre.evaluation.metrics import METRICS
from postergenre.evaluation.report import MODEL, TRUST, Report, against_guessing, figures
from postergenre.networks.calibration import binary_cross_entropy

# The figures in the order of the questions that they answer.
QUESTIONS = {
    "Does it rank the right genres high?": ("map", "map_micro", "roc_auc", "lrap", "coverage", "top1_hit", "top3_hit"),
    "Does it name the right genres, at the fitted thresholds?": (
        "f1_micro",
        "f1_micro_at_global_threshold",
        "f1_macro",
        "f1_weighted",
        "f1_samples",
    ),
    "And with every threshold at 0.5?": (
        "f1_micro_at_half",
        "f1_macro_at_half",
        "f1_weighted_at_half",
        "f1_samples_at_half",
        "hamming_at_half",
        "binary_accuracy_at_half",
        "subset_accuracy_at_half",
    ),
    "Do its probabilities say more than the genres' shares?": ("bce", "brier"),
}
HEADLINES = ("map", "roc_auc", "f1_macro", "top1_hit")

# Width and height of what is drawn, in the units of the template's view boxes.
CHART = (440, 180)
CURVE = (100, 100)

# Posters uint8 `(n, height, width, 3)` and a genre's number for each, to where they speak for it: `gradcam.heatmaps`.
Heatmaps = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], npt.NDArray[np.float32]]
# How bright a poster stays where nothing speaks for the genre.
DIM = 0.18
# What becomes of a genre at its threshold; where it is rightly not said, there is nothing to show.
SAID, WRONGLY_SAID, MISSED = "Rightly said", "Wrongly said", "Missed"


@dataclass(frozen=True)
class Figure:
    """One figure as the report shows it. guesses: each baseline's, and whether it stands out as the best of them."""

    label: str
    about: str
    value: str
    low: str
    high: str
    verdict: str
    rival: str
    best_guess: str
    guesses: list[tuple[str, bool]]


@dataclass(frozen=True)
class Film:
    """One test poster. picture: a data URI; times: how many times better, or worse, the answer is than guessing.

    genres: name, probability, whether it is the film's, whether the network says so; the likeliest first.
    """

    title: str
    picture: str
    times: str
    better: bool
    genres: list[tuple[str, float, bool, bool]]


@dataclass(frozen=True)
class Look:
    """A test poster that is lit where it speaks for a genre. verdict: see `_examples`; truth: the genres it has."""

    title: str
    picture: str
    verdict: str
    probability: float
    threshold: float
    truth: str

    @property
    def right(self) -> bool:
        return self.verdict == SAID


@dataclass(frozen=True)
class Diagram:
    """Probabilities across, shares of true pairs upwards. dots: x, y, radius, and what they say."""

    title: str
    error: str
    dots: list[tuple[float, float, float, str]]


@dataclass(frozen=True)
class Chart:
    """Lines over epochs. series: name and points; ticks: place and text; best: the place of the epoch that was kept."""

    title: str
    series: list[tuple[str, str]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    best: float


def write(file: Path, report: Report, pictures: int, heatmaps: Heatmaps) -> None:
    """Write the report as one HTML file with up to `pictures` posters among the hits, and as many among the misses.

    heatmaps: asked about up to two posters of each genre, if there are pictures at all.
    """
    templates = Environment(
        loader=PackageLoader("postergenre.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    hits, misses = films(report, pictures)
    html = templates.get_template("report.html.jinja").render(
        data=report.data,
        counts=figures(report),
        guessers=[name for name in report.answers if name != MODEL],
        headlines=[_figure(report.comparison, key) for key in HEADLINES],
        questions={text: [_figure(report.comparison, key) for key in keys] for text, keys in QUESTIONS.items()},
        hits=hits,
        misses=misses,
        genres=report.genres.assign(posters=report.genres[list(report.data.splits)].sum(axis=1)).to_dict("records"),
        curves=_curves(report),
        charts=_charts(report),
        together=_together(report),
        diagrams=_diagrams(report),
        trust=_trust(report),
        groups={kind: rows.to_dict("records") for kind, rows in report.groups.groupby("kind", sort=False)},
        looks=_looks(report, heatmaps) if pictures else {},
        params=yaml.safe_dump(report.data.run["params"], sort_keys=False, allow_unicode=True, width=100),
    )
    with files.atomic_write(file) as new:
        new.write_text(html, encoding="utf-8")


def films(report: Report, count: int) -> tuple[list[Film], list[Film]]:
    """The surest hits and the worst misses among the test posters, up to `count` of each.

    A hit's likeliest genre is one of the film's, a miss's is none of them. They are ordered by how many times likelier
    the film's genres are by the network's probabilities than by the genre prior's, or less likely: to be sure of Drama
    where every second film is one is no feat.
    """
    test, model, prior = report.data.splits["test"], report.answers[MODEL], report.answers["genre prior"]
    loss, guessing = (binary_cross_entropy(test.labels, a.probabilities).sum(axis=1) for a in (model, prior))
    gain = guessing - loss
    hit = test.labels[np.arange(len(gain)), model.probabilities.argmax(axis=1)] == 1
    order = np.argsort(-gain, kind="stable")
    hits, misses = order[hit[order]][:count], order[~hit[order]][::-1][:count]
    return [_film(report, k, gain[k]) for k in hits], [_film(report, k, gain[k]) for k in misses]


def _looks(report: Report, heatmaps: Heatmaps) -> dict[str, list[Look]]:
    """By genre: an answer that is right at the genre's threshold, and one that is wrong."""
    test, model = report.data.splits["test"], report.answers[MODEL]
    truth, p, thresholds = test.labels == 1, model.probabilities, model.thresholds
    chosen = [
        (poster, genre, verdict)
        for genre in range(len(test.genres))
        for poster, verdict in _examples(truth[:, genre], p[:, genre], thresholds[genre])
    ]
    posters, genres = (np.array(numbers, np.int64) for numbers in list(zip(*chosen, strict=True))[:2])
    pixels = report.data.store[test.rows[posters]]
    looks: dict[str, list[Look]] = {}
    for (poster, genre, verdict), plain, heat in zip(chosen, pixels, heatmaps(pixels, genres), strict=True):
        imdb_id = test.imdb_ids[poster]
        look = Look(
            title=report.data.titles.get(imdb_id) or imdb_id,
            picture=_data_uri(_lit(plain, heat)),
            verdict=verdict,
            probability=float(p[poster, genre]),
            threshold=float(thresholds[genre]),
            truth=", ".join(test.genres[k] for k in np.flatnonzero(test.labels[poster])),
        )
        looks.setdefault(test.genres[genre], []).append(look)
    return looks


def _examples(truth: npt.NDArray[np.bool_], p: npt.NDArray[np.floating], threshold: float) -> list[tuple[int, str]]:
    """Up to two posters to show of one genre, each with its verdict; truth: which have it, p: with which probability.

    The surest of those of which it is rightly said, and the surest of those of which it is wrongly said; where one
    of the two is lacking, the one that has it and is the farthest below the threshold.
    """
    said = p >= threshold
    kinds = ((SAID, said & truth, p), (WRONGLY_SAID, said & ~truth, p), (MISSED, ~said & truth, -p))
    return [(int(np.where(kind, by, -np.inf).argmax()), verdict) for verdict, kind, by in kinds if kind.any()][:2]


def _lit(pixels: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    light = DIM + (1 - DIM) * heat[:, :, None]
    return (pixels * light + 0.5).clip(0, 255).astype(np.uint8)


def _diagrams(report: Report) -> list[Diagram]:
    """Reliability before and after calibration (Niculescu-Mizil and Caruana 2005); an area is a share of the pairs."""
    test = report.data.splits["test"]
    errors = report.trust[report.trust["metric"] == "ece"].set_index("answer")["value"]
    table = plot_tables.reliability(test, {"before": report.uncalibrated, "after": report.answers[MODEL]})
    return [
        Diagram(
            title=f"{name.capitalize()} calibration",
            error=f"{errors[name]:.4f}",
            dots=[_dot(row, test.labels.size) for row in rows.to_dict("records")],
        )
        for name, rows in ((name, table[table["calibration"] == name]) for name in ("before", "after"))
    ]


def _dot(row: dict[Any, Any], pairs: int) -> tuple[float, float, float, str]:
    return (
        round(100 * row["probability"], 1),
        round(100 - 100 * row["share"], 1),
        round(max(1.2, 9 * (row["pairs"] / pairs) ** 0.5), 2),
        f"{row['pairs']:,} answers of {row['probability']:.0%} on average; true are {row['share']:.0%}",
    )


def _trust(report: Report) -> list[tuple[str, str, list[dict[Any, Any]]]]:
    """Label and meaning of each figure that calibration is for; its value, low and high before and after."""
    table = report.trust.set_index(["metric", "answer"])[["value", "low", "high"]]
    cells = table.map("{:.4f}".format).to_dict("index")
    return [
        (METRICS[key].label, METRICS[key].about, [cells[key, name] for name in ("before", "after")]) for key in TRUST
    ]


def _film(report: Report, poster: int, gain: float) -> Film:
    test, model = report.data.splits["test"], report.answers[MODEL]
    p, true = model.probabilities[poster], test.labels[poster] == 1
    said = p >= model.thresholds
    order = np.argsort(-p, kind="stable")
    shown = [k for place, k in enumerate(order) if place < 3 or true[k] or said[k]]
    imdb_id, times = test.imdb_ids[poster], np.exp(abs(gain))
    return Film(
        title=report.data.titles.get(imdb_id) or imdb_id,
        picture=_data_uri(report.data.store[test.rows[[poster]]][0]),
        times=f"{times:,.{0 if times >= 9.95 else 1}f}",
        better=gain > 0,
        genres=[(test.genres[k], float(p[k]), bool(true[k]), bool(said[k])) for k in shown],
    )


def _data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _figure(comparison: pd.DataFrame, key: str) -> Figure:
    rows = comparison[comparison["metric"] == key].set_index("answer")
    model, guesses = rows.loc[MODEL], rows["value"].drop(MODEL)
    verdict, rival = against_guessing(comparison, key)
    return Figure(
        label=METRICS[key].label + ("" if METRICS[key].higher_is_better else " ↓"),
        about=METRICS[key].about,
        value=f"{model['value']:.3f}",
        low=f"{model['low']:.3f}",
        high=f"{model['high']:.3f}",
        verdict=verdict,
        rival=rival,
        best_guess=f"{guesses[rival]:.3f}",
        guesses=[(f"{value:.3f}", bool(value == guesses[rival] and guesses.nunique() > 1)) for value in guesses],
    )


def _charts(report: Report) -> list[Chart]:
    history, best = report.data.history, report.data.run["best_epoch"]
    return [
        _chart("Loss", history, {"training": "loss", "validation": "val_loss"}, best),
        _chart("Validation mAP", history, {"validation": "val_map"}, best),
    ]


def _chart(title: str, history: pd.DataFrame, columns: dict[str, str], best: int) -> Chart:
    epochs, values = history["epoch"], history[list(columns.values())]
    y_ticks = MaxNLocator(4).tick_values(values.min().min(), values.max().max())
    x_ticks = [x for x in MaxNLocator(6, integer=True).tick_values(1, epochs.max()) if 1 <= x <= epochs.max()]
    across, up = (1, max(epochs.max(), 2)), (y_ticks[0], y_ticks[-1])
    return Chart(
        title=title,
        series=[(name, _points(epochs, values[column], across, up, CHART)) for name, column in columns.items()],
        x_ticks=[(_scaled(x, across, CHART[0]), f"{x:g}") for x in x_ticks],
        y_ticks=[(_scaled(y, up[::-1], CHART[1]), f"{y:g}") for y in y_ticks],
        best=_scaled(best, across, CHART[0]),
    )


def _curves(report: Report) -> dict[str, str]:
    """The points of each genre's precision over its recall, for genres that have test posters."""
    table = plot_tables.precision_recall(report.data.splits["test"], report.answers[MODEL])
    return {
        str(genre): _points(curve["recall"], curve["precision"], (0, 1), (0, 1), CURVE)
        for genre, curve in table.groupby("genre")
    }


def _together(report: Report) -> dict[str, list[tuple[str, int, float]]]:
    """By genre: each genre, how many posters have both, and which share that is of the first genre's posters."""
    genres = report.data.splits["test"].genres
    posters = plot_tables.cooccurrence(report.data.splits)["posters"].to_numpy().reshape(len(genres), len(genres))
    shares = posters / np.maximum(posters.diagonal(), 1)[:, None]
    return {
        genre: list(zip(genres, posters[k].tolist(), shares[k].tolist(), strict=True)) for k, genre in enumerate(genres)
    }


def _points(
    x: pd.Series, y: pd.Series, across: tuple[float, float], up: tuple[float, float], frame: tuple[int, int]
) -> str:
    """`x,y x,y ...` in a frame of that width and height, in which y grows downwards."""
    return " ".join(
        f"{_scaled(one, across, frame[0]):g},{_scaled(other, up[::-1], frame[1]):g}"
        for one, other in zip(x, y, strict=True)
    )


def _scaled(value: float, limits: tuple[float, ...], length: float) -> float:
    """The place of `value` on a line of that length from the first limit to the second."""
    return round(float((value - limits[0]) / (limits[1] - limits[0]) * length), 1)
