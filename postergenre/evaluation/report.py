"""The evaluation of a model: what the files in `reports/` are made from, and its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from postergenre import files
from postergenre.data import manifest, split_tables, texts
from postergenre.data.split_tables import Split
from postergenre.data.store import Store
from postergenre.data.texts import Line
from postergenre.errors import InputError
from postergenre.evaluation import baselines, bootstrap, comparison, plot_tables, test_predictions
from postergenre.evaluation.comparison import MODEL, PICTURE_ALONE, TEXT_ALONE, Comparison, Score
from postergenre.evaluation.evaluator import Predictions
from postergenre.evaluation.metrics import CALIBRATION, METRICS
from postergenre.evaluation.model_difference import Difference, differences
from postergenre.evaluation.per_genre import per_genre_table
from postergenre.evaluation.subgroups import subgroup_table
from postergenre.networks import model_folder
from postergenre.networks.calibration import Calibration
from postergenre.networks.text.fusion import Fusion
from postergenre.networks.text.model import TextModel
from postergenre.params import Section

# The metrics by which the text's gain is told.
GAINS = ("map", "roc_auc", "f1_macro", "f1_micro_at_global_threshold")


class EvaluateParams(Section):
    """`evaluate` in params.yaml, where each key is explained."""

    bootstrap: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    pictures: Annotated[int, Field(ge=0, le=60)]


@dataclass(frozen=True)
class EvaluationData:
    """What a model is evaluated on, and what training wrote about it.

    store: the posters.
    splits: by name.
    groups_across_splits: groups of near-duplicate posters that are in several splits.
    titles: by film id.
    calibration: the one worked into the model; where it reads, that of picture and text together.
    run: the contents of run.json.
    history: a row for each epoch.
    summary: the network's layers, as text.
    lines: what was read on each test poster; None where the model does not use it.
    """

    store: Store
    splits: dict[str, Split]
    groups_across_splits: int
    titles: dict[str, str]
    calibration: Calibration
    run: dict[str, Any]
    history: pd.DataFrame
    summary: str
    lines: list[Sequence[Line]] | None


@dataclass(frozen=True)
class Report:
    """The evaluation of a model on the test posters.

    data: what it was evaluated on.
    predictions: for the test posters, by predictor: the model's first, then those of its parts, then the baselines'.
    uncalibrated: the model's predictions before calibration.
    comparison: the scores of every predictor.
    uncalibrated_scores: the model's scores before calibration, by metric.
    text_gains: of the metrics in GAINS, the model beside the picture alone; empty where it uses no text.
    genres: see `per_genre_table`; also the genre's name and its posters in each split.
    subgroups: see `subgroup_table`.
    """

    data: EvaluationData
    predictions: dict[str, Predictions]
    uncalibrated: Predictions
    comparison: Comparison
    uncalibrated_scores: dict[str, Score]
    text_gains: dict[str, Difference]
    genres: pd.DataFrame
    subgroups: pd.DataFrame

    @property
    def test(self) -> Split:
        return self.data.splits["test"]

    @property
    def model(self) -> Predictions:
        return self.predictions[MODEL]

    def metrics(self) -> dict[str, float | int]:
        """The contents of metrics.json.

        The model's metrics by their key, without those that are undefined. Those that calibration should improve also
        before calibration, such as `ece_uncalibrated`. Where posters were read, `map_gain_by_text` and so on, each with
        its 95 % interval. `genres_evaluated` of the `genres` have test posters; averages over genres are over these.
        """
        gains = {
            f"{key}_gain_by_text{suffix}": round(value, 6)
            for key, gain in self.text_gains.items()
            for suffix, value in (("", gain.value), ("_low", gain.low), ("_high", gain.high))
        }
        values = {key: self.comparison.score(key).value for key in METRICS}
        return {key: round(value, 6) for key, value in values.items() if not np.isnan(value)} | {
            **gains,
            **{f"{key}_uncalibrated": round(self.uncalibrated_scores[key].value, 6) for key in CALIBRATION},
            "test_posters": len(self.test.rows),
            "genres": len(self.test.genres),
            "genres_evaluated": int(self.test.labels.any(axis=0).sum()),
        }


def read_data(manifest_file: Path, resized: Path, text: Path, dataset: Path, models: Path) -> EvaluationData:
    """Read the posters, their texts, splits and titles, and what training wrote about the model.

    Raises:
        InputError: a file is missing, the model was trained on another dataset, or the texts are of other posters.
    """
    store, run = Store(resized), model_folder.read_run(models)
    splits = {name: split_tables.read_split(dataset / f"{name}.csv") for name in split_tables.NAMES}
    if (run["data"]["store"], run["data"]["dataset"]) != (store.digest, split_tables.digest(dataset)):
        raise InputError(f"{models} was trained on another dataset than {dataset} and {resized} hold; run `dvc repro`")
    films = manifest.read(manifest_file)
    fetched = films[films["status"] == "ok"]
    lines = _read_lines(text, run, films, splits["test"])
    summary = files.read_json(dataset / "summary.json", "`dvc repro dataset`")
    return EvaluationData(
        store=store,
        splits=splits,
        groups_across_splits=summary["near_duplicates"]["groups_across_splits"],
        titles=dict(zip(fetched["film_id"], fetched["title"], strict=True)),
        calibration=model_folder.read_calibration(models, splits["test"].genres),
        run=run,
        history=model_folder.read_history(models),
        summary=model_folder.read_summary(models),
        lines=lines,
    )


def with_text(data: EvaluationData, picture: Predictions, text: TextModel | None) -> dict[str, Predictions]:
    """The predictions for the test posters of the model, and of its parts, where it has parts.

    picture: by the pictures alone.
    text: what predicts by the text too; None where the model uses pictures alone.
    """
    if text is None or data.lines is None:
        return {MODEL: picture}
    return {
        MODEL: _predictions(text.predict(picture.probabilities, data.lines), text.both),
        PICTURE_ALONE: picture,
        TEXT_ALONE: _predictions(text.predict_alone(data.lines), text.alone),
    }


def evaluate(data: EvaluationData, of_model: Mapping[str, Predictions], params: EvaluateParams) -> Report:
    """Evaluate predictions for the test posters, and the baselines on the same resamples.

    of_model: of the model and its parts, see `with_text`.
    """
    train, val, test = (data.splits[name] for name in split_tables.NAMES)
    shrinkage = data.run["params"]["train"]["threshold_shrinkage"]
    model, predictions = of_model[MODEL], {**of_model, **baselines.fit(train, val, shrinkage)}
    resample_counts = bootstrap.resample_counts(len(test.rows), params.bootstrap, params.seed)
    uncalibrated = Predictions(_uncalibrated(data, model), model.thresholds, model.global_threshold)
    words = None if data.lines is None else [len(texts.whole(lines).split()) for lines in data.lines]
    return Report(
        data=data,
        predictions=predictions,
        uncalibrated=uncalibrated,
        comparison=comparison.compare(test.labels, predictions, resample_counts),
        uncalibrated_scores=comparison.evaluate(test.labels, uncalibrated, resample_counts),
        text_gains=_text_gains(test, of_model, resample_counts),
        genres=_genres(data.splits, model, resample_counts),
        subgroups=subgroup_table(test, data.titles, words, predictions, resample_counts),
    )


def write(folder: Path, report: Report) -> None:
    """Write metrics.json, the tables, plots/ and the model's predictions into `folder`; each file is written whole."""
    files.write_json(folder / "metrics.json", report.metrics())
    test_predictions.write(folder / test_predictions.FILE, report.test, report.model.probabilities)
    report.comparison.write(folder / "comparison.csv")
    for name, table in (("per_genre", report.genres), ("subgroups", report.subgroups)):
        with files.atomic_write(folder / f"{name}.csv") as file:
            _write_table(file, table)
    with files.atomic_folder(folder / "plots") as plots_folder:
        for name, table in plot_tables.tables(report.data.splits, report.model, report.uncalibrated).items():
            _write_table(plots_folder / name, table)


def _read_lines(folder: Path, run: Mapping[str, Any], films: pd.DataFrame, test: Split) -> list[Sequence[Line]] | None:
    """What was read on the test posters, if the model was trained on it."""
    if "text" not in run["data"]:
        return None
    read = texts.Texts.read(folder)
    if read.digest != run["data"]["text"]:
        raise InputError(f"the model was trained on other texts than {folder} holds; run `dvc repro`")
    read.check(texts.list_posters(films))
    return [read.of(film_id).lines for film_id in test.film_ids]


def _uncalibrated(data: EvaluationData, model: Predictions) -> npt.NDArray[np.float64]:
    """The model's probabilities before its calibration, which a poster without text has not passed through."""
    before = data.calibration.undo(model.probabilities)
    if data.lines is not None:
        without = [not lines for lines in data.lines]
        before[without] = model.probabilities[without]
    return before


def _text_gains(
    test: Split, of_model: Mapping[str, Predictions], resample_counts: npt.NDArray[np.integer]
) -> dict[str, Difference]:
    if PICTURE_ALONE not in of_model:
        return {}
    return differences(test.labels, of_model[MODEL], of_model[PICTURE_ALONE], resample_counts, GAINS)


def _predictions(probabilities: npt.NDArray[np.floating], fusion: Fusion) -> Predictions:
    return Predictions(probabilities, fusion.thresholds, fusion.global_threshold)


def _genres(splits: Mapping[str, Split], model: Predictions, resample_counts: npt.NDArray[np.integer]) -> pd.DataFrame:
    """`per_genre_table` with the genre's name and its posters in each split as the first columns."""
    table = per_genre_table(splits["test"].labels, model, resample_counts)
    for place, (name, split) in enumerate(splits.items()):
        table.insert(place, name, split.labels.sum(axis=0, dtype=np.int64))
    table.insert(0, "genre", splits["test"].genres)
    return table


def _write_table(file: Path, table: pd.DataFrame) -> None:
    table.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")
