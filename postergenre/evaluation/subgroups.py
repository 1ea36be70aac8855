"""For which films the network is better or worse: by how many genres they have, and by when they were released."""

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from postergenre.data.split_tables import Split
from postergenre.evaluation.metrics import Predictions, poster_ranking

# As in "Alien (1979)", "Crash (1996/II)", "Roots (TV Mini Series 1977)" and "Duel (1971) (TV)"; of years from one to
# another, whatever dash is between them, the first.
YEAR = re.compile(
    r"\((?:[^()\d]*\s)?((?:18|19|20)\d\d)(?:/[IVX]+|[^\w()]++(?:\d{4}[^\w()]*+)?)?\)"
    r"(?:\s*\([^()\d]*\))*\s*$"
)
NO_YEAR = "no year in the title"
MOST_GENRES = 3


def compare(
    test: Split, titles: Mapping[str, str], answers: Mapping[str, Predictions], drawn: npt.NDArray[np.integer]
) -> pd.DataFrame:
    """A row for each group of test posters: kind, group, posters, and LRAP of the network and of the genre prior.

    titles: by IMDb id; answers: to the test posters, the network's first; drawn: from `metrics.resamples`. Columns
    lrap, low, high: the network's with its 95 % percentile interval over the resamples; prior: the genre prior's.
    """
    (network, *_), prior = answers.values(), answers["genre prior"]
    of_network, of_prior = (poster_ranking(test.labels, answer) for answer in (network, prior))
    rows = []
    for kind, groups in (("genres", _by_genres(test)), ("decade", _by_decade(test, titles))):
        for name in sorted(set(groups)):
            chosen = np.array([group == name for group in groups])
            low, high = _interval(of_network[chosen], drawn[:, chosen])
            values = of_network[chosen].mean(), low, high, of_prior[chosen].mean()
            rows.append((kind, name, int(chosen.sum()), *values))
    return pd.DataFrame(rows, columns=["kind", "group", "posters", "lrap", "low", "high", "prior"])


def _by_genres(test: Split) -> list[str]:
    counts = test.labels.sum(axis=1)
    return [f"{n} genre{'s' if n != 1 else ''}" if n < MOST_GENRES else f"{MOST_GENRES} or more" for n in counts]


def _by_decade(test: Split, titles: Mapping[str, str]) -> list[str]:
    """Such as `1980s`, or `NO_YEAR`."""
    years = [YEAR.search(titles.get(imdb_id, "")) for imdb_id in test.imdb_ids]
    return [f"{year[1][:3]}0s" if year else NO_YEAR for year in years]


def _interval(values: npt.NDArray[np.float64], drawn: npt.NDArray[np.integer]) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the mean over resamples that hold any of the posters."""
    counts = drawn.sum(axis=1)
    means = (drawn @ values)[counts > 0] / counts[counts > 0]
    low, high = np.percentile(means, [2.5, 97.5]) if len(means) else (np.nan, np.nan)
    return float(low), float(high)
