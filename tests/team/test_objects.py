"""How many objects the remote is sent: object stores answer one at a time, and nobody wants to send all for a few."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import support
from tests.factories import dvc_, make_films, make_project, postergenre, read_lock
from tests.support import ROOT, Site

REAL_ROWS, REAL_OBJECTS = 6_696, 60


@pytest.fixture
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


def objects(folder: Path) -> dict[str, str]:
    """The path of each cached output by the object in the remote that holds it."""
    paths: dict[str, str] = {}
    for out in (out for stage in read_lock(folder).values() for out in stage["outs"]):
        listing = folder / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]
        parts = json.loads(listing.read_text()) if listing.suffix == ".dir" else []
        paths |= {part["md5"]: f"{out['path']}/{part['relpath']}" for part in parts} | {out["md5"]: out["path"]}
    return paths


def held(remote: Path) -> set[str]:
    return {file.parent.name + file.name for file in (remote / "files/md5").glob("*/*")}


def test_films_that_come_later_cost_what_is_new_and_one_shard(tmp_path: Path, site: Site) -> None:
    """35 films, then 10 more: of shards of 10 rows the fourth grows, the fifth is new, three are not sent again."""
    folder = make_project(tmp_path / "project", site, scrape={"shard_rows": 10})
    postergenre(folder, "team", str(tmp_path / "remote"))
    sent = []
    for count in (35, 45):
        support.write_catalogue(folder / "films.csv", make_films(site)[:count])
        dvc_(folder, "repro", "dataset")
        before = held(tmp_path / "remote")
        postergenre(folder, "push")
        now = objects(folder)
        sent.append(sorted(now[one] for one in held(tmp_path / "remote") - before))
    first, second = sent
    for objects_sent, numbers in ((first, range(4)), (second, (3, 4))):  # of posters: their arrays do not travel
        shards = [name for name in objects_sent if "/shard-" in name]
        assert shards == [f"data/posters/shard-0000{number}.tar" for number in numbers]
    posters = [path for path in site.requests if path != "/robots.txt"]
    assert sorted(posters) == sorted(f"/{number}.jpg" for number in range(1, 46))  # none was fetched twice


def test_the_whole_real_catalogue_is_few_objects() -> None:
    """As the sample's dvc.lock counts them, with the shards of as many rows; a directory is an object, a run too."""
    stages = read_lock(ROOT)
    files = [out.get("nfiles", 0) + 1 for stage in stages.values() for out in stage["outs"]]
    sample = stages["scrape"]["outs"][0]["nfiles"] - 1  # without the manifest
    rows = yaml.safe_load((ROOT / "params.yaml").read_text())["scrape"]["shard_rows"]
    real = math.ceil(REAL_ROWS / rows)
    assert sum(files) + len(stages) + 2 * (real - sample) <= REAL_OBJECTS
