"""What the scrape stage leaves: posters in tar shards, and the manifest beside them."""

import csv
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from itertools import islice
from pathlib import Path

from postergenre.data.manifest import COLUMNS, FILE, Row
from scraper.downloads import Downloads


def write(folder: Path, rows: Iterable[Row], downloads: Downloads, shard_rows: int) -> None:
    """Write the shards and the manifest into an empty folder.

    Shard k holds the posters of catalogue rows k * shard_rows + 1 and on, sorted by name and without times: the same
    posters give the same bytes, and a poster that comes later changes its own shard alone.
    """
    ends, number = iter(rows), 0
    with (folder / FILE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        while some := list(islice(ends, shard_rows)):
            done = _write_shard(folder / f"shard-{number:05d}.tar", some, downloads)
            table.writerows(astuple(row) for row in done)
            number += 1


def _write_shard(file: Path, rows: Sequence[Row], downloads: Downloads) -> list[Row]:
    done = {row.row: row for row in rows}
    held = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.imdb_id)
    if held:
        with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row in held:
                poster = downloads.get(row.asked)
                member = tarfile.TarInfo(f"{row.imdb_id}.{poster.extension}")
                member.size = len(poster.body)
                tar.addfile(member, io.BytesIO(poster.body))
                done[row.row] = replace(row, shard=file.name)
    return list(done.values())
