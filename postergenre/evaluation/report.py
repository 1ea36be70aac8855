"""What `reports/` says in figures: how good the network is, beside what guessing scores."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from postergenre import files
from postergenre.data import manifest, split_tables
from postergenre.data.split_tables import Split
from postergenre.data.store import Store
from postergenre.errors import InputError
from postergenre.evaluation import baselines, metrics, plot_tables, subgroups, test_predictions
from postergenre.evaluation.metrics import METRICS, Predictions
from postergenre.networks import model_folder
from postergenre.networks.calibration import Calibration
from postergenre.params import Section

# What the network is called among those who answer.
MODEL = "model"

# The figures that the terminal shows.
MAIN = (
    "map",
    "roc_auc",
    "f1_macro",
    "f1_micro_at_global_threshold",
    "lrap",
    "top1_hit",
    "top3_hit",
    "binary_accuracy_at_half",
    "brier",
)

# Whether the network beats every baseline, and how a terminal shows that.
BETTER, UNSURE, NOT_BETTER = "better", "unsure", "not better"
MARKS = {BETTER: " ", UNSURE: "~", NOT_BETTER: "*"}
NOTES = {
    UNSURE: "better than every baseline, but the interval reaches the best of them",
    NOT_BETTER: "a baseline does as well or better",
}


# The figures that calibration is for.
TRUST = ("bce", "brier", "ece")


class EvaluateParams(Section):
    """`evaluate` in params.yaml, where each key is explained."""

    bootstrap: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    pictures: Annotated[int, Field(ge=0, le=60)]


@dataclass(frozen=True)
class Data:
    """What a report is about.

    splits: by name; apart: groups of near-duplicates that are in several of them; titles: by IMDb id; calibration, run,
    history, summary: as training wrote them.
    """

    store: Store
    splits: dict[str, Split]
    apart: int
    titles: dict[str, str]
    calibration: Calibration
    run: dict[str, Any]
    history: pd.DataFrame
    summary: str


@dataclass(frozen=True)
class Report:
    """What was found. answers: to the test posters, by who gives them, the network's first.

    uncalibrated: the network's answer before calibration; comparison: see `metrics.compare`; trust: the same, of
    the answer before and after calibration; genres: see `metrics.per_genre`, with each genre's posters per split;
    groups: see `groups.compare`.
    """

    data: Data
    answers: dict[str, Predictions]
    uncalibrated: Predictions
    comparison: pd.DataFrame
    trust: pd.DataFrame
    genres: pd.DataFrame
    groups: pd.DataFrame


def read_data(films: Path, resized: Path, dataset: Path, models: Path) -> Data:
    """The posters, their splits and titles, and what is known of the model.

    films: the manifest.

    Raises:
        InputError: one of them is missing, or the model was trained on others than these.
    """
    store, run = Store(resized), model_folder.read_run(models)
    read = {name: split_tables.read_split(dataset / f"{name}.csv") for name in split_tables.NAMES}
    if (run["data"]["store"], run["data"]["dataset"]) != (store.digest, split_tables.digest(dataset)):
        raise InputError(f"{models} was trained on another dataset than {dataset} and {resized} hold; run `dvc repro`")
    rows = manifest.read(films)
    held = rows[rows["status"] == "ok"]
    return Data(
        store=store,
        splits=read,
        apart=files.read_json(dataset / "summary.json", "`dvc repro dataset`")["near_duplicates"][
            "groups_across_splits"
        ],
        titles=dict(zip(held["imdb_id"], held["title"], strict=True)),
        calibration=model_folder.read_calibration(models, read["test"].genres),
        run=run,
        history=model_folder.read_history(models),
        summary=model_folder.read_summary(models),
    )


def judge(data: Data, model: Predictions, params: EvaluateParams) -> Report:
    """Evaluator the network's answer to the test posters, and the baselines' on the same resamples of them."""
    train, val, test = (data.splits[name] for name in split_tables.NAMES)
    shrinkage = data.run["params"]["train"]["threshold_shrinkage"]
    answers = {MODEL: model} | baselines.answers(train, val, shrinkage)
    drawn = metrics.resamples(len(test.rows), params.bootstrap, params.seed)
    uncalibrated = Predictions(data.calibration.before(model.probabilities), model.thresholds, model.global_threshold)
    comparison = metrics.compare(test.labels, answers, drawn)
    before = metrics.compare(test.labels, {"before": uncalibrated}, drawn)
    after = comparison[comparison["answer"] == MODEL].assign(answer="after")
    trust = pd.concat([before, after], ignore_index=True)
    genres = metrics.per_genre(test.labels, model, drawn)
    for place, name in enumerate(split_tables.NAMES):
        genres.insert(place, name, data.splits[name].labels.sum(axis=0, dtype=np.int64))
    genres.insert(0, "genre", test.genres)
    return Report(
        data=data,
        answers=answers,
        uncalibrated=uncalibrated,
        comparison=comparison,
        trust=trust[trust["metric"].isin(TRUST)],
        genres=genres,
        groups=subgroups.compare(test, data.titles, answers, drawn),
    )


def write(folder: Path, report: Report) -> None:
    """Write metrics.json, tables, plots/ and what the network said of each test poster into `folder`, each whole."""
    files.write_json(folder / "metrics.json", figures(report))
    said = report.answers[MODEL].probabilities
    test_predictions.write(folder / test_predictions.FILE, report.data.splits["test"], said)
    for name, table in (("comparison", report.comparison), ("per_genre", report.genres), ("groups", report.groups)):
        with files.atomic_write(folder / f"{name}.csv") as file:
            _write_table(file, table)
    with files.atomic_folder(folder / "plots") as plots_folder:
        for name, table in plot_tables.tables(report.data.splits, report.answers[MODEL], report.uncalibrated).items():
            _write_table(plots_folder / name, table)


def figures(report: Report) -> dict[str, float | int]:
    """The network's figures by their key in `METRICS`, but for those without a meaning, and how much was judged.

    Those that calibration is for also as they were before it, such as `ece_uncalibrated`. Averages over genres are over
    those with test posters: `genres_judged` of the `genres`.
    """
    values = report.comparison[report.comparison["answer"] == MODEL].set_index("metric")["value"]
    before = report.trust[report.trust["answer"] == "before"].set_index("metric")["value"]
    test = report.data.splits["test"]
    return {key: round(float(values[key]), 6) for key in METRICS if not np.isnan(values[key])} | {
        **{f"{key}_uncalibrated": round(float(before[key]), 6) for key in TRUST},
        "test_posters": len(test.rows),
        "genres": len(test.genres),
        "genres_judged": int(test.labels.any(axis=0).sum()),
    }


def against_guessing(comparison: pd.DataFrame, metric: str) -> tuple[str, str]:
    """Whether the network beats every baseline in a figure, and which baseline is the best.

    `better`: also with the worse end of its 95 % interval; `unsure`: with its value, but not with that; `not better`.
    """
    rows = comparison[comparison["metric"] == metric].set_index("answer")[["value", "low", "high"]]
    rows = rows if METRICS[metric].higher_is_better else -rows
    guesses = rows["value"].drop(MODEL).fillna(-np.inf)
    value, worse_end = rows.loc[MODEL, "value"], rows.loc[MODEL].min()
    verdict = BETTER if worse_end > guesses.max() else UNSURE if value > guesses.max() else NOT_BETTER
    return verdict, str(guesses.idxmax())


def results_table(comparison: pd.DataFrame) -> str:
    """The main figures as a table for a terminal: the network with its 95 % interval, then each baseline."""
    guesses = [name for name in comparison["answer"].unique() if name != MODEL]
    cells = comparison.set_index(["metric", "answer"]).map("{:.3f}".format).to_dict("index")
    rows = [["", "network ", "95 % interval", *guesses]]
    for key in MAIN:
        model, mark = cells[key, MODEL], MARKS[against_guessing(comparison, key)[0]]
        label = METRICS[key].label + ("" if METRICS[key].higher_is_better else " (low is good)")
        span = f"{model['low']} - {model['high']}"
        rows.append([label, model["value"] + mark, span, *(cells[key, name]["value"] for name in guesses)])
    lines = _aligned(rows)
    used = {row[1][-1] for row in rows}
    return "\n".join(lines + [f"{MARKS[verdict]} {NOTES[verdict]}" for verdict in NOTES if MARKS[verdict] in used])


def _aligned(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines, the first column to the left, the others to the right; headings break between words."""
    headings = [textwrap.wrap(cell, 9, break_long_words=False) for cell in rows[0]]
    height = max(map(len, headings))
    rows = [[*line] for line in zip(*([""] * (height - len(h)) + h for h in headings), strict=True)] + rows[1:]
    first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        row[0].ljust(first) + "".join(cell.rjust(width + 2) for cell, width in zip(row[1:], widths, strict=True))
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return [line.rstrip() for line in (*lines[:height], rule, *lines[height:])]


def _write_table(file: Path, table: pd.DataFrame) -> None:
    table.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")
