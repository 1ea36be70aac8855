"""The chain on 300 real posters, where the collection that they come from lies beside the checkout."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests import support
from tests.support import ROOT
from tests.test_pipeline import project, repro

POSTER_SITE = ROOT.parent / "shared/poster-site"


@pytest.fixture
def real_site() -> Iterator[str]:
    if not POSTER_SITE.is_dir():
        pytest.skip(f"{POSTER_SITE.name} is not beside this checkout")
    command = [sys.executable, str(POSTER_SITE / "serve.py"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[3]
    finally:
        process.kill()
        process.wait()


def test_three_hundred_real_posters_go_through(real_site: str, tmp_path: Path) -> None:
    with support.site() as unused:
        folder = project(tmp_path, unused, dataset={"min_posters": 10}, scrape={"catalogue": "real.csv"})
    lines = (POSTER_SITE / "MovieGenre.csv").read_text("latin-1").splitlines(keepends=True)
    catalogue = "".join(lines[:301]).replace("http://127.0.0.1:8765", real_site)
    (folder / "real.csv").write_text(catalogue, "latin-1")
    done = repro(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = pd.read_csv(folder / "data/posters/manifest.csv", keep_default_na=False)
    held = {file.stem for file in (POSTER_SITE / "posters").iterdir()}
    links = [line.split(",")[0] for line in catalogue.splitlines()[1:] if "/images/" in line]
    assert len(manifest) == 300
    expected = {f"tt{int(number):07d}" for number in links} & held
    assert set(manifest.loc[manifest["status"] == "ok", "imdb_id"]) == expected
    assert set(manifest["status"]) <= {"ok", "gone", "no-link", "duplicate"}
    summary = json.loads((folder / "data/dataset/summary.json").read_text())
    assert sum(summary["posters"].values()) + sum(summary["set_aside"].values()) == len(expected)
    assert "Drama" in summary["genres"]
    assert "Drama" in (folder / "reports/report.html").read_text()
