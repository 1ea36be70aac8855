"""The scrape stage's output: posters in tar shards, and a manifest in which every catalogue row has its end."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from postergenre.errors import InputError

FILE = "manifest.csv"
# So many of the most frequent reasons are named.
REASONS = 5
# The ends of rows for which there was nowhere to ask.
NOT_ASKED = ("bad-id", "duplicate", "no-link")


@dataclass(frozen=True)
class Row:
    """One catalogue row's end.

    status: `ok`, `duplicate` (an earlier or better row has the film), `bad-id`, `no-link`, or why the poster did not
    come (`gone`, `refused`, `failed`, `not-a-poster`). genres: joined by `|`. asked: the source's URL, "" for none.
    url: what was fetched in the end, after redirects or from a film's page. attempts: requests that it took.
    http_status, bytes, width, height: 0 for none. shard: the tar that holds `<imdb_id>.<extension>`.
    """

    row: int
    imdb_id: str
    title: str
    genres: str
    status: str = ""
    reason: str = ""
    asked: str = ""
    url: str = ""
    http_status: int = 0
    attempts: int = 0
    sha256: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    shard: str = ""


COLUMNS = [field.name for field in fields(Row)]


def read(file: Path) -> pd.DataFrame:
    """The manifest's table, numbers as int64 and all else as text.

    Raises:
        InputError: the file is missing or has other columns.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{file} is missing; `dvc repro scrape` writes it") from None
    if list(table.columns) != COLUMNS:
        raise InputError(f"{file} has the columns {', '.join(table.columns)}; a manifest has {', '.join(COLUMNS)}")
    return table.astype({field.name: int for field in fields(Row) if field.type is int})


@dataclass(frozen=True)
class Summary:
    """How many catalogue rows ended how.

    status: rows by status. missed: those that had somewhere to ask and brought no poster, by `status, reason`.
    refused: rows that were refused, by the host that was asked.
    """

    status: Counter[str]
    missed: Counter[str]
    refused: Counter[str]

    @property
    def asked(self) -> int:
        """Rows for which there was somewhere to ask."""
        return self.status["ok"] + self.missed.total()

    @property
    def success(self) -> float:
        """The share of those whose poster came, 0 to 1."""
        return self.status["ok"] / self.asked if self.asked else 0.0

    def as_json(self) -> dict[str, Any]:
        """For reports/scrape.json."""
        return {
            "rows": self.status.total(),
            "success": round(self.success, 6),
            "status": dict(self.status.most_common()),
            "reasons": [f"{times:,} {reason}" for reason, times in self.missed.most_common(REASONS)],
        }

    def __str__(self) -> str:
        """As a crawl ends by printing it."""
        about = self.as_json()
        statuses = ", ".join(f"{times:,} {status}" for status, times in about["status"].items())
        return "\n  ".join([f"{about['rows']:,} catalogue rows: {statuses}", *about["reasons"]])


def summary(rows: Iterable[Row]) -> Summary:
    """Count the rows."""
    found = Summary(Counter(), Counter(), Counter())
    for row in rows:
        found.status[row.status] += 1
        if row.status not in (*NOT_ASKED, "ok"):
            found.missed[f"{row.status}, {row.reason}"] += 1
        if row.status == "refused":
            found.refused[urlsplit(row.asked).hostname or ""] += 1
    return found
