"""`subgroups.csv`: how the model does on films by their number of genres, their decade, and the words on the poster."""

import re
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre.data.split_tables import Split
from postergenre.evaluation.baselines import GENRE_PRIOR
from postergenre.evaluation.bootstrap import percentile_interval
from postergenre.evaluation.comparison import MODEL, PICTURE_ALONE
from postergenre.evaluation.evaluator import Predictions, lrap_per_poster

# As in "Alien (1979)", "Crash (1996/II)", "Roots (TV Mini Series 1977)" and "Duel (1971) (TV)". Of a range of years,
# with whatever dash between them, the first.
YEAR = re.compile(
    r"\((?:[^()\d]*\s)?((?:18|19|20)\d\d)(?:/[IVX]+|[^\w()]++(?:\d{4}[^\w()]*+)?)?\)"
    r"(?:\s*\([^()\d]*\))*\s*$"
)
NO_YEAR = "no year in the title"
MOST_GENRES = 3
# The fewest words of each group but the first, which has none to two.
WORDS = (3, 8, 20, 50)
COLUMNS = ["kind", "group", "posters", "lrap", "low", "high"]


def subgroup_table(
    test: Split,
    titles: Mapping[str, str],
    words: Sequence[int] | None,
    predictions: Mapping[str, Predictions],
    resample_counts: npt.NDArray[np.integer],
) -> pd.DataFrame:
    """A row for each group of test posters.

    kind: `genres`, `decade` or `words`.
    group: such as `2 genres`, `1980s` or `NO_YEAR`, `8 to 19 words`.
    posters: how many test posters are in the group.
    lrap: label ranking average precision of the model.
    low, high: its 95 % percentile interval.
    prior: LRAP of the genre prior.
    picture: LRAP of the picture alone; no such column where the model has no parts.

    Args:
        test: the test posters.
        titles: by film id.
        words: how many were read on each test poster; None where they were not read.
        predictions: for the test posters, those of the model, of the genre prior and of the model's parts among them.
        resample_counts: from `bootstrap.resample_counts`.
    """
    names = {"prior": GENRE_PRIOR, "picture": PICTURE_ALONE}
    others = {column: predictions[name] for column, name in names.items() if name in predictions}
    model, *lrap_of_others = (lrap_per_poster(test.labels, each) for each in (predictions[MODEL], *others.values()))
    rows = []
    kinds = {"genres": _by_genres(test), "decade": _by_decade(test, titles)}
    if words is not None:
        kinds["words"] = [_words(count) for count in words]
    for kind, groups in kinds.items():
        for group in sorted(set(groups), key=_order):
            members = np.array([each == group for each in groups])
            low, high = _interval(model[members], resample_counts[:, members])
            means = (lrap[members].mean() for lrap in lrap_of_others)
            rows.append((kind, group, int(members.sum()), model[members].mean(), low, high, *means))
    return pd.DataFrame(rows, columns=[*COLUMNS, *others])


def _by_genres(test: Split) -> list[str]:
    counts = test.labels.sum(axis=1)
    return [f"{n} genre{'s' if n != 1 else ''}" if n < MOST_GENRES else f"{MOST_GENRES} or more" for n in counts]


def _by_decade(test: Split, titles: Mapping[str, str]) -> list[str]:
    years = [YEAR.search(titles.get(film_id, "")) for film_id in test.film_ids]
    return [f"{year[1][:3]}0s" if year else NO_YEAR for year in years]


def _words(count: int) -> str:
    place = sum(count >= fewest for fewest in WORDS)
    bounds = (0, *WORDS)
    return (
        f"{bounds[place]} words or more" if place == len(WORDS) else f"{bounds[place]} to {bounds[place + 1] - 1} words"
    )


def _order(group: str) -> tuple[int, str]:
    """Groups by the number that they begin with."""
    number = re.match(r"\d+", group)
    return (int(number[0]) if number else sys.maxsize, group)


def _interval(values: npt.NDArray[np.float64], resample_counts: npt.NDArray[np.integer]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean, over the resamples that contain any of the posters."""
    posters = resample_counts.sum(axis=1)
    means = (resample_counts @ values)[posters > 0] / posters[posters > 0]
    low, high = percentile_interval(means) if len(means) else (np.nan, np.nan)
    return float(low), float(high)
