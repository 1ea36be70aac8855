"""The whole chain in a DVC repository of its own, on tiny posters from a site on loopback.

A process that imports TensorFlow or MLflow takes seconds to start. So DVC and its stages run as processes where that is
what a test is about; else the same stages and commands run in this process, in the project's folder.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from postergenre import errors, params
from postergenre.data import splits
from postergenre.data.splits import DatasetParams
from stages import dataset, evaluate, train
from tests import support
from tests.factories import make_films, make_project, read_lock, read_runs, repro
from tests.support import Response, Site, command, encode, make_picture

GENRES = ("Comedy", "Drama", "Horror")
OUTPUTS = ("data/posters", "data/resized", "data/text", "data/dataset", "models", "reports")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


def make_copies_project(folder: Path, site: Site) -> Path:
    """Make the project with 48 films, and 24 more whose posters are copies of others in another size."""
    rows = make_films(site)
    for n in range(1, 25):
        site.responses[f"/again{n}.jpg"] = Response(encode(make_picture(n).resize((66, 99))))
        rows.append((str(200 + n), "Drama", f"{site.url}/again{n}.jpg"))
    return make_project(folder, site, rows, evaluate={"pictures": 2})


def copy_project(whole: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy a project and go there."""
    shutil.copytree(whole, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Path:
    """One undisturbed `dvc repro`, which the tests only read."""
    folder = make_copies_project(tmp_path_factory.mktemp("whole"), site)
    done = repro(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_one_command_makes_everything(whole: Path) -> None:
    manifest = pd.read_csv(whole / "data/posters/manifest.csv")
    assert len(manifest) == 74
    assert manifest["status"].value_counts().to_dict() == {"ok": 73, "gone": 1}
    summary = json.loads((whole / "data/dataset/summary.json").read_text())
    assert summary["set_aside"] == {"it has no genre": 1}
    assert sum(summary["posters"].values()) == 72
    for name in (
        "weights.weights.h5",
        "architecture.json",
        "genres.json",
        "calibration.json",
        "thresholds.json",
        "summary.txt",
        "history.csv",
    ):
        assert (whole / "models" / name).stat().st_size > 0
    metrics = json.loads((whole / "reports/metrics.json").read_text())
    assert 0 < metrics["map"] <= 1
    assert "<html" in (whole / "reports/report.html").read_text()[:200].lower()


def test_no_film_stands_in_two_splits(whole: Path) -> None:
    seen = [pd.read_csv(whole / f"data/dataset/{name}.csv")["film_id"] for name in ("train", "val", "test")]
    together = pd.concat(seen)
    assert together.is_unique
    assert len(together) == 72


def test_repro_again_runs_no_stage(whole: Path) -> None:
    again = repro(whole)
    assert again.returncode == 0
    assert again.stdout.count("didn't change, skipping") == 6
    assert "Running stage" not in again.stdout


def test_the_run_is_in_mlflow_with_its_metrics(whole: Path) -> None:
    (run,) = read_runs(whole).to_dict("records")
    metrics = json.loads((whole / "reports/metrics.json").read_text())
    assert run["status"] == "FINISHED"
    assert run["metrics.test.map"] == pytest.approx(metrics["map"])
    assert run["params.train.network"] == "small"
    assert run["tags.postergenre.model"] == json.loads((whole / "models/run.json").read_text())["model"]
    assert (run["tags.git.commit"], run["tags.git.dirty"]) == (head(whole), "false")


def test_what_it_made_can_become_champion(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_project(whole, tmp_path / "copy", monkeypatch)
    assert command("promote") == 0
    (run,) = read_runs(folder).to_dict("records")
    out, err = capsys.readouterr()
    assert f"version 1 of poster-genres, run {run['run_id']}, is the champion now, as the first one" in out
    assert err == ""


def finished_epochs(folder: Path) -> int:
    return sum(len(json.loads(file.read_text())["history"]) for file in folder.glob("checkpoints/*/state.json"))


def test_another_run_from_nothing_gives_the_same_bytes_though_its_training_was_killed(
    whole: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = make_copies_project(tmp_path, site)
    assert repro(killed, "read", "dataset").returncode == 0
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    # In a folder such as `dvc exp run --temp` and `--queue` work in, and DVC then removes.
    aside = killed / ".dvc/tmp/exps/aside"
    shutil.copytree(killed, aside, symlinks=True, ignore=shutil.ignore_patterns(".dvc", ".git"))
    training = subprocess.Popen(["python", "-m", "stages.train"], cwd=aside, env=environment)
    try:
        while not finished_epochs(killed) and training.poll() is None:
            time.sleep(0.01)
    finally:
        training.send_signal(signal.SIGKILL)
        training.wait()
    assert not (aside / "models").exists()
    shutil.rmtree(aside)
    done = repro(killed, "train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "epoch   1/" not in done.stdout
    assert read_lock(killed) == {name: stage for name, stage in read_lock(whole).items() if name != "evaluate"}
    monkeypatch.chdir(killed)
    capsys.readouterr()
    evaluate.main()
    mean = json.loads((killed / "reports/metrics.json").read_text())["map"]
    assert capsys.readouterr().out == f"test mAP {mean:.3f}; `postergenre results` prints the table\n"
    before, after = (read_files(folder / "reports") for folder in (whole, killed))
    assert "test_predictions.csv.gz" in before
    assert after == before
    assert not list(killed.glob("checkpoints/*"))
    assert read_runs(killed)["status"].tolist() == ["FINISHED"]


def test_a_wrong_value_ends_repro_with_a_sentence_and_loses_nothing(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    file = folder / "params.yaml"
    good = file.read_text()
    file.write_text(good.replace("val_share: 0.15", "val_share: 1.15"))
    done = repro(folder)
    assert done.returncode != 0
    assert "error: params.yaml: dataset.val_share is 1.15; it should be less than 1" in done.stderr
    file.write_text(good)
    assert repro(folder).returncode == 0
    assert read_lock(folder) == read_lock(whole)
    for name in ("data/dataset/train.csv", "models/run.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_full_disk_leaves_the_output_as_it_was(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    before = {file: file.read_bytes() for file in (folder / "data/resized").iterdir()}
    # A limit on the size of files stands in for the end of the disk: the write fails with an error of the same kind.
    done = support.run("bash", "-c", "ulimit -f 8; exec python -m stages.resize", cwd=folder)
    assert done.returncode == 1
    assert "could not be written" in done.stderr
    assert {file: file.read_bytes() for file in (folder / "data/resized").iterdir()} == before
    assert not list((folder / "data").glob(".*"))


def run_stage(main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Run a stage in this process, as its file does; return what it exits with, and its output."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        errors.run(main)
    return ended.value.code, capsys.readouterr().out


def test_a_wrong_value_of_a_network_ends_its_training_with_a_sentence(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_project(whole, tmp_path / "copy", monkeypatch)
    file = folder / "params.yaml"
    file.write_text(file.read_text().replace("patience: 5", "patience: 0"))
    reason = "params.yaml: networks.small.training.patience is 0; it should be greater than or equal to 1"
    assert run_stage(train.main, capsys) == (f"error: {reason}", "")
    assert read_files(folder / "models") == read_files(whole / "models")


def test_stages_run_by_hand_refuse_what_others_made(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_project(whole, tmp_path / "copy", monkeypatch)
    store = folder / "data/resized/store.json"
    about = json.loads(store.read_text())
    store.unlink()
    store.write_text(json.dumps(about | {"sha256": "0" * 64}))
    for main, reason in ((train.main, "data/dataset was made from other posters"), (evaluate.main, "run `dvc repro`")):
        code, _ = run_stage(main, capsys)
        assert str(code).startswith("error: ")
        assert reason in str(code)


def test_test_labels_decide_no_weight_calibration_or_threshold(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_project(whole, tmp_path / "copy", monkeypatch)
    names = ("weights.weights.h5", "calibration.json", "thresholds.json", "history.csv")
    before = [(folder / "models" / name).read_bytes() for name in names]
    file = folder / "data/dataset/test.csv"
    test = pd.read_csv(file)
    test[list(GENRES)] = test[list(GENRES)].to_numpy()[::-1]
    file.unlink()
    test.to_csv(file, index=False)
    assert run_stage(train.main, capsys)[0] == 0
    assert (folder / "models/run.json").read_bytes() != (whole / "models/run.json").read_bytes()
    assert [(folder / "models" / name).read_bytes() for name in names] == before


def test_an_outside_split_is_rebuilt_exactly(whole: Path, tmp_path: Path) -> None:
    ids = pd.read_csv(whole / "data/dataset/test.csv")["film_id"].tolist()
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["dataset"] |= {"split_file": "data/splits/mine.csv", "min_posters": 1}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    names = ["train", "val", "test"]
    rows = [f"{film_id},{names[k % 3]}" for k, film_id in enumerate(ids)]
    (folder / "data/splits/mine.csv").write_text("\n".join(["film_id,split", *rows]) + "\n")
    done = repro(folder, "dataset")
    assert done.returncode == 0, done.stdout + done.stderr
    for k, name in enumerate(names):
        assert sorted(pd.read_csv(folder / f"data/dataset/{name}.csv")["film_id"]) == sorted(ids[k::3])


def test_a_corrected_genre_moves_no_film(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_project(whole, tmp_path / "copy", monkeypatch)
    file, before = folder / "data/posters/manifest.csv", read_sides(folder)
    manifest = file.read_text()
    file.unlink()  # it may be a link into the cache
    file.write_text(manifest.replace(",Comedy|Drama,", ",Horror,"))
    code, out = run_stage(dataset.main, capsys)
    assert code == 0
    assert "git commit" not in out
    assert read_sides(folder) == before
    assert json.loads((folder / "data/dataset/summary.json").read_text())["genres"]["Drama"] != 0


def test_another_split_is_made_by_a_command(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_project(whole, tmp_path / "copy", monkeypatch)
    file, before = folder / "params.yaml", read_sides(folder)
    file.write_text(file.read_text().replace("  seed: 1\n", "  seed: 2\n", 1))
    assert params.load("dataset", DatasetParams).seed == 2
    assert str(run_stage(dataset.main, capsys)[0]).startswith(
        "error: data/splits/films.csv was made with dataset.seed 1, and params.yaml has 2: `postergenre split --new` "
    )
    assert command("split", "--new") == 0
    out = capsys.readouterr().out
    assert out.startswith("data/splits/films.csv holds another split now: ")
    assert out.endswith("Commit it:\n    git add data/splits/films.csv\n    git commit data/splits/films.csv\n")
    assert run_stage(dataset.main, capsys)[0] == 0
    after = read_sides(folder)
    moved = sum(after[film_id] != side for film_id, side in before.items())
    assert f" {moved} of 72 films moved, 0 are new in it, 0 left it. " in out
    assert moved > 0
    assert command("split") == 2


def test_an_experiment_changes_what_it_names_and_a_checkout_of_the_run_before_brings_all_back(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_project(whole, tmp_path / "copy", monkeypatch)
    (run,) = read_runs(folder).to_dict("records")
    before, me = made(folder), ("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qam", "t")
    support.run("git", "add", "-A", cwd=folder)
    assert support.run(*me, cwd=folder).returncode == 0
    done = support.run("dvc", "exp", "run", "-S", "networks.small.training.epochs=1", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("didn't change, skipping") == 4
    newest = read_runs(folder).sort_values("start_time").iloc[-1]
    assert (newest["tags.git.commit"], newest["tags.git.dirty"]) == (head(folder), "true")
    assert len(pd.read_csv(folder / "models/history.csv")) == 1
    assert "dvc.lock, params.yaml, reports/comparison.csv" in str(command("checkout", run["run_id"]))
    assert support.run(*me, cwd=folder).returncode == 0
    assert made(folder) != before
    capsys.readouterr()
    assert command("checkout", run["run_id"]) == 0
    out = capsys.readouterr().out
    assert f"commit  {run['tags.git.commit']}" in out
    assert "other code" not in out
    assert made(folder) == before
    assert "up to date" in support.run("dvc", "status", cwd=folder).stdout


def read_sides(folder: Path) -> dict[str, str]:
    """The split of each film in the tables, which must be that of data/splits."""
    sides = {
        film_id: name
        for name in ("train", "val", "test")
        for film_id in pd.read_csv(folder / f"data/dataset/{name}.csv")["film_id"]
    }
    assert sides.items() <= splits.read_given(folder / "data/splits/films.csv").items()
    return sides


def head(folder: Path) -> str:
    return support.run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


def read_files(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder, by path."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


def made(folder: Path) -> dict[str, Any]:
    """Read params.yaml, dvc.lock and all outputs."""
    every = {name: (folder / name).read_bytes() for name in ("params.yaml", "dvc.lock")}
    return every | {name: read_files(folder / name) for name in OUTPUTS}


def test_posters_that_differ_in_a_few_bits_stay_together(whole: Path) -> None:
    near = json.loads((whole / "data/dataset/summary.json").read_text())["near_duplicates"]
    assert near["groups"] >= 20
    assert near["groups_across_splits"] == 0
    where = read_sides(whole)
    assert sum(where[f"tt{n:07d}"] == where[f"tt{200 + n:07d}"] for n in range(1, 25)) >= 20
