"""Writes what the scrape stage leaves: posters in tar shards, and the manifest beside them."""

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
    """Write the tar shards and the manifest into an empty folder.

    Tar shard k holds the posters of `shard_rows` catalogue rows from row k * shard_rows + 1 on, sorted by name and
    without times. So the same posters give the same bytes, and a poster that comes later changes one tar shard.
    """
    remaining, number = iter(rows), 0
    with (folder / FILE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        while shard := list(islice(remaining, shard_rows)):
            written = _write_shard(folder / f"shard-{number:05d}.tar", shard, downloads)
            table.writerows(astuple(row) for row in written)
            number += 1


def _write_shard(file: Path, rows: Sequence[Row], downloads: Downloads) -> list[Row]:
    """Write one tar shard, unless none of the rows has a poster; returns the rows with the shard's name."""
    written = {row.row: row for row in rows}
    with_poster = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.film_id)
    if with_poster:
        with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row in with_poster:
                poster = downloads.get(row.asked)
                member = tarfile.TarInfo(f"{row.film_id}.{poster.extension}")
                member.size = len(poster.body)
                tar.addfile(member, io.BytesIO(poster.body))
                written[row.row] = replace(row, shard=file.name)
    return list(written.values())
