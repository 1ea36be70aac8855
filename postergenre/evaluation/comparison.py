"""`comparison.csv`: every metric of the model and of the baselines, with 95 % intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre import files
from postergenre.errors import InputError
from postergenre.evaluation.bootstrap import clipped_interval, original_counts
from postergenre.evaluation.evaluator import Evaluator, Predictions
from postergenre.evaluation.metrics import METRICS

# The model's name among the predictors, and those of its parts, where it has parts; all others are baselines.
MODEL = "model"
PICTURE_ALONE, TEXT_ALONE = "picture alone", "text alone"
PARTS = (PICTURE_ALONE, TEXT_ALONE)
COLUMNS = ["predictor", "metric", "value", "low", "high"]
EVALUATE = "`dvc repro evaluate`"


class Verdict(StrEnum):
    """Whether the model beats the best baseline."""

    BETTER = "better"
    UNSURE = "unsure"
    NOT_BETTER = "not better"

    @property
    def explanation(self) -> str:
        return {
            Verdict.BETTER: "better than every baseline, with the whole interval",
            Verdict.UNSURE: "better than every baseline, but the interval includes the best baseline",
            Verdict.NOT_BETTER: "a baseline is as good or better",
        }[self]


@dataclass(frozen=True)
class Score:
    """A metric's value with its 95 % interval from low to high."""

    value: float
    low: float
    high: float

    def format(self, decimals: int = 3) -> "FormattedScore":
        return FormattedScore(*(f"{number:.{decimals}f}" for number in (self.value, self.low, self.high)))


@dataclass(frozen=True)
class FormattedScore:
    """A score as text."""

    value: str
    low: str
    high: str

    @property
    def interval(self) -> str:
        return f"{self.low} - {self.high}"


class Comparison:
    """The scores of the model, of its parts and of the baselines, on the same test posters and the same resamples.

    Args:
        scores: by predictor, then by metric; the model's are under `MODEL`. Every predictor has the same metrics.

    Raises:
        ValueError: the model or a score is missing.
    """

    def __init__(self, scores: Mapping[str, Mapping[str, Score]]):
        self._scores = scores
        complete = all(METRICS.keys() <= row.keys() for row in scores.values())
        if MODEL not in scores or not self.baselines or not complete:
            raise ValueError(f"a comparison has the predictor {MODEL}, baselines, and every metric of each")

    @property
    def parts(self) -> list[str]:
        """The names of the model's parts: none, where it has only one."""
        return [name for name in self._scores if name in PARTS]

    @property
    def baselines(self) -> list[str]:
        """The names of the baselines."""
        return [name for name in self._scores if name not in (MODEL, *PARTS)]

    def score(self, metric: str, predictor: str = MODEL) -> Score:
        """A metric of one predictor, by default of the model."""
        return self._scores[predictor][metric]

    def best_baseline(self, metric: str) -> str:
        """The name of the baseline that is best in a metric, the first of equals."""
        return METRICS[metric].best({name: self.score(metric, name).value for name in self.baselines})

    def verdict(self, metric: str) -> Verdict:
        """Whether the model beats every baseline in a metric, by its value and by the worse end of its interval."""
        model, best = self.score(metric), self.score(metric, self.best_baseline(metric)).value
        is_better, worst = METRICS[metric].is_better, METRICS[metric].worst
        if is_better(worst(model.value, model.low, model.high), best):
            return Verdict.BETTER
        return Verdict.UNSURE if is_better(model.value, best) else Verdict.NOT_BETTER

    def table(self) -> pd.DataFrame:
        """A row for each predictor and metric, with the columns `COLUMNS`."""
        rows = [
            (predictor, key, score.value, score.low, score.high)
            for predictor, scores in self._scores.items()
            for key, score in scores.items()
        ]
        return pd.DataFrame(rows, columns=COLUMNS)

    def write(self, file: Path) -> None:
        """Write the table as CSV."""
        with files.atomic_write(file) as new:
            self.table().to_csv(new, index=False, float_format="%.6g", lineterminator="\n")


def evaluate(
    labels: npt.NDArray[np.uint8], predictions: Predictions, resample_counts: npt.NDArray[np.integer]
) -> dict[str, Score]:
    """Every metric of one predictor by its key.

    Args:
        labels: multi-hot, `(posters, genres)`.
        predictions: for these posters.
        resample_counts: from `bootstrap.resample_counts`; the same for all predictors, so that intervals compare.
    """
    evaluator = Evaluator(labels, predictions)
    values = evaluator.metrics(original_counts(len(labels)))
    samples = evaluator.metrics(resample_counts)
    scores = {}
    for key, metric in METRICS.items():
        value = float(values[key][0])
        scores[key] = Score(value, *clipped_interval(value, samples[key], metric.maximum))
    return scores


def compare(
    labels: npt.NDArray[np.uint8], predictions: Mapping[str, Predictions], resample_counts: npt.NDArray[np.integer]
) -> Comparison:
    """Evaluate the model, its parts and the baselines, by their names, see `evaluate`."""
    return Comparison({name: evaluate(labels, each, resample_counts) for name, each in predictions.items()})


def read(file: Path) -> Comparison:
    """The comparison in a CSV file.

    Raises:
        InputError: the file is missing, or is not as the evaluate stage writes it.
    """
    try:
        table = pd.read_csv(file, dtype={"predictor": str, "metric": str}, keep_default_na=False, na_values=[""])
        return Comparison(_scores(table[COLUMNS].itertuples(index=False, name=None)))
    except FileNotFoundError:
        raise InputError(f"{file} is missing; {EVALUATE} writes it, in the project's folder") from None
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is not as the evaluate stage writes it ({reason}); run {EVALUATE}") from None


def _scores(rows: Iterable[tuple[str, str, float, float, float]]) -> dict[str, dict[str, Score]]:
    scores: dict[str, dict[str, Score]] = {}
    for predictor, metric, *values in rows:
        scores.setdefault(predictor, {})[metric] = Score(*(float(value) for value in values))
    return scores
