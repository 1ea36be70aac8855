"""Whether pictures are like the test posters, on which the model was judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.networks.text.fusion import log_odds
from postergenre.prediction import picture_statistics
from postergenre.prediction.drift_reference import Pictures

# Of pictures that are like the test posters, this share of folders is called different.
LEVEL = 0.01
# Of fewer pictures the test tells nothing, and of fewer than the second only large differences.
LEAST, FEW = 20, 100
# So many pictures of each kind are compared in the test, and their kinds exchanged so often.
MOST = 1000
PERMUTATIONS = 999
# Where vectors are all alike, their median distance is 0.
SMALLEST = 1e-7


@dataclass(frozen=True)
class Change:
    """A figure's mean over the pictures beside that over the test posters.

    spread: the standard deviation over the test posters.
    by_chance: whether pictures like the test posters may differ as much.
    """

    mean: float
    reference: float
    spread: float
    by_chance: bool

    @property
    def difference(self) -> float:
        return self.mean - self.reference

    @property
    def size(self) -> float:
        """The difference in standard deviations."""
        return abs(self.difference) / self.spread if self.spread else 0.0


@dataclass(frozen=True)
class Drift:
    """What `compare` found.

    pictures: how many.
    reference: how many test posters.
    genres: the mean probability of each.
    statistics: the mean of each figure in `picture_statistics`; without those that are not known.
    by: what the test compared: `features`, or `probabilities` where the network tells no features.
    p: how often pictures like the test posters would differ as much; None where the pictures are too few.
    """

    pictures: int
    reference: int
    genres: dict[str, Change]
    statistics: dict[str, Change]
    by: str
    p: float | None

    @property
    def drifted(self) -> bool | None:
        """Whether the pictures differ from the test posters; None where they are too few to tell."""
        return None if self.p is None else self.p <= LEVEL

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.p is None:
            return f"{_count(self.pictures)} too few to compare with the test posters; {LEAST} are the least."
        test = f"p = {self.p:.3f}, by the network's {self.by}"
        if not self.drifted:
            hint = "; of so few, only a large difference would show" if self.pictures < FEW else ""
            like = f"like the {self.reference:,} test posters as far as the test sees"
            return f"{_count(self.pictures)} {like} ({test}{hint})."
        changes = sorted((self.genres | self.statistics).items(), key=lambda item: -item[1].size)
        most = ", ".join(f"{name} {_compare(change)}" for name, change in changes[:3] if not change.by_chance)
        figures = f"; most of all {most}" if most else ""
        return (
            f"{_count(self.pictures)} not like the {self.reference:,} test posters ({test}){figures}: "
            "the report's figures need not hold for them."
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, for a program."""

        def table(changes: dict[str, Change]) -> dict[str, Any]:
            return {
                name: {
                    "mean": round(change.mean, 6),
                    "reference": round(change.reference, 6),
                    "difference": round(change.difference, 6),
                    "by_chance": change.by_chance,
                }
                for name, change in changes.items()
            }

        test = {"method": "MMD", "by": self.by, "p": self.p, "level": LEVEL}
        return {
            "pictures": self.pictures,
            "reference": self.reference,
            "drifted": self.drifted,
            "verdict": self.verdict,
            "test": test,
            "genres": table(self.genres),
            "statistics": table(self.statistics),
        }


def compare(pictures: Pictures, reference: Pictures, genres: Sequence[str], permutations: int = PERMUTATIONS) -> Drift:
    """Compare pictures with the test posters.

    Each genre's and each figure's means are compared at `LEVEL` for all of them together (Bonferroni). The verdict
    comes from one test of all features at once, `two_sample_p`.
    """
    columns = len(genres) + len(picture_statistics.NAMES)
    chance = NormalDist().inv_cdf(1 - LEVEL / 2 / columns)
    return Drift(
        len(pictures),
        len(reference),
        dict(_changes(genres, pictures.probabilities, reference.probabilities, chance)),
        dict(_changes(picture_statistics.NAMES, pictures.statistics, reference.statistics, chance)),
        *_test(pictures, reference, permutations),
    )


def two_sample_p(ours: npt.NDArray[np.floating], theirs: npt.NDArray[np.floating], permutations: int) -> float:
    """How often vectors `(n, k)` and `(m, k)` of one source would differ as much as these do, in (0, 1].

    Method: the maximum mean discrepancy (Gretton et al. 2012, JMLR 13), with a Gaussian kernel as wide as the median
    distance and the share of exchanged samples that differ at least as much; Rabanser et al. 2019 (arXiv:1810.11953)
    found it good at noticing shifts of pictures by a network's features. At most `MOST` of each are used.
    """
    random = np.random.default_rng(0)
    ours, theirs = (vectors[np.sort(random.permutation(len(vectors))[:MOST])] for vectors in (ours, theirs))
    n, both = len(ours), np.concatenate([ours, theirs]).astype(np.float64)
    squares = (both**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * both @ both.T, 0)
    kernel = np.exp(-distances / max(float(np.median(distances[np.triu_indices(len(both), 1)])), SMALLEST))
    np.fill_diagonal(kernel, 0)
    chosen = np.zeros((len(both), permutations + 1))
    chosen[:n, 0] = 1
    for column in range(1, permutations + 1):
        chosen[random.permutation(len(both))[:n], column] = 1
    discrepancies = _discrepancies(kernel, chosen, n)
    # Equal up to rounding: those of samples that exchange pictures with equal features.
    return float((discrepancies >= discrepancies[0] - 1e-12).mean())


def _discrepancies(kernel: npt.NDArray[np.float64], chosen: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    """The squared maximum mean discrepancy, unbiased, between the n vectors that a column chooses and the others."""
    m = len(kernel) - n
    inside = (chosen * (kernel @ chosen)).sum(axis=0)
    across = kernel.sum(axis=1) @ chosen - inside
    outside = kernel.sum() - 2 * across - inside
    discrepancies: npt.NDArray[np.float64] = inside / (n * (n - 1)) + outside / (m * (m - 1)) - 2 * across / (n * m)
    return discrepancies


def _test(pictures: Pictures, reference: Pictures, permutations: int) -> tuple[str, float | None]:
    """What the test compares, and its p."""
    if pictures.vectors.size and reference.vectors.size:
        by = "features"
        sides: tuple[npt.NDArray[np.floating], ...] = (pictures.vectors, reference.vectors)
    else:
        by, sides = "probabilities", (log_odds(pictures.probabilities), log_odds(reference.probabilities))
    enough = min(map(len, sides)) >= LEAST
    return by, two_sample_p(sides[0], sides[1], permutations) if enough else None


def _changes(
    names: Sequence[str], ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32], chance: float
) -> Iterator[tuple[str, Change]]:
    """The change of each column that is known on both sides.

    chance: so many standard errors may lie between two means.
    """
    for column, name in enumerate(names):
        known = [side[~np.isnan(side[:, column]), column].astype(np.float64) for side in (ours, theirs)]
        if not all(map(len, known)):
            continue
        (mean, reference), spread = map(np.mean, known), float(np.std(known[1]))
        error = sum(np.var(side) / len(side) for side in known) ** 0.5
        yield name, Change(float(mean), float(reference), spread, bool(abs(mean - reference) <= chance * error))


def _count(pictures: int) -> str:
    return "1 picture is" if pictures == 1 else f"{pictures:,} pictures are"


def _compare(change: Change) -> str:
    digits = 2 if abs(change.reference) < 10 else 0
    return f"{change.mean:.{digits}f} against {change.reference:.{digits}f}"
