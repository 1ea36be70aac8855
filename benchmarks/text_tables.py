"""The tables of `benchmarks.text`, in Markdown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import numpy.typing as npt

from benchmarks import text_rules
from benchmarks.text_trials import WHOLE, Learned, Posters, Trial, gain, restrict, scores
from postergenre.evaluation.model_difference import Difference
from postergenre.evaluation.subgroups import YEAR
from postergenre.networks.text.model import NGRAMS, PICTURE, VECTORS

BOTH, ALONE = (PICTURE, NGRAMS, VECTORS), (NGRAMS, VECTORS)
# The sources of each row.
SOURCES: dict[str, Sequence[str]] = {
    "picture alone": (PICTURE,),
    "n-grams alone": (NGRAMS,),
    "vectors alone, of the whole text": (WHOLE,),
    "vectors alone, of the whole text and of the title": (VECTORS,),
    "n-grams and vectors": ALONE,
    "picture and n-grams": (PICTURE, NGRAMS),
    "picture and vectors, of the whole text": (PICTURE, WHOLE),
    "picture and vectors, of the whole text and of the title": (PICTURE, VECTORS),
    "all": BOTH,
}
SHUFFLED = "all, each poster with another's text"
FIRST_YEAR = 2010
HEADINGS = ("", "validation mAP", "ROC-AUC", "test mAP", "ROC-AUC", "gain in test mAP (95 %)")
GROUP_HEADINGS = ("", "posters", "LRAP of the picture alone", "of all", "gain (95 %)")
# By row what was learned, by seed, and the sources.
Rows = Mapping[str, tuple[Sequence[Learned], Sequence[str]]]
# From the posters of a split to those that are predicted for.
Change = Callable[[Posters], Posters]
Bools = npt.NDArray[np.bool_]


def table(rows: Rows, change: Change = lambda posters: posters) -> list[str]:
    """A line for each row: mAP and ROC-AUC, and the gain in test mAP beside the picture alone.

    Figures are means over the seeds, with their standard deviation where there are several. The gain and its interval
    are the first seed's.
    """
    lines = _heading(HEADINGS)
    for name, (learned, sources) in rows.items():
        figures: list[list[float]] = []
        for each in learned:
            fused, sides = each.fuse(sources), [change(each.val), change(each.test)]
            figures.append([value for side in sides for value in scores(side, fused.predict(side)).values()])
        cells = [_over_seeds(values) for values in zip(*figures, strict=True)]
        test, found = change(learned[0].test), ""
        if tuple(sources) != (PICTURE,):
            predicted, other = (learned[0].fuse(names).predict(test) for names in (sources, (PICTURE,)))
            found = _signed(gain(test, predicted, other, "map"))
        lines.append(_row(name, *cells, found))
    return lines


def compare_sources(learned: Sequence[Learned]) -> str:
    """What each source is worth, and all of them where the posters have each other's texts."""
    lines = table({name: (learned, sources) for name, sources in SOURCES.items()})
    shuffled = table({SHUFFLED: (learned, BOTH)}, lambda posters: posters.with_shuffled_texts(1))
    return "\n".join([*lines, shuffled[-1]])


def compare_masked(trial: Trial, learned: Sequence[Learned], seeds: Sequence[int]) -> str:
    """What the text is worth without lines that look like persons' names."""
    masked = replace(trial, lines=[text_rules.without_cast(lines) for lines in trial.lines])
    before, after = (sum(map(len, each.lines)) for each in (trial, masked))
    without = [masked.learn(seed) for seed in seeds]
    rows = {
        "text alone": (learned, ALONE),
        "text alone, without names": (without, ALONE),
        "all": (learned, BOTH),
        "all, without names": (without, BOTH),
    }
    left = mean(map(_test_gain, without)) / mean(map(_test_gain, learned))
    taken = f"{before - after:,} of {before:,} lines look like persons' names, by `text_rules.is_cast`."
    lines = [f"{taken} Without them, {left:.0%} of the text's gain in test mAP is left.", "", *table(rows)]
    return "\n".join(lines)


def compare_decades(trial: Trial, learned: Sequence[Learned], titles: Mapping[str, str], seeds: Sequence[int]) -> str:
    """What the texts of earlier films tell of later ones. titles: by film id."""
    splits = trial.data.train, trial.data.val, trial.test
    train, val, test = (np.array([_year(titles.get(film_id, "")) for film_id in each.film_ids]) for each in splits)
    earlier, later = [(years > 0) & (years < FIRST_YEAR) for years in (train, val)], test >= FIRST_YEAR
    random = np.random.default_rng(1)

    def learn(train: Bools, val: Bools) -> list[Learned]:
        data = replace(trial.data, train=restrict(trial.data.train, train), val=restrict(trial.data.val, val))
        some = replace(trial, data=data, test=restrict(trial.test, later))
        return [some.learn(seed) for seed in seeds]

    of_all = [replace(each, test=each.test.take(later)) for each in learned]
    texts_of = {
        "all films": of_all,
        "as many films, of all years": learn(*(random.permutation(chosen) for chosen in earlier)),
        f"films before {FIRST_YEAR}": learn(*earlier),
    }
    rows: dict[str, tuple[Sequence[Learned], Sequence[str]]] = {"picture alone": (of_all, (PICTURE,))}
    rows |= {f"text alone, trained on {name}": (each, ALONE) for name, each in texts_of.items()}
    rows |= {f"all, text trained on {name}": (each, BOTH) for name, each in texts_of.items()}
    about = (
        f"{later.sum():,} test films of {FIRST_YEAR} and later, {earlier[0].sum():,} training films before, by the "
        "years in the titles. The picture's network was trained on films of all years, in all rows."
    )
    return "\n".join([about, "", *table(rows)])


def compare_languages(trial: Trial, learned: Learned) -> str:
    """LRAP on posters that are hardly English, and on others, by the picture alone and by all sources."""
    lines = [trial.lines[row] for row in (*trial.data.val.rows, *trial.test.rows)]
    foreign, english = (np.array(list(map(rule, lines))) for rule in (text_rules.is_foreign, text_rules.has_english))
    posters, picture, both = learned.val.join(learned.test), learned.fuse((PICTURE,)), learned.fuse(BOTH)
    groups = {
        "hardly English": foreign,
        "none of the frequent English words": posters.have_text & ~english & ~foreign,
        "some of them": english & ~foreign,
    }
    rows = _heading(GROUP_HEADINGS)
    for name, chosen in groups.items():
        if chosen.any():
            group = posters.take(chosen)
            found = gain(group, both.predict(group), picture.predict(group), "lrap")
            rows.append(_row(name, f"{chosen.sum():,}", f"{found.other:.3f}", f"{found.one:.3f}", _signed(found)))
    about = "Validation and test posters, by the rules `text_rules.is_foreign` and `has_english`."
    return "\n".join([about, "", *rows])


def _test_gain(learned: Learned) -> float:
    picture, both = (scores(learned.test, learned.fuse(names).predict(learned.test)) for names in ((PICTURE,), BOTH))
    return both["map"] - picture["map"]


def _year(title: str) -> int:
    """0 for none."""
    found = YEAR.search(title)
    return int(found[1]) if found else 0


def _over_seeds(values: Sequence[float]) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"


def _signed(found: Difference) -> str:
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _heading(names: Sequence[str]) -> list[str]:
    return [_row(*names), "|---" + "|--:" * (len(names) - 1) + "|"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
