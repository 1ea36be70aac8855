"""What rapidocr reads on the sample's posters, beside what was drawn on them."""

import hashlib
import re
import subprocess
import sys
import tarfile
import unicodedata
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from postergenre.data import images, texts
from postergenre.data.texts import Texts
from postergenre.errors import InputError
from postergenre.reading import engine, table
from sample import films, poster
from tests.support import ROOT, encode

ALL = films.read(ROOT / films.CATALOGUE)
DRAWN = [film for film in ALL.values() if film.poster and not film.is_gone][:3]


def letters(text: str) -> str:
    """The letters of a text with their accents, without case, spaces and signs."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", text.casefold())))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    """The table that the stage makes of some posters; one of them belongs to two films, one is blank, one is none."""
    folder = tmp_path_factory.mktemp("read")
    posters = {film.imdb_id: poster.jpeg(film) for film in DRAWN}
    blank = encode(Image.new("RGB", (182, 268), "grey"))
    posters |= {"twin": posters[DRAWN[0].imdb_id], "blank": blank, "x": b"<html>"}
    with tarfile.open(folder / "shard-00000.tar", "w") as tar:
        for film_id, data in posters.items():
            member = tarfile.TarInfo(f"{film_id}.jpg")
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    digests = {film_id: hashlib.sha256(data).hexdigest() for film_id, data in posters.items()}
    (folder / "text").mkdir()
    sentence = table.write(folder, digests, folder / "text", "rapidocr", folder / "downloads")
    assert sentence == "6 posters, 1 of them without text; 1 could not be read"
    made = Texts.read(folder / "text")
    made.check(digests)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("film", DRAWN, ids=[film.name for film in DRAWN])
def test_the_drawn_title_is_read(read: Texts, film: films.Film) -> None:
    lines = read.of(film.imdb_id).lines
    assert letters(texts.title(lines)) == letters(film.name)


@pytest.mark.slow
def test_the_stage_reads_what_a_reader_reads_on_the_same_picture(read: Texts) -> None:
    reader, film = engine.load("rapidocr"), DRAWN[0]
    lines = read.of(film.imdb_id).lines
    assert tuple(reader(poster.jpeg(film))) == lines == read.of("twin").lines
    pixels = np.asarray(images.decode(poster.jpeg(film)))
    assert tuple(reader(pixels)) == lines
    assert (read.of("blank").lines, read.of("blank").error) == ((), None)
    assert (read.of("x").lines, read.of("x").error) == ((), "it is a web page")
    assert read.engine == engine.describe("rapidocr")
    upright, on_end = draw("LIGHTHOUSE"), draw("LIGHTHOUSE").transpose(Image.Transpose.ROTATE_270)
    (line,), (turned,) = reader(np.asarray(upright)), reader(np.asarray(on_end))
    assert (line.text, turned.text) == ("LIGHTHOUSE", "LIGHTHOUSE")
    assert line.height == pytest.approx(40 / 240, rel=0.3)
    assert turned.height == pytest.approx(40 / 400, rel=0.3)
    left, top, right, bottom = *line.box[:2], *line.box[4:6]
    assert [left, top, right, bottom] == pytest.approx([0.15, 0.33, 0.8, 0.5], abs=0.08)


def draw(text: str) -> Image.Image:
    """A white picture of 400 x 240 with a text in letters of about 30 pixels."""
    picture = Image.new("RGB", (400, 240), "white")
    ImageDraw.Draw(picture).text((60, 80), text, fill="black", font=ImageFont.load_default(40))
    return picture


def test_an_engine_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)  # as Python has it where a package is not to be found
    sentence = "rapidocr, which is not installed; `uv pip install --editable '.[text]'` installs it, or set it to none"
    for call in (engine.load, engine.describe):
        with pytest.raises(InputError, match=re.escape(sentence)):
            call("rapidocr")
    assert engine.load("none")(b"a picture") == []


def test_an_engine_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    with pytest.raises(InputError, match=r"rapidocr is installed and does not load \(libGL\.so\.1: no such file\)"):
        engine.load("rapidocr")


def test_without_an_engine_nothing_heavy_is_loaded() -> None:
    code = """
import sys
from postergenre.reading import engine, table
engine.load("none"), engine.describe("none")
print({"rapidocr", "cv2", "onnxruntime", "pandas", "keras"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
