"""`per_genre.csv`: the metrics of each genre."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre.evaluation.arrays import ratio
from postergenre.evaluation.bootstrap import original_counts, percentile_interval
from postergenre.evaluation.evaluator import Evaluator, Predictions


def per_genre_table(
    labels: npt.NDArray[np.uint8], predictions: Predictions, resample_counts: npt.NDArray[np.integer]
) -> pd.DataFrame:
    """A row for each genre.

    prevalence: the genre's share of the posters, which is also the average precision of a constant score.
    average_precision: NaN without positives, as is roc_auc.
    low, high: the 95 % percentile interval of average_precision. One genre's interval is so wide that the bias which
        `bootstrap.basic_interval` corrects does not matter.
    roc_auc: also NaN without negatives.
    threshold: of the predictions.
    precision: 0 where the genre was never predicted.
    recall: 0 where no poster has the genre.
    f1: at the threshold, as precision and recall.

    Args:
        labels: multi-hot, `(posters, genres)`.
        predictions: for these posters, one row each.
        resample_counts: from `bootstrap.resample_counts`.
    """
    evaluator = Evaluator(labels, predictions)
    areas = evaluator.per_genre(original_counts(len(labels)))
    low, high = percentile_interval(evaluator.per_genre(resample_counts)["average_precision"])
    predicted = predictions.probabilities >= predictions.thresholds
    pairs = (labels * predicted, predicted, labels)
    hits, predicted_posters, true_posters = (pair.sum(axis=0, dtype=np.float64) for pair in pairs)
    return pd.DataFrame(
        {
            "prevalence": labels.mean(axis=0),
            "average_precision": areas["average_precision"][0],
            "low": low,
            "high": high,
            "roc_auc": areas["roc_auc"][0],
            "threshold": predictions.thresholds,
            "precision": ratio(hits, predicted_posters),
            "recall": ratio(hits, true_posters),
            "f1": ratio(2 * hits, predicted_posters + true_posters),
        }
    )
