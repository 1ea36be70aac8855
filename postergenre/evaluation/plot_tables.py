"""The tables behind the plots, which `dvc plots` draws and the report too."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve

from postergenre.data.split_tables import Split
from postergenre.evaluation import metrics
from postergenre.evaluation.metrics import Predictions

# Points of one curve: more cannot be seen, and the table is in git.
POINTS = 50


def tables(splits: Mapping[str, Split], model: Predictions, uncalibrated: Predictions) -> dict[str, pd.DataFrame]:
    """Each table by the name of its file. model, uncalibrated: answers to the test posters, also before calibration."""
    return {
        "precision_recall.csv": precision_recall(splits["test"], model),
        "reliability.csv": reliability(splits["test"], {"before": uncalibrated, "after": model}),
        "genre_counts.csv": genre_counts(splits),
        "cooccurrence.csv": cooccurrence(splits),
    }


def precision_recall(test: Split, model: Predictions) -> pd.DataFrame:
    """genre, recall, precision: up to 50 corners of the curve of each genre with positives, from the surest on."""
    curves: list[pd.DataFrame] = []
    for k, genre in enumerate(test.genres):
        if test.labels[:, k].any():
            precision, recall, _ = precision_recall_curve(
                test.labels[:, k], model.probabilities[:, k], drop_intermediate=True
            )
            # Precision at recall 0 is scikit-learn's convention, or 0 before the first hit.
            corners = pd.DataFrame({"recall": recall, "precision": precision})[recall > 0][::-1]
            kept = np.unique(np.linspace(0, len(corners) - 1, POINTS).round().astype(int))
            curves.append(corners.iloc[kept].assign(genre=genre))
    return pd.concat(curves, ignore_index=True).reindex(columns=["genre", "recall", "precision"])


def reliability(test: Split, answers: Mapping[str, Predictions]) -> pd.DataFrame:
    """calibration, bin, pairs, probability, share: see `metrics.reliability`, of each answer by its name."""
    tables = [metrics.reliability(test.labels, answer.probabilities) for answer in answers.values()]
    named = [table.assign(calibration=name) for name, table in zip(answers, tables, strict=True)]
    columns = ["calibration", "bin", "pairs", "probability", "share"]
    return pd.concat(named, ignore_index=True).reindex(columns=columns)


def genre_counts(splits: Mapping[str, Split]) -> pd.DataFrame:
    """split, genre, posters."""
    counts = [
        (name, genre, int(n))
        for name, split in splits.items()
        for genre, n in zip(split.genres, split.labels.sum(axis=0, dtype=np.int64), strict=True)
    ]
    return pd.DataFrame(counts, columns=["split", "genre", "posters"])


def cooccurrence(splits: Mapping[str, Split]) -> pd.DataFrame:
    """genre, other, posters: how many posters of all splits have both; of a genre with itself, how many have it."""
    genres = splits["train"].genres
    labels = np.concatenate([split.labels for split in splits.values()]).astype(np.int64)
    both = labels.T @ labels
    counts = [(one, other, int(both[j, k])) for j, one in enumerate(genres) for k, other in enumerate(genres)]
    return pd.DataFrame(counts, columns=["genre", "other", "posters"])
