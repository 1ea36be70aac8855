"""The results table that `postergenre results` prints."""

import textwrap

from postergenre.evaluation.comparison import Comparison, Verdict
from postergenre.evaluation.metrics import MAIN, METRICS

# Stands after the model's value.
MARKS = {Verdict.BETTER: " ", Verdict.UNSURE: "~", Verdict.NOT_BETTER: "*"}


def results_table(comparison: Comparison) -> str:
    """The main metrics as a table for a terminal: the model with its 95 % interval, its parts, then each baseline."""
    others = [*comparison.parts, *comparison.baselines]
    rows = [["", "model ", "95 % interval", *others]]
    verdicts = [comparison.verdict(key) for key in MAIN]
    for key, verdict in zip(MAIN, verdicts, strict=True):
        model = comparison.score(key).format()
        values = [comparison.score(key, name).format().value for name in others]
        rows.append([METRICS[key].heading, model.value + MARKS[verdict], model.interval, *values])
    notes = [f"{MARKS[each]} {each.explanation}" for each in (Verdict.UNSURE, Verdict.NOT_BETTER) if each in verdicts]
    return "\n".join([*_aligned(rows), *notes])


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
