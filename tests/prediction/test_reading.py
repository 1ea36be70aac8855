"""`predict` by what stands on the poster, with the engine that reads posters."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw, ImageFont

from postergenre import files
from postergenre.networks import model_folder
from postergenre.prediction import predictor
from tests.networks.text import texts
from tests.support import command, encode, make_picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes a funny comedy for the genre C."""
    folder = tmp_path_factory.mktemp("reading")
    trained = texts.train(folder, encoder="tfidf")
    (folder / "models").mkdir()
    model_folder.write(folder / "models", trained)
    return folder / "models"


def draw(file: Path, *lines: str) -> Path:
    picture = Image.new("RGB", (300, 444), "navy")
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((10, 40 + 90 * number), line, "white", ImageFont.load_default(40))
    picture.save(file, quality=95)
    return file


def predict(model: Path, *arguments: str) -> int | str | None:
    return command("predict", *arguments, "--model", str(model))


def test_what_was_read_is_told_and_counts(reading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(draw(tmp_path / "film.jpg", "a funny", "comedy"))
    assert predict(reading, file, "--json") == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert [line["line"] for line in answer["text"]] == ["a funny", "comedy"]
    assert all(0 <= share <= 1 for line in answer["text"] for share in line["box"])
    assert all(line["adds"]["C"] > 0 for line in answer["text"])
    assert predict(reading, file, "--json", "--no-text") == 0
    (by_picture,) = json.loads(capsys.readouterr().out)
    assert "text" not in by_picture
    assert answer["genres"]["C"] > by_picture["genres"]["C"] + 0.2
    assert predict(reading, file) == 0
    assert capsys.readouterr().out.splitlines()[1] == "    read: a funny | comedy"


def test_a_poster_without_text_is_predicted_by_its_picture(
    reading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "film.jpg").write_bytes(encode(make_picture(1)))
    outputs = []
    for more in ((), ("--no-text",)):
        assert predict(reading, str(tmp_path / "film.jpg"), "--json", *more) == 0
        (answer,) = json.loads(capsys.readouterr().out)
        outputs.append(answer["genres"])
        assert answer.get("text", []) == []
    assert outputs[0] == outputs[1]


def test_where_nothing_reads_one_sentence_says_so(
    reading: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(draw(tmp_path / "film.jpg", "a funny", "comedy"))
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    assert predict(reading, file) == (
        "error: this model reads posters with rapidocr, which is not installed; `uv pip install --editable '.[text]'` "
        "installs it; --no-text predicts by the picture alone"
    )
    assert predict(reading, file, "--no-text") == 0


def test_a_picture_that_the_engine_fails_on_costs_itself_alone(
    reading: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing:
        def __init__(self, params: object) -> None:
            self.first = True

        def __call__(self, picture: object) -> SimpleNamespace:
            if self.first:
                self.first = False
                raise RuntimeError("bad shape")
            return SimpleNamespace(boxes=None)

    monkeypatch.setattr("rapidocr.RapidOCR", Failing)
    first, second = (str(draw(tmp_path / name, "love")) for name in ("1.jpg", "2.jpg"))
    assert predict(reading, first, second) == 1
    output = capsys.readouterr()
    assert output.err.splitlines()[-1] == f"error: {first}: its reader failed (bad shape)"
    assert output.out.startswith(second)


def test_another_version_of_the_engine_is_told(
    reading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = files.read_json(reading / "text/text.json", "")
    assert predictor.load(reading).text is not None
    assert text["engine"]["settings"] == {}  # those of the test, not of the engine
    assert predict(reading, str(draw(tmp_path / "film.jpg", "love"))) == 0
    assert "warning: the model was trained on what rapidocr 3.10.0-1 reads; here is" in capsys.readouterr().err
