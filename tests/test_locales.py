"""Paths, titles and messages with accents, under the locales of a container, of a desktop and of a German one."""

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

LOCALES = ("C", "de_DE.UTF-8")
# Python runs a module of this name first. Files and programs of ours must not depend on the locale's encoding.
PRELUDE = """
import warnings
warnings.filterwarnings("error", "", EncodingWarning, r"(postergenre|sample|scraper|stages)\\b")
"""
STAGES = ("scrape", "resize", "dataset", "train", "evaluate")
GENRES = ("Comédie", "Żart", "Horror", "Comédie|Żart", "Żart|Horror")
MADE = ("data/posters", "data/resized", "data/dataset", "models", "reports")
KEPT = ("downloads", "checkpoints", "mlflow.db", "mlruns", "mlflow-spool", "vorhersage.csv")


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
    for name in (*MADE, *KEPT):
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
    if locale != "C" and locale.lower().replace("-", "") not in [name.lower().replace("-", "") for name in listed]:
        pytest.skip(f"the system lacks the locale {locale}")


@pytest.fixture(scope="module")
def tables(project: Path) -> dict[str, bytes]:
    """What the stages up to `dataset` print and write under C.UTF-8."""
    return make(project, "C.UTF-8", *STAGES[:3])


@pytest.fixture(scope="module")
def whole(project: Path) -> dict[str, bytes]:
    """What all stages print and write under C.UTF-8."""
    return make(project, "C.UTF-8", *STAGES)


@pytest.mark.parametrize("locale", LOCALES)
def test_tables_and_messages_are_alike(locale: str, project: Path, tables: dict[str, bytes]) -> None:
    require(locale)
    assert make(project, locale, *STAGES[:3]) == tables
    assert "Żart".encode() in tables["data/dataset/train.csv"]


@pytest.mark.parametrize("locale", LOCALES)
def test_errors_are_alike(locale: str, project: Path, models: Path) -> None:
    require(locale)
    words = ("-m", "postergenre.cli", "predict", "--model", str(models), "Plakat Nr. 1 größer.jpg", "fehlt für Zoë.jpg")
    done, expected = run(project, locale, *words), run(project, "C.UTF-8", *words)
    assert done.returncode == expected.returncode == 1
    assert "fehlt für Zoë.jpg".encode() in expected.stderr
    assert "Plakat Nr. 1 größer.jpg".encode() in expected.stdout
    assert (done.stdout, done.stderr) == (expected.stdout, expected.stderr)


@pytest.mark.long
@pytest.mark.parametrize("locale", LOCALES)
def test_the_whole_chain_gives_the_same_bytes(locale: str, project: Path, whole: dict[str, bytes]) -> None:
    require(locale)
    assert make(project, locale, *STAGES) == whole
