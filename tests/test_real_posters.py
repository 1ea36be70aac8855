"""The chain on 300 real posters, and crawls of all of them, where the collection lies beside the checkout."""

import importlib.util
import json
import random
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests import support
from tests.factories import make_project, read_manifest, read_scraped, repro, write_scrape_project
from tests.support import ROOT

POSTER_SITE = ROOT.parent / "shared/poster-site"


pytestmark = pytest.mark.skipif(not POSTER_SITE.is_dir(), reason=f"{POSTER_SITE.name} is not beside this checkout")


@contextmanager
def serving(*options: str) -> Iterator[str]:
    command = [sys.executable, str(POSTER_SITE / "serve.py"), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[3]
        finally:
            process.kill()


def real_catalogue(site: str, rows: int | None = None) -> str:
    lines = (POSTER_SITE / "MovieGenre.csv").read_text("latin-1").splitlines(keepends=True)
    return "".join(lines[: rows and rows + 1]).replace("http://127.0.0.1:8765", site)


def test_three_hundred_real_posters_go_through(tmp_path: Path) -> None:
    with support.site() as unused:
        folder = make_project(tmp_path, unused, dataset={"min_posters": 10}, scrape={"catalogue": "real.csv"})
    with serving() as site:
        catalogue = real_catalogue(site, 300)
        (folder / "real.csv").write_text(catalogue, "latin-1")
        done = repro(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = pd.read_csv(folder / "data/posters/manifest.csv", keep_default_na=False)
    held = {file.stem for file in (POSTER_SITE / "posters").iterdir()}
    links = [line.split(",")[0] for line in catalogue.splitlines()[1:] if "/images/" in line]
    assert len(manifest) == 300
    expected = {f"tt{int(number):07d}" for number in links} & held
    assert set(manifest.loc[manifest["status"] == "ok", "film_id"]) == expected
    assert set(manifest["status"]) <= {"ok", "gone", "no-link", "duplicate"}
    summary = json.loads((folder / "data/dataset/summary.json").read_text())
    assert sum(summary["posters"].values()) + sum(summary["set_aside"].values()) == len(expected)
    assert "Drama" in summary["genres"]
    assert "Drama" in (folder / "reports/report.html").read_text()


def all_of_them(folder: Path, site: str) -> None:
    write_scrape_project(folder, [], timeout=4, retries=2, shard_rows=1000)
    (folder / "films.csv").write_text(real_catalogue(site), "latin-1")


def faults(share: float) -> dict[str, str]:
    """The site's own list of the posters that it answers badly, and how."""
    spec = importlib.util.spec_from_file_location("serve", POSTER_SITE / "serve.py")
    assert spec
    assert spec.loader
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    site = Namespace(options=Namespace(faults=share))
    faults = {file.stem: serve.Site.fault(site, file.stem) for file in (POSTER_SITE / "posters").iterdir()}
    return {film: fault or "" for film, fault in faults.items()}


def scrape(folder: Path) -> None:
    done = support.run(sys.executable, "-m", "stages.scrape", cwd=folder, timeout=1200)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_what_a_faulty_site_gives_is_had_and_the_reasons_are_its_faults(tmp_path: Path) -> None:
    with serving("--faults", "0.05") as site:
        all_of_them(tmp_path, site)
        scrape(tmp_path)
    table = read_manifest(tmp_path).query("asked != ''").set_index("film_id")
    listed = faults(0.05)
    end = {
        "": ("ok", ""),
        "404": ("gone", "HTTP 404"),
        "410": ("gone", "HTTP 410"),
        "500": ("failed", "HTTP 500"),
        "503-then-ok": ("ok", ""),
        "truncated": ("not-a-poster", "it is damaged"),
        "html-as-jpeg": ("not-a-poster", "it is a web page"),
        "empty": ("not-a-poster", "it is empty"),
        "slow": ("failed", "no complete answer in time"),
        "redirect-loop": ("failed", "max redirections reached"),
        "reset": ("failed", "connection broken off"),
    }
    wrong = {
        film: (listed.get(film, "no poster"), status, reason)
        for film, status, reason in table[["status", "reason"]].itertuples()
        # What is damaged, and how, is Pillow's to say.
        if (status, reason.split(" (")[0]) != (end[listed[film]] if film in listed else ("gone", "HTTP 404"))
    }
    assert not wrong
    assert set(listed.values()) == set(end)


@pytest.mark.long
def test_a_site_that_throttles_gives_all_its_posters_in_the_end(tmp_path: Path) -> None:
    with serving("--rate", "50") as site:
        all_of_them(tmp_path, site)
        scrape(tmp_path)
    table = read_manifest(tmp_path)
    held = {file.stem for file in (POSTER_SITE / "posters").iterdir()}
    linked = set(table.loc[table["asked"] != "", "film_id"])
    assert set(table.loc[table["status"] == "ok", "film_id"]) == held & linked
    assert set(table.loc[table["film_id"].isin(linked - held), "status"]) == {"gone"}


@pytest.mark.long
def test_the_real_crawl_killed_and_resumed_gives_the_same_shards(tmp_path: Path) -> None:
    with serving() as site:
        all_of_them(tmp_path / "whole", site)
        scrape(tmp_path / "whole")
        all_of_them(tmp_path / "killed", site)
        for _ in range(3):
            process = subprocess.Popen([sys.executable, "-m", "stages.scrape"], cwd=tmp_path / "killed")
            time.sleep(random.uniform(4, 10))
            process.send_signal(signal.SIGKILL)
            process.wait()
        scrape(tmp_path / "killed")
    assert read_scraped(tmp_path / "killed") == read_scraped(tmp_path / "whole")
