"""`postergenre predict` as a person runs it."""

import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from postergenre import cli, files
from postergenre.commands import predicting
from postergenre.data import genres, images
from postergenre.errors import InputError
from postergenre.networks import architecture, layer_names, model_folder, onnx_model
from postergenre.networks.backend import keras
from postergenre.prediction import pictures as find
from postergenre.prediction import predictor
from tests import support
from tests.factories import write_scrape_project
from tests.support import Response, encode, make_picture


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good pictures of every kind, in a folder in a folder, and three files that are none."""
    folder = tmp_path_factory.mktemp("pictures")
    kinds = {"a.jpg": ("RGB", "JPEG"), "b.png": ("P", "PNG"), "c.webp": ("RGBA", "WEBP"), "d.jpeg": ("CMYK", "JPEG")}
    kinds |= {"e.png": ("L", "PNG"), "f.png": ("LA", "PNG"), "g.gif": ("P", "GIF"), "below/h.bmp": ("RGB", "BMP")}
    (folder / "below").mkdir()
    for seed, (name, (mode, kind)) in enumerate(kinds.items()):
        (folder / name).write_bytes(encode(make_picture(seed).convert(mode), kind))
    (folder / "broken.jpg").write_bytes(encode(make_picture(1))[:500])
    (folder / "notes.txt").write_text("no picture, and no name of one")
    return folder


def test_one_command_predicts_for_every_kind_of_picture(models: Path, pictures: Path, tmp_path: Path) -> None:
    command = ["predict", str(pictures), "missing.jpg", "--model", str(models), "--top", "2", "--csv", "t.csv"]
    for slow in ("keras", "mlflow", "pandas", "scipy", "sklearn", "tensorflow"):
        (tmp_path / f"{slow}.py").write_text(f"raise ImportError('a prediction should not wait for {slow}')")
    done = support.run("postergenre", *command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    errors = done.stderr.splitlines()
    assert len(errors) == 3
    assert errors[0].startswith(f"error: {pictures}/broken.jpg: it is damaged")
    assert errors[1] == "error: missing.jpg: it cannot be read (No such file or directory)"
    assert errors[2] == "files passed over, because they are not JPEG, PNG, WebP, GIF or BMP: 1"
    names = ["a.jpg", "b.png", "below/h.bmp", "c.webp", "d.jpeg", "e.png", "f.png", "g.gif"]
    table = pd.read_csv(tmp_path / "t.csv")
    assert table.columns.tolist() == ["path", "A", "B", "C"]
    assert table["path"].tolist() == [f"{pictures}/{name}" for name in names]
    network = predictor.load(models)
    fitted = np.stack([images.fit(images.decode((pictures / n).read_bytes()), 24, 16, "crop") for n in names])
    np.testing.assert_allclose(table[["A", "B", "C"]], network.predict(fitted), atol=1e-5)
    lines = done.stdout.splitlines()
    for line, row in zip(lines, table.to_dict("records"), strict=True):
        best, second = sorted("ABC", key=lambda genre: -row[genre])[:2]
        marks = ["*" if row[genre] >= cut else "" for genre, cut in zip("ABC", (0.4, 0.5, 0.6), strict=True)]
        expected = " | ".join(f"{genre} {row[genre]:.4f}{marks['ABC'.index(genre)]}" for genre in (best, second))
        assert line == f"{row['path']}  {expected}"


def test_json_gives_every_genre(models: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["predict", str(pictures / "a.jpg"), "--model", str(models), "--json"])
    assert ended.value.code == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["path"] == f"{pictures}/a.jpg"
    assert set(entry["genres"]) == {"A", "B", "C"}
    assert entry["predicted"] == [g for g, cut in zip("ABC", (0.4, 0.5, 0.6), strict=True) if entry["genres"][g] >= cut]


def test_the_picture_is_turned_upright_as_in_training(models: Path, tmp_path: Path) -> None:
    upright, turned = make_picture(4), tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 8
    upright.transpose(Image.Transpose.ROTATE_270).save(turned, exif=exif)
    upright.save(tmp_path / "upright.png")
    names = [str(turned), str(tmp_path / "upright.png")]
    predictions = dict(predictor.load(models).predict_pictures(map(find.from_file, names)))
    first, other = predictions[names[0]], predictions[names[1]]
    assert not isinstance(first, str)
    assert not isinstance(other, str)
    np.testing.assert_array_equal(first.probabilities, other.probabilities)


def test_many_pictures_come_back_in_order(models: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(300)]
    for k, path in enumerate(paths):
        path.write_bytes(b"" if k % 100 == 7 else encode(make_picture(k % 9, 20, 30), "PNG"))
    predictions = list(predictor.load(models).predict_pictures(find.from_file(str(path)) for path in paths))
    assert [name for name, _ in predictions] == [str(path) for path in paths]
    assert [k for k, (_, result) in enumerate(predictions) if isinstance(result, str)] == [7, 107, 207]
    first, same = predictions[0][1], predictions[9][1]
    assert not isinstance(first, str)
    assert not isinstance(same, str)
    np.testing.assert_allclose(first.probabilities, same.probabilities, atol=1e-6)


def predict(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["predict", *arguments])
    return ended.value.code


def test_the_model_of_this_folder_is_the_default(
    models: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models, tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    assert predict(str(pictures / "a.jpg")) == 0


def test_without_a_model_a_sentence_says_how_to_make_one(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predicting, "CHECKOUT", tmp_path)
    message = predict(str(pictures / "a.jpg"))
    assert str(message).startswith("error: there is no trained network in models or ")
    assert "`make repro` trains one" in str(message)


def test_a_folder_without_pictures_is_an_error_line(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(str(tmp_path), str(pictures / "a.jpg"), "--model", str(models)) == 1
    captured = capsys.readouterr()
    assert captured.err == f"error: {tmp_path}: it is a folder without pictures\n"
    assert captured.out.startswith(f"{pictures}/a.jpg  ")


def test_folders_behind_links_are_looked_into_once_and_locked_ones_are_named(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outer, elsewhere, locked = (tmp_path / name for name in ("outer", "elsewhere", "outer/locked"))
    for folder in (outer, elsewhere, locked):
        folder.mkdir()
        (folder / "a.png").write_bytes(encode(make_picture(1), "PNG"))
    (outer / "link").symlink_to(elsewhere)
    (outer / "twice").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(outer)
    scandir = os.scandir

    def refused(path: Any) -> Any:  # whoever runs this may be allowed everything
        if Path(path) == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    monkeypatch.setattr(Path, "iterdir", lambda self: (Path(entry.path) for entry in os.scandir(self)))
    assert predict(str(outer), "--model", str(models)) == 1
    captured = capsys.readouterr()
    assert [line.split("  ")[0] for line in captured.out.splitlines()] == [f"{outer}/a.png", f"{outer}/link/a.png"]
    assert captured.err == f"error: {locked}: it cannot be read (Permission denied)\n"


def test_a_file_larger_than_any_picture_is_not_read(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = tmp_path / "huge.jpg"
    huge.touch()
    os.truncate(huge, 1 << 36)  # it takes no place on the disk
    assert predict(str(huge), str(pictures / "a.jpg"), "--model", str(models)) == 1
    captured = capsys.readouterr()
    assert captured.err == f"error: {huge}: it has 68,719,476,736 bytes, more than 1,073,741,824\n"
    assert captured.out.startswith(f"{pictures}/a.jpg  ")


def test_the_table_is_unchanged_if_no_picture_could_be_read(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, options = tmp_path / "t.csv", ("--model", str(models), "--csv", str(tmp_path / "t.csv"))
    assert predict(str(pictures / "a.jpg"), *options) == 0
    before = file.read_bytes()
    capsys.readouterr()
    assert predict("typo.jpg", "--json", *options) == f"error: no picture could be read; {file} is unchanged"
    assert json.loads(capsys.readouterr().out) == []
    assert file.read_bytes() == before


@pytest.mark.parametrize("text", ["path,label\na.jpg,Drama\n", "path,year\na.jpg,1999\n", "path,A\na.jpg,0.5,0.5\n"])
def test_a_table_of_something_else_is_not_replaced(models: Path, pictures: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text)
    message = predict(str(pictures / "a.jpg"), "--model", str(models), "--csv", str(file))
    assert message == f"error: {file} exists and is not a table of `predict`; --csv takes a new file or such a table"
    assert file.read_text() == text


def test_a_table_that_cannot_be_written_whole_is_not_written(models: Path, pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("path,as it was")
    command = ["postergenre", "predict", *[str(pictures / "a.jpg")] * 50, "--model", str(models), "--csv", str(file)]
    # Files end at 1 KiB, where a disk might; the table is longer.
    done = support.run("bash", "-c", 'ulimit -f 1; exec "$@"', "-", *command, cwd=tmp_path)
    assert done.returncode == 1
    assert "could not be written" in done.stderr
    assert file.read_text() == "path,as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("folder", "folder is a folder; --csv takes a file"),
        ("notes.txt/t.csv", "notes.txt/t.csv cannot be written"),
        ("t" * 300, f"{'t' * 300} is longer than a file's name may be"),
    ],
)
def test_a_table_that_cannot_be_written_at_all_is_refused(
    models: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no folder")
    monkeypatch.chdir(tmp_path)
    assert reason in str(predict(str(pictures / "a.jpg"), "--model", str(models), "--csv", file))


def test_a_table_replaces_no_device_no_link_and_no_picture(models: Path, pictures: Path, tmp_path: Path) -> None:
    picture, pipe, link = tmp_path / "a.jpg", tmp_path / "pipe", tmp_path / "link.csv"
    shutil.copy(pictures / "a.jpg", picture)
    os.mkfifo(pipe)
    link.symlink_to("table.csv")
    options = (str(picture), "--model", str(models), "--csv")
    assert predict(*options, str(pipe)) == f"error: {pipe} is a device or a pipe; --csv takes a file"
    no_table = f"error: {picture} exists and is not a table of `predict`; --csv takes a new file or such a table"
    assert predict(*options, str(picture)) == no_table
    assert predict(str(tmp_path), *options[1:], str(picture)) == no_table
    assert predict(*options, str(link)) == 0
    assert link.is_symlink()
    assert pd.read_csv(tmp_path / "table.csv")["path"].tolist() == [str(picture)]
    assert picture.read_bytes() == (pictures / "a.jpg").read_bytes()


def test_a_name_that_is_no_text_and_files_that_are_no_pictures(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "posters"
    folder.mkdir()
    for odd in (b"caf\xe9.png", b"red\033[31m.png"):
        (folder / os.fsdecode(odd)).write_bytes(encode(make_picture(1), "PNG"))
    for name in ("film.mpg", "sheet.pdf", "weights.h5"):
        (folder / name).write_text("nothing that Pillow decodes")
    assert predict(str(folder), "--model", str(models), "--csv", str(tmp_path / "t.csv")) == 0
    captured = capsys.readouterr()
    names = [line.split("  ")[0] for line in captured.out.splitlines()]
    assert names == [f"{folder}/caf\\udce9.png", f"{folder}/red\\x1b[31m.png"]
    assert captured.err == "files passed over, because they are not JPEG, PNG, WebP, GIF or BMP: 3\n"
    assert pd.read_csv(tmp_path / "t.csv")["path"].tolist() == [names[0], f"{folder}/red\033[31m.png"]


PASSED_OVER = "files passed over, because they are not JPEG, PNG, WebP, GIF or BMP: {}\n"


def test_a_folder_of_downloads_with_odd_names(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "posters"
    folder.mkdir()
    for name in ("no suffix", "poster.jpg?w=300", "two\nlines.jpg", "wrong.txt", "._attributes"):
        (folder / name).write_bytes(encode(make_picture(1)))
    (folder / "._poster.jpg").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    (folder / "a page.jpg?w=300").write_text("<html>gone</html>")
    (folder / ".DS_Store").write_bytes(bytes(100))
    (folder / "empty").touch()
    (folder / "link").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    assert predict(str(folder), "--model", str(models), "--csv", str(tmp_path / "t.csv")) == 1
    captured = capsys.readouterr()
    names = ["._attributes", "no suffix", "poster.jpg?w=300", "two\nlines.jpg", "wrong.txt"]
    printed = [line.split("  ")[0] for line in captured.out.splitlines()]
    assert printed == [f"{folder}/{name}".replace("\n", "\\n") for name in names]
    assert captured.err == f"error: {folder}/a page.jpg?w=300: it is a web page\n" + PASSED_OVER.format(5)
    assert pd.read_csv(tmp_path / "t.csv")["path"].tolist() == [f"{folder}/{name}" for name in names]


def test_names_stand_in_json_as_they_were_given(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two\nlines.jpg").write_bytes(encode(make_picture(1)))
    assert predict("./two\nlines.jpg", "two\nlies.jpg", "--model", str(models), "--json") == 1
    captured = capsys.readouterr()
    assert [entry["path"] for entry in json.loads(captured.out)] == ["./two\nlines.jpg"]
    assert captured.err == "error: two\\nlies.jpg: it cannot be read (No such file or directory)\n"


def test_a_picture_comes_from_stdin(
    models: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (pictures / "a.jpg").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert predict("-", str(pictures / "a.jpg"), "--model", str(models)) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert first == second.replace(f"{pictures}/a.jpg", "-")
        assert predict("-", "--model", str(models)) == 1
    assert capsys.readouterr().err == "error: -: it is empty\n"


def test_other_addresses_are_refused_as_they_were_typed(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("ftp://host.example//a.jpg", "--model", str(models)) == 1
    expected = "`predict` takes files, folders, http and https addresses, and - for stdin"
    assert capsys.readouterr().err == f"error: ftp://host.example//a.jpg: {expected}\n"


def test_addresses_are_fetched_as_a_crawl_fetches_them(models: Path, pictures: Path, tmp_path: Path) -> None:
    with support.site() as site:
        site.responses |= {
            "/robots.txt": Response(b"User-agent: *\nDisallow: /closed/"),
            "/a.jpg?w=300": Response((pictures / "a.jpg").read_bytes()),
            "/moved.jpg": Response(status=302, headers={"Location": "/a.jpg?w=300"}),
            "/page.jpg": Response(b"<html>no poster</html>"),
            "/large.jpg": Response(bytes(100_000)),
        }
        names = ["a.jpg?w=300", "moved.jpg", "closed/a.jpg", "page.jpg", "large.jpg", "gone.jpg"]
        urls = [f"{site.url}/{name}" for name in names]
        write_scrape_project(tmp_path, [], max_bytes=50_000, retries=0, user_agent="tester")
        command = [*urls, urls[0], str(pictures / "a.jpg"), "--model", str(models), "--top", "1"]
        done = support.run("postergenre", "predict", *command, cwd=tmp_path)
    printed = [line.split("  ") for line in done.stdout.splitlines()]
    assert [name for name, _ in printed] == [urls[0], urls[1], urls[0], f"{pictures}/a.jpg"]
    assert len({genres for _, genres in printed}) == 1
    reasons = {
        urls[2]: "it cannot be fetched (Forbidden by robots.txt)",
        urls[3]: "it is a web page",
        urls[4]: "it cannot be fetched (larger than scrape.max_bytes)",
        urls[5]: "it cannot be fetched (HTTP 404)",
    }
    told = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]  # Scrapy's
    assert told == [f"error: {url}: {reason}" for url, reason in reasons.items()]
    assert done.returncode == 1
    assert {headers["User-Agent"] for headers in site.headers} == {"tester"}
    assert site.requests.count("/a.jpg?w=300") == 2


def test_a_terminal_shows_the_marked_genres_in_bold_and_explains_the_mark(
    models: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    predict(*(str(pictures / name) for name in ("a.jpg", "b.png", "e.png")), "--model", str(models))
    *lines, footer = capsys.readouterr().out.splitlines()
    assert re.findall(r"\033\[1m[ABC] 0\.\d{4}\*\033\[0m", "".join(lines))
    assert "*" not in re.sub(r"\033\[1m.*?\033\[0m", "", "".join(lines))
    assert footer == "* predicted: at least the genre's threshold"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", "{}"),
        ("run.json", "not JSON"),
        ("genres.json", '{"genre2id": {"A": 0, "D": 1}}'),
        ("genres.json", '{"genre2id": {"A": 0, "C": 1, "B": 2}, "id2genre": {"0": "A", "1": "C", "2": "B"}}'),
        ("genres.json", '{"genre2id": {"A": 0, "B": 1, "C": 2}, "id2genre": {"0": "B", "1": "A", "2": "C"}}'),
        ("thresholds.json", '{"global_threshold": 0.5, "genres": {"A": 0.5, "B": "high", "C": 0.5}}'),
        ("thresholds.json", '{"global_threshold": 0.5, "genres": {"A": 0.5, "B": NaN, "C": 0.5}}'),
        ("thresholds.json", '{"global_threshold": 0.5, "genres": {"A": 0.5, "B": -5, "C": 0.5}}'),
    ],
)
def test_a_folder_that_no_training_wrote_is_refused(models: Path, tmp_path: Path, name: str, text: str) -> None:
    copy = shutil.copytree(models, tmp_path / "models")
    (copy / name).write_text(text)
    with pytest.raises(InputError, match=name):
        predictor.load(copy)
    (copy / name).unlink()
    (copy / name).mkdir()
    with pytest.raises(InputError, match=rf"{name} cannot be read \(Is a directory\)"):
        predictor.load(copy)


def test_a_folder_of_two_trainings_is_refused(models: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(models, tmp_path / "models")
    files.write_json(copy / "genres.json", genres.vocabulary([*"ABCD"]))
    files.write_json(copy / "thresholds.json", {"global_threshold": 0.5, "genres": dict.fromkeys("ABCD", 0.5)})
    with pytest.raises(InputError, match=r"has 3 outputs, but it was trained on posters of \(24, 16, 3\) and 4 genres"):
        predictor.load(copy)


@pytest.mark.parametrize(
    ("name", "load"), [("model.onnx", predictor.load), ("weights.weights.h5", model_folder.load_keras)]
)
def test_weights_that_are_not_the_runs_are_refused(models: Path, tmp_path: Path, name: str, load: Any) -> None:
    copy = shutil.copytree(models, tmp_path / "models")
    os.truncate(copy / name, 1000)
    with pytest.raises(InputError, match=rf"is not one model: the hash of {name}.* is not the one in run\.json"):
        load(copy)
    (copy / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing; `dvc repro train` writes it"):
        load(copy)


def test_a_pipe_is_not_waited_for_and_a_file_is_no_model(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "film.jpg")
    assert predict(str(tmp_path), "--model", str(models)) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/film.jpg: it is neither a file nor a folder\n"
    message = predict(str(tmp_path), "--model", str(models / "model.onnx"))
    assert message == f"error: {models}/model.onnx is a file; it should be the folder that `dvc repro train` wrote"


def test_onnx_predicts_as_keras_does(models: Path) -> None:
    posters = np.random.default_rng(1).integers(0, 256, (5, 24, 16, 3), dtype=np.uint8)
    expected = model_folder.load_keras(models).predict_on_batch(posters)
    np.testing.assert_allclose(predictor.load(models).predict(posters), expected, atol=1e-4)


def test_an_onnx_file_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.setattr(onnx_model.OnnxModel, "__call__", lambda self, posters: np.zeros((len(posters), 3)))
    with pytest.raises(InputError, match="predicts differently as ONNX"):
        onnx_model.export(model_folder.load_keras(models), tmp_path / "model.onnx")


def test_a_network_that_is_rewritten_wrongly_for_onnx_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    rewritten = architecture.for_prediction

    def without_its_last_activation(model: keras.Model) -> keras.Model:
        with monkeypatch.context() as patch:
            patch.setattr(architecture, "AUGMENTATION", layer_names.AUGMENTATION | {"block1_unit1_relu"})
            return rewritten(model)

    monkeypatch.setattr(architecture, "for_prediction", without_its_last_activation)
    with pytest.raises(InputError, match="predicts differently as ONNX"):
        onnx_model.export(model_folder.load_keras(models), tmp_path / "model.onnx")
