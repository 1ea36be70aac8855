"""The scrape stage's output: posters in tar shards, and a manifest in which every catalogue row has its end."""

import io
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import pandas as pd

from postergenre.downloads import Downloads
from postergenre.errors import InputError

FILE = "manifest.csv"


@dataclass(frozen=True)
class Row:
    """One catalogue row's end.

    status: `ok`, `duplicate` (an earlier or better row has the film), `bad-id`, `no-link`, or why the poster did not
    come (`gone`, `refused`, `failed`, `not-a-poster`). genres: joined by `|`. url: what was asked last, "" for nothing.
    http_status, bytes: 0 for none. shard: the tar that holds `<imdb_id>.<extension>`.
    """

    row: int
    imdb_id: str
    title: str
    genres: str
    url: str
    status: str
    reason: str
    http_status: int = 0
    sha256: str = ""
    bytes: int = 0
    shard: str = ""


def write(folder: Path, rows: Sequence[Row], downloads: Downloads, shard_rows: int) -> None:
    """Write the shards and the manifest into an empty folder.

    Shard k holds the posters of catalogue rows k * shard_rows + 1 and on, sorted by name and without times: the same
    posters give the same bytes, and a poster that comes later changes its own shard alone.
    """
    done: list[Row] = []
    for number, start in enumerate(range(0, len(rows), shard_rows)):
        done += _write_shard(folder / f"shard-{number:05d}.tar", rows[start : start + shard_rows], downloads)
    table = pd.DataFrame([astuple(row) for row in done], columns=[field.name for field in fields(Row)])
    table.to_csv(folder / FILE, index=False, lineterminator="\n")


def _write_shard(file: Path, rows: Sequence[Row], downloads: Downloads) -> list[Row]:
    done = {row.row: row for row in rows}
    held = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.imdb_id)
    if held:
        with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row in held:
                poster = downloads.get(row.url)
                member = tarfile.TarInfo(f"{row.imdb_id}.{poster.extension}")
                member.size = len(poster.body)
                tar.addfile(member, io.BytesIO(poster.body))
                done[row.row] = replace(
                    row, http_status=poster.http_status, sha256=poster.sha256, bytes=member.size, shard=file.name
                )
    return list(done.values())


def read(file: Path) -> pd.DataFrame:
    """The manifest's table, numbers as int64 and all else as text.

    Raises:
        InputError: the file is missing or has other columns.
    """
    columns = [field.name for field in fields(Row)]
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{file} is missing; `dvc repro scrape` writes it") from None
    if list(table.columns) != columns:
        raise InputError(f"{file} has the columns {', '.join(table.columns)}; a manifest has {', '.join(columns)}")
    return table.astype({"row": int, "http_status": int, "bytes": int})


def summary(rows: Iterable[Row]) -> str:
    """Counts by status, and the most frequent reasons: what a crawl ends by printing."""
    rows = list(rows)
    statuses = Counter(row.status for row in rows)
    lines = [f"{len(rows):,} catalogue rows: " + ", ".join(f"{n:,} {status}" for status, n in statuses.most_common())]
    reasons = Counter((row.status, row.reason) for row in rows if row.status not in ("ok", "duplicate", "no-link"))
    lines += [f"  {n:5,}  {status}: {reason}" for (status, reason), n in reasons.most_common(5)]
    return "\n".join(lines)
