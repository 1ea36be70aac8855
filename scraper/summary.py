"""How a crawl ended: counts for the terminal and reports/scrape.json, and whether the stage may go on."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from postergenre.data.manifest import Row
from postergenre.errors import InputError
from scraper.wanted import host_of

# So many of the most frequent reasons are listed.
REASONS = 5
# The statuses of rows that have no source to ask.
NOT_FETCHABLE = ("bad-id", "duplicate", "no-link")


@dataclass(frozen=True)
class Summary:
    """Counts of catalogue rows.

    statuses: rows by status.
    misses: rows that had a source and got no poster, by `status, reason`.
    not_asked: those of them that an earlier crawl asked in vain and this one did not ask again, by the same.
    refusals: rows that were refused, by the host that refused them.
    """

    statuses: Counter[str]
    misses: Counter[str]
    not_asked: Counter[str]
    refusals: Counter[str]

    @property
    def fetchable(self) -> int:
        """Rows that had a source to ask."""
        return self.statuses["ok"] + self.misses.total()

    @property
    def success(self) -> float:
        """The share of fetchable rows that got their poster, 0 to 1."""
        return self.statuses["ok"] / self.fetchable if self.fetchable else 0.0

    def as_json(self) -> dict[str, Any]:
        """The content of reports/scrape.json."""
        return {
            "rows": self.statuses.total(),
            "success": round(self.success, 6),
            "status": dict(self.statuses.most_common()),
            "reasons": [f"{times:,} {reason}" for reason, times in self.misses.most_common(REASONS)],
        }

    def __str__(self) -> str:
        """A few lines for the terminal."""
        statuses = ", ".join(f"{times:,} {status}" for status, times in self.statuses.most_common())
        reasons = [
            f"{times:,} {reason}{self.tell_not_asked(reason)}" for reason, times in self.misses.most_common(REASONS)
        ]
        return "\n  ".join([f"{self.statuses.total():,} catalogue rows: {statuses}", *reasons])

    def tell_not_asked(self, reason: str) -> str:
        """Words that follow a reason, "" where all its posters were asked for."""
        times = self.not_asked[reason]
        return f" ({'' if times == self.misses[reason] else f'{times:,} of them '}not asked again)" if times else ""


def summarize(rows: Iterable[Row], is_earlier_miss: Callable[[str], bool]) -> Summary:
    """Count the manifest's rows.

    is_earlier_miss: whether a source, by its URL, gave no poster to an earlier crawl and was not asked by this one.
    """
    summary = Summary(Counter(), Counter(), Counter(), Counter())
    for row in rows:
        summary.statuses[row.status] += 1
        if row.status not in (*NOT_FETCHABLE, "ok"):
            reason = f"{row.status}, {row.reason}"
            summary.misses[reason] += 1
            summary.not_asked[reason] += is_earlier_miss(row.asked)
        if row.status == "refused":
            summary.refusals[host_of(row.url or row.asked)] += 1
    return summary


def check(summary: Summary, min_success: float, blocked: Mapping[str, str]) -> None:
    """Check that no host cut the crawl short, and that enough posters came.

    min_success: the least share of fetchable rows with a poster, 0 to 1.
    blocked: the hosts that turned us away, each with the reason.

    Raises:
        InputError: with what went wrong, and what to do.
    """
    if not summary.fetchable:
        raise InputError(
            f"none of the catalogue's {summary.statuses.total():,} rows has an IMDb id and a link that scrape.source "
            "could ask"
        )
    for host, reason in blocked.items():
        raise InputError(
            f"{host} blocked us ({reason}), {summary.refusals[host]:,} of its posters did not come; what came is kept: "
            "`dvc repro` goes on without them, `-S scrape.retry_failed=true` asks for them again, better on another day"
        )
    if summary.success < min_success:
        (reason, times), *_ = summary.misses.most_common(1)
        raise InputError(
            f"{summary.success:.1%} of {summary.fetchable:,} posters came and scrape.min_success asks "
            f"{min_success:.1%}; most often: {reason} ({times:,} times){summary.tell_not_asked(reason)}; what came is "
            "kept, `dvc exp run -S scrape.retry_failed=true` asks for the rest again"
        )
