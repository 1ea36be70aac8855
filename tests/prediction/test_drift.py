"""`postergenre drift`: how seldom it alarms without a reason, what it notices, and what it takes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from postergenre import files
from postergenre.data import images, manifest
from postergenre.data.split_tables import Split
from postergenre.networks import model_folder
from postergenre.prediction import drift, drift_reference, picture_statistics, predictor
from postergenre.prediction.drift_reference import Pictures
from postergenre.prediction.predictor import Predictor
from sample import films, poster
from tests import support
from tests.factories import Posters
from tests.support import ROOT, command, encode

GENRES = ["A", "B", "C"]
RANDOM = np.random.default_rng(0)


def make_pictures(count: int, shift: float = 0.0, features: bool = True) -> Pictures:
    """What is known of pictures whose features and figures are moved by so many standard deviations."""
    vectors = RANDOM.normal(shift, 1, (count, 16 if features else 0)).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-RANDOM.normal(shift, 1, (count, 3))))
    statistics = RANDOM.normal(shift + 5, 1, (count, 6))
    return Pictures(probabilities.astype(np.float32), vectors, statistics.astype(np.float32))


@pytest.mark.parametrize("features", [True, False])
def test_pictures_like_the_test_posters_alarm_no_more_often_than_the_level_says(features: bool) -> None:
    alarms = 0
    for _ in range(50):
        reference = make_pictures(80, features=features)
        alarms += bool(drift.compare(make_pictures(40, features=features), reference, GENRES, 199).drifted)
    assert alarms <= 3  # at a level of 1 %, 4 or more of 50 have a probability of 0.2 %


@pytest.mark.parametrize("features", [True, False])
def test_other_pictures_alarm(features: bool) -> None:
    found = drift.compare(make_pictures(60, 1, features), make_pictures(300, 0, features), GENRES)
    assert found.drifted
    assert found.by == ("features" if features else "probabilities")
    assert not any(change.by_chance for change in found.statistics.values())
    assert "60 pictures are not like the 300 test posters (p = 0.001" in found.verdict
    assert found.verdict.endswith("the report's figures need not hold for them.")


def test_one_genre_more_is_named_and_the_others_are_not() -> None:
    pictures, reference = make_pictures(200), make_pictures(300)
    pictures.probabilities[:, 1] = 1 - (1 - pictures.probabilities[:, 1]) / 3
    changes = drift.compare(pictures, reference, GENRES).genres
    assert [name for name, change in changes.items() if not change.by_chance] == ["B"]
    assert changes["B"].difference == pytest.approx(
        pictures.probabilities[:, 1].mean() - reference.probabilities[:, 1].mean(), abs=1e-6
    )


def test_few_pictures_get_no_verdict_and_more_of_them_a_careful_one() -> None:
    reference = make_pictures(300)
    found = drift.compare(make_pictures(drift.LEAST - 1, 3), reference, GENRES)
    assert (found.p, found.drifted) == (None, None)
    assert found.verdict == "19 pictures are too few to compare with the test posters; 20 are the least."
    assert drift.compare(make_pictures(1), reference, GENRES).verdict.startswith("1 picture is too few")
    assert (
        "of so few, only a large difference would show"
        in drift.compare(make_pictures(drift.LEAST), reference, GENRES).verdict
    )


def test_the_same_pictures_give_the_same_p() -> None:
    pictures, reference = make_pictures(50, 0.2), make_pictures(100)
    assert drift.compare(pictures, reference, GENRES) == drift.compare(pictures, reference, GENRES)
    itself = drift.compare(reference, reference, GENRES)
    assert itself.p == 1


def test_the_figures_of_a_picture() -> None:
    def figures(pixels: np.ndarray) -> dict[str, float]:
        found = picture_statistics.of_poster(pixels.astype(np.uint8), 200, 300)
        return dict(zip(picture_statistics.NAMES, found.tolist(), strict=True))

    grey = figures(np.full((30, 20, 3), 51))
    assert grey == pytest.approx(
        {"brightness": 0.2, "contrast": 0, "colourfulness": 0, "sharpness": 0, "aspect": 2 / 3, "size": 60000**0.5},
        abs=1e-6,
    )
    noise = RANDOM.integers(0, 256, (30, 20, 3))
    soft = np.asarray(Image.fromarray(noise.astype(np.uint8)).resize((5, 8)).resize((20, 30)))
    assert figures(noise)["sharpness"] > 3 * figures(soft)["sharpness"]
    assert figures(noise)["colourfulness"] > 0.3
    assert figures(noise / 2)["contrast"] == pytest.approx(figures(noise)["contrast"] / 2, rel=0.05)
    assert np.isnan(picture_statistics.of_poster(noise.astype(np.uint8), 0, 0)[-2:]).all()


# The command, on the tiny network


@pytest.fixture
def project(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the tiny network, with the reference of 150 test posters as the evaluate stage writes it."""
    posters = Posters(150)
    rows = np.arange(150)
    (tmp_path / "models").symlink_to(models)
    known = [
        manifest.Row(n, film_id, "", "A", "ok", width=160, height=240) for n, film_id in enumerate(posters.film_ids)
    ]
    table = tmp_path / "manifest.csv"
    pd.DataFrame(known, columns=manifest.COLUMNS).to_csv(table, index=False)
    looks = predictor.load(models).look(posters[rows])
    test = Split(posters.film_ids, rows, GENRES, posters.labels)
    made = drift_reference.make(models, table, posters, test, looks[0], *looks)  # type: ignore[arg-type]
    made.write(tmp_path / "reports" / drift_reference.FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_pictures(folder: Path, count: int, seed: int, dark: bool = False) -> Path:
    """Pictures as those of `Posters`, ten times as large."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    for number in range(count):
        pixels = random.integers(0, 90, (24, 16, 3)) + 160 * random.integers(0, 2)
        picture = Image.fromarray((pixels // 2 if dark else pixels).astype(np.uint8))
        (folder / f"{number:03}.png").write_bytes(encode(picture.resize((160, 240), Image.Resampling.NEAREST), "PNG"))
    return folder


def test_a_folder_of_such_pictures_is_like_the_test_posters_and_dark_ones_are_not(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(project / "same", 60, 1)
    write_pictures(project / "other", 60, 1, dark=True)
    (project / "same" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert command("drift", "same", "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["pictures"], found["reference"], found["drifted"]) == (60, 150, False)
    assert found["test"]["by"] == "features"
    assert set(found["genres"]) == {*GENRES}
    size = found["statistics"]["size"]
    assert size["mean"] == size["reference"] == pytest.approx(38400**0.5, abs=0.01)
    assert size["by_chance"]
    assert printed.err.startswith("error: same/broken.jpg: it is damaged")
    for slow in ("keras", "mlflow", "pandas", "scipy", "sklearn", "tensorflow"):
        (project / f"{slow}.py").write_text(f"raise ImportError('drift should not wait for {slow}')")
    done = support.run("postergenre", "drift", "other", cwd=project, env={"PYTHONPATH": str(project)})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("60 pictures are not like the 150 test posters (p = 0.001")
    assert any(line.startswith("brightness") and line.endswith("*") for line in lines)


def test_a_table_of_predict_is_compared_with_and_without_its_pictures(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(project / "other", 40, 2, dark=True)
    assert command("predict", "other", "--csv", "table.csv") == 0
    capsys.readouterr()
    assert command("drift", "table.csv", "--json") == 0
    with_pictures = json.loads(capsys.readouterr().out)
    files.remove(project / "other")
    assert command("drift", "table.csv", "--json") == 0
    printed = capsys.readouterr()
    without = json.loads(printed.out)
    assert printed.err == "looked at 0 of 40 pictures\n"
    assert [found["test"]["by"] for found in (with_pictures, without)] == ["features", "probabilities"]
    assert with_pictures["genres"] == without["genres"]
    assert without["statistics"] == {}
    assert without["drifted"]


@pytest.mark.parametrize(
    ("given", "text", "said"),
    [
        ("nothing", None, "nothing is neither a folder of pictures nor a table"),
        ("t.csv", "path,A,B\nx,0.1,0.2\n", "has the columns path, A, B...; a table of"),
        ("t.csv", "path,A,B,C\nx,0.1,0.2\n", "has a row that is not a path and 3 numbers"),
        ("t.csv", "path,A,B,C\nx,0.1,0.2,nan\n", "has a probability that is not between 0 and 1"),
        ("t.csv", "", "cannot be read as a table"),
    ],
)
def test_what_is_no_folder_and_no_table_is_refused(project: Path, given: str, text: str | None, said: str) -> None:
    if text is not None:
        Path(given).write_text(text)
    assert said in str(command("drift", given))


def test_a_folder_without_pictures_is_refused(project: Path) -> None:
    Path("empty").mkdir()
    assert "empty has no picture that can be read" in str(command("drift", "empty"))


def test_the_reference_of_another_model_is_refused(project: Path) -> None:
    file = project / "reports" / drift_reference.FILE
    reference = drift_reference.read(file, model_folder.read_run(project / "models")["model"])
    assert len(reference.pictures) == 150
    replace(reference, model="0" * 64).write(file)
    assert "is of model 0000000000000000, and this model is" in str(command("drift", "reports"))
    whole = file.read_bytes()
    for damaged in (b"", whole[:3], whole[: len(whole) // 2], whole.replace(b"NUMPY", b"numpy", 1)):
        file.write_bytes(damaged)
        assert "cannot be read" in str(command("drift", "reports"))
    file.unlink()
    assert "is missing" in str(command("drift", "reports"))


def test_equal_references_give_equal_bytes(project: Path) -> None:
    file = project / "reports" / drift_reference.FILE
    before = file.read_bytes()
    drift_reference.read(file, model_folder.read_run(project / "models")["model"]).write(file)
    assert file.read_bytes() == before


# Drawn posters


def draw(first: int, count: int, network: Predictor) -> np.ndarray:
    """Posters of new films, drawn as the sample's are: uint8 `(count, 24, 16, 3)`."""
    known = [film for film in films.read(ROOT / films.CATALOGUE).values() if film.genres and not film.original]
    chosen = np.random.default_rng(first).integers(0, len(known), count)
    new = (
        films.Film(f"tt{films.BASE + number}", known[row].title, known[row].genres)
        for number, row in enumerate(chosen, first)
    )
    drawn = (images.decode(poster.jpeg(film)) for film in new)
    return np.stack([images.fit(picture, network.height, network.width, network.fit) for picture in drawn])


@pytest.mark.long
def test_of_20_draws_of_drawn_posters_none_alarms_but_with_their_colours_inverted_most_do(models: Path) -> None:
    network, index = predictor.load(models), model_folder.load_index(models)

    def p_of(posters: np.ndarray) -> float:
        return drift.two_sample_p(drift_reference.project(index, *network.look(posters)), reference, 199)

    reference = drift_reference.project(index, *network.look(draw(50_000, 200, network)))
    draws = [draw(60_000 + 40 * number, 40, network) for number in range(20)]
    assert sum(p_of(posters) <= drift.LEVEL for posters in draws) <= 1
    assert sum(p_of(255 - posters) <= drift.LEVEL for posters in draws) >= 15
