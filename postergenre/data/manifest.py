"""The manifest beside the tar shards: one row for each catalogue row. The scraper writes it."""

from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from postergenre.errors import InputError

FILE = "manifest.csv"


@dataclass(frozen=True)
class Row:
    """One row of the manifest. Its fields are the columns of manifest.csv.

    row: the catalogue row, 1 for the first below the header.
    film_id: `tt0084058`, `tmdb603` or the catalogue's own, "" where the catalogue's id is none.
    title: as the catalogue has it, on one line.
    genres: canonical names joined by `|`.
    status: `ok`; `duplicate` (another row stands for the film), `bad-id`, `bad-row` (its fields or genres cannot be
        read), `no-film`, `no-link`; or why the poster did not come: `gone`, `refused`, `failed`, `not-a-poster`.
    reason: why, in a few words; "" for `ok`.
    asked: the source's URL, "" for none.
    url: what was fetched in the end, after redirects or by way of a film's page.
    http_status: of the last answer, 0 for none.
    attempts: requests that the source took.
    sha256: of the poster's bytes, "" for none.
    bytes: the poster's size, 0 for none.
    width, height: in pixels, 0 for none.
    shard: the tar shard that holds the poster as `<film_id>.<extension>`, "" for none.
    """

    row: int
    film_id: str
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
    """The manifest's table: numbers as int64, all else as text.

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
