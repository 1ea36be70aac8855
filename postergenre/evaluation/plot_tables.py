"""The tables behind the plots of `dvc plots` and of the report."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve

from postergenre.data.split_tables import Split
from postergenre.evaluation.evaluator import Predictions
from postergenre.evaluation.reliability import reliability_table

# Points of one curve: more cannot be seen, and the table is in git.
POINTS = 50


def tables(splits: Mapping[str, Split], model: Predictions, uncalibrated: Predictions) -> dict[str, pd.DataFrame]:
    """Each table by the name of its file; model, uncalibrated: predictions after and before calibration."""
    return {
        "precision_recall.csv": precision_recall(splits["test"], model),
        "reliability.csv": reliability(splits["test"], {"before": uncalibrated, "after": model}),
        "genre_counts.csv": genre_counts(splits),
        "cooccurrence.csv": cooccurrence(splits),
    }


def precision_recall(test: Split, model: Predictions) -> pd.DataFrame:
    """Up to 50 points of the curve of each genre with positives, by rising recall: genre, recall, precision.

    model: predictions for the test posters.
    """
    curves: list[pd.DataFrame] = []
    for k, genre in enumerate(test.genres):
        if test.labels[:, k].any():
            precision, recall, _ = precision_recall_curve(
                test.labels[:, k], model.probabilities[:, k], drop_intermediate=True
            )
            # Precision at recall 0 is a convention of scikit-learn's, or 0 before the first hit.
            points = pd.DataFrame({"recall": recall, "precision": precision})[recall > 0][::-1]
            thinned = np.unique(np.linspace(0, len(points) - 1, POINTS).round().astype(int))
            curves.append(points.iloc[thinned].assign(genre=genre))
    return pd.concat(curves, ignore_index=True).reindex(columns=["genre", "recall", "precision"])


def reliability(test: Split, predictions: Mapping[str, Predictions]) -> pd.DataFrame:
    """Columns calibration, which is the name of the predictions, and those of `reliability_table`."""
    parts = [
        reliability_table(test.labels, each.probabilities).assign(calibration=name)
        for name, each in predictions.items()
    ]
    columns = ["calibration", "bin", "pairs", "probability", "share"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def genre_counts(splits: Mapping[str, Split]) -> pd.DataFrame:
    """How many posters of each split have each genre: split, genre, posters."""
    counts = [
        (name, genre, int(n))
        for name, split in splits.items()
        for genre, n in zip(split.genres, split.labels.sum(axis=0, dtype=np.int64), strict=True)
    ]
    return pd.DataFrame(counts, columns=["split", "genre", "posters"])


def cooccurrence(splits: Mapping[str, Split]) -> pd.DataFrame:
    """How many posters of all splits have two genres: genre, other, posters; with itself: how many have the genre."""
    genres = splits["train"].genres
    labels = np.concatenate([split.labels for split in splits.values()]).astype(np.int64)
    both = labels.T @ labels
    counts = [(one, other, int(both[j, k])) for j, one in enumerate(genres) for k, other in enumerate(genres)]
    return pd.DataFrame(counts, columns=["genre", "other", "posters"])
