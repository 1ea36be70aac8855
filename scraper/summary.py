"""How a crawl ended: counts for the terminal and reports/scrape.json, and whether the stage may go on."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from postergenre.data.manifest import Row
from postergenre.errors import InputError
from scraper.wanted import host_of

# So many of the most frequent reasons are listed.
REASONS = 5
# The statuses of rows that have no source to ask.
NOT_FETCHABLE = ("duplicate", "no-film", "no-link")
# The statuses of rows that the catalogue should have right: they count as posters that did not come.
FAULTY = ("bad-id", "bad-row")
# So many of the films whose rows differ are named.
EXAMPLES = 3


@dataclass(frozen=True)
class Summary:
    """Counts of catalogue rows.

    statuses: rows by status.
    misses: rows that had a source and got no poster, by `status, reason`.
    not_asked: those of them that an earlier crawl asked in vain and this one did not ask again, by the same.
    refusals: rows that were refused, by the host that refused them.
    first_faults: the first reason for each of `FAULTY`.
    merged: the genres of the films whose rows differ in them, put together, by film.
    retitled: the rows that have another title than their film, as `ID in row 5 is TITLE`.
    """

    statuses: Counter[str]
    misses: Counter[str]
    not_asked: Counter[str]
    refusals: Counter[str]
    first_faults: dict[str, str]
    merged: dict[str, str]
    retitled: list[str]

    @property
    def fetchable(self) -> int:
        """Rows that had a source to ask."""
        return self.statuses["ok"] + self.misses.total()

    @property
    def faulty(self) -> int:
        """Rows whose id or fields are wrong."""
        return sum(self.statuses[status] for status in FAULTY)

    @property
    def success(self) -> float:
        """The share of fetchable and faulty rows that got their poster, 0 to 1."""
        return self.statuses["ok"] / (self.fetchable + self.faulty) if self.fetchable else 0.0

    def as_json(self) -> dict[str, Any]:
        """The content of reports/scrape.json."""
        return {
            "rows": self.statuses.total(),
            "success": round(self.success, 6),
            "status": dict(self.statuses.most_common()),
            "reasons": [*self._faults(), *(f"{n:,} {reason}" for reason, n in self.misses.most_common(REASONS))],
        }

    def _faults(self) -> list[str]:
        """What is wrong with the catalogue: its faulty rows, and the films whose rows differ."""
        faults = [f"{self.statuses[status]:,} {status}; {reason}" for status, reason in self.first_faults.items()]
        if self.merged:
            films = [f"{film_id} has {genres}" for film_id, genres in islice(self.merged.items(), EXAMPLES)]
            more = ", ..." if len(self.merged) > EXAMPLES else ""
            faults.append(
                f"{len(self.merged):,} films have rows with different genres, put together: {', '.join(films)}{more}"
            )
        if self.retitled:
            more = ", ..." if len(self.retitled) > EXAMPLES else ""
            faults.append(
                f"{len(self.retitled):,} rows have another title than their film, and may be other films: "
                f"{', '.join(self.retitled[:EXAMPLES])}{more}"
            )
        return faults

    def __str__(self) -> str:
        """A few lines for the terminal."""
        statuses = ", ".join(f"{times:,} {status}" for status, times in self.statuses.most_common())
        reasons = [
            f"{times:,} {reason}{self.tell_not_asked(reason)}" for reason, times in self.misses.most_common(REASONS)
        ]
        return "\n  ".join([f"{self.statuses.total():,} catalogue rows: {statuses}", *self._faults(), *reasons])

    def tell_not_asked(self, reason: str) -> str:
        """Words that follow a reason, "" where all its posters were asked for."""
        times = self.not_asked[reason]
        return f" ({'' if times == self.misses[reason] else f'{times:,} of them '}not asked again)" if times else ""


def summarize(
    rows: Iterable[Row],
    is_earlier_miss: Callable[[str], bool] = lambda _: False,
    merged: Container[int] = (),
    retitled: Container[int] = (),
) -> Summary:
    """Count the manifest's rows.

    is_earlier_miss: whether a source, by its URL, gave no poster to an earlier crawl and was not asked by this one.
    merged: the rows that have the genres of several.
    retitled: the rows that have another title than their film.
    """
    summary = Summary(Counter(), Counter(), Counter(), Counter(), {}, {}, [])
    for row in rows:
        summary.statuses[row.status] += 1
        if row.row in merged:
            summary.merged[row.film_id] = row.genres
        if row.row in retitled:
            summary.retitled.append(f"{row.film_id} in row {row.row} is {row.title!r}")
        if row.status in FAULTY:
            summary.first_faults.setdefault(row.status, row.reason)
        elif row.status not in (*NOT_FETCHABLE, "ok"):
            reason = f"{row.status}, {row.reason}"
            summary.misses[reason] += 1
            summary.not_asked[reason] += is_earlier_miss(row.asked)
        if row.status == "refused":
            summary.refusals[host_of(row.url or row.asked)] += 1
    return summary


def check(summary: Summary, min_success: float, blocked: Mapping[str, str]) -> None:
    """Check that no host cut the crawl short, and that enough posters came.

    min_success: the least share of fetchable and faulty rows with a poster, 0 to 1.
    blocked: the hosts that turned us away, each with the reason.

    Raises:
        InputError: with what went wrong, and what to do.
    """
    faults = {f"{status}, first {text}": summary.statuses[status] for status, text in summary.first_faults.items()}
    if not summary.fetchable:
        listed = "".join(f"; {times:,} {reason}" for reason, times in faults.items())
        raise InputError(
            f"none of the catalogue's {summary.statuses.total():,} rows has an id and a link that scrape.source "
            f"could ask{listed}"
        )
    for host, reason in blocked.items():
        raise InputError(
            f"{host} blocked us ({reason}), {summary.refusals[host]:,} of its posters did not come; what came is kept: "
            "`dvc repro` goes on without them, `-S scrape.retry_failed=true` asks for them again, better on another day"
        )
    if summary.success < min_success:
        (reason, times), *_ = (summary.misses + Counter(faults)).most_common(1)
        remedy = "`dvc exp run -S scrape.retry_failed=true` asks for the rest again"
        raise InputError(
            f"{summary.success:.1%} of {summary.fetchable + summary.faulty:,} posters came and scrape.min_success asks "
            f"{min_success:.1%}; most often: {reason} ({times:,} times){summary.tell_not_asked(reason)}; what came is "
            f"kept, {remedy}"
        )
