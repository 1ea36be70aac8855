"""Paths, titles and messages with accents, under a German locale and that of a container, and locales without UTF-8.

Under `C` Python takes UTF-8 by itself, as under `C.UTF-8`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import support
from tests.factories import make_project
from tests.support import HEADER, Site

GERMAN = "de_DE.UTF-8"
LATIN = "de_DE.ISO-8859-1"
# Python runs a module of this name first. Files and programs of ours must not depend on the locale's encoding.
PRELUDE = """
import warnings
warnings.filterwarnings("error", "", EncodingWarning, r"(postergenre|sample|scraper|stages)\\b")
"""
STAGES = ("scrape", "resize", "read", "dataset", "train", "evaluate")
GENRES = ("Comédie", "Żart", "Horror", "Comédie|Żart", "Żart|Horror")
MADE = ("data/posters", "data/resized", "data/text", "data/dataset", "models", "reports")
STATE = ("downloads", "checkpoints", "mlflow.db", "mlruns", "mlflow-spool", "data/splits/films.csv")  # which runs share


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


@pytest.fixture(scope="module")
def project(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose path, catalogue, titles and genres have accents."""
    folder = tmp_path_factory.mktemp("Müller & Søn")
    (folder / "sitecustomize.py").write_text(PRELUDE, encoding="utf-8")
    project = make_project(folder / "Filmplakate für Łódź", site, scrape={"catalogue": "Übersicht.csv"})
    site.add_posters(range(1, 41))
    rows = [f'{n},,"Amélie {n}: „Œuvre“",,{GENRES[n % 5]},{site.url}/{n}.jpg' for n in range(1, 41)]
    (project / "Übersicht.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    (project / "Plakat Nr. 1 größer.jpg").write_bytes(support.encode(support.make_picture(1)))
    return project


def run(project: Path, locale: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python in the project under a locale."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    for name in ("PYTHONUTF8", "PYTHONIOENCODING"):
        environment.pop(name, None)
    environment |= {"LANG": locale, "PYTHONPATH": str(project.parent), "PYTHONWARNDEFAULTENCODING": "1"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, timeout=300, check=False)


def make(project: Path, locale: str, *stages: str) -> dict[str, bytes]:
    """Run stages anew under a locale; return what they printed, and the files that they wrote."""
    for name in (*MADE, *STATE):
        shutil.rmtree(project / name) if (project / name).is_dir() else (project / name).unlink(missing_ok=True)
    made: dict[str, bytes] = {}
    for stage in stages:
        done = run(project, locale, "-m", f"stages.{stage}")
        assert done.returncode == 0, done.stderr.decode()
        made[f"{stage} prints"] = done.stdout
    files = (file for name in MADE for file in sorted((project / name).rglob("*")) if file.is_file())
    return made | {str(file.relative_to(project)): file.read_bytes() for file in files}


def require(locale: str) -> None:
    """Skip the test where the system lacks a locale."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, encoding="utf-8", check=False).stdout.split()
    if locale.lower().replace("-", "") not in [name.lower().replace("-", "") for name in listed]:
        pytest.skip(f"the system lacks the locale {locale}")


def test_tables_and_messages_are_alike(project: Path) -> None:
    require(GERMAN)
    tables = make(project, GERMAN, *STAGES[:4])
    assert tables == make(project, "C.UTF-8", *STAGES[:4])
    assert "Żart".encode() in tables["data/dataset/train.csv"]


def test_errors_are_alike(project: Path, models: Path) -> None:
    require(GERMAN)
    words = ("-m", "postergenre.cli", "predict", "--model", str(models), "Plakat Nr. 1 größer.jpg", "fehlt für Zoë.jpg")
    german, plain = (run(project, locale, *words) for locale in (GERMAN, "C.UTF-8"))
    assert german.returncode == plain.returncode == 1
    assert "fehlt für Zoë.jpg".encode() in plain.stderr
    assert "Plakat Nr. 1 größer.jpg".encode() in plain.stdout
    assert (german.stdout, german.stderr) == (plain.stdout, plain.stderr)


def test_a_locale_without_utf_8_is_refused_in_a_sentence(project: Path) -> None:
    require(LATIN)
    words = ("-c", "from postergenre import errors; errors.run(lambda: print('ran'))")
    refused, forced = run(project, LATIN, *words), run(project, LATIN, "-X", "utf8", *words)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr == (
        b"error: this locale's encoding is iso8859-1; UTF-8 is needed: export LC_ALL=C.UTF-8, or PYTHONUTF8=1\n"
    )
    assert (forced.returncode, forced.stdout) == (0, b"ran\n")


@pytest.mark.long
def test_the_whole_chain_gives_the_same_bytes(project: Path) -> None:
    require(GERMAN)
    assert make(project, GERMAN, *STAGES) == make(project, "C.UTF-8", *STAGES)
