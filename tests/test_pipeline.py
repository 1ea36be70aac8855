"""The whole chain in a DVC repository of its own, on four dozen tiny posters from a site on loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests import support
from tests.factories import make_films, make_project, read_lock, read_runs, repro
from tests.support import Answer, Site, encoded, picture

GENRES = ("Comedy", "Drama", "Horror")
OUTPUTS = ("data/posters", "data/resized", "data/dataset", "models", "reports")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Path:
    """One undisturbed `dvc repro`, which the tests only read."""
    folder = make_project(tmp_path_factory.mktemp("whole"), site)
    done = repro(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_one_command_makes_everything(whole: Path) -> None:
    manifest = pd.read_csv(whole / "data/posters/manifest.csv")
    assert len(manifest) == 50
    assert manifest["status"].value_counts().to_dict() == {"ok": 49, "gone": 1}
    summary = json.loads((whole / "data/dataset/summary.json").read_text())
    assert summary["set_aside"] == {"it has no genre": 1}
    assert sum(summary["posters"].values()) == 48
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
    seen = [pd.read_csv(whole / f"data/dataset/{name}.csv")["imdb_id"] for name in ("train", "val", "test")]
    together = pd.concat(seen)
    assert together.is_unique
    assert len(together) == 48


def test_repro_again_runs_no_stage(whole: Path) -> None:
    again = repro(whole)
    assert again.returncode == 0
    assert again.stdout.count("didn't change, skipping") == 5
    assert "Running stage" not in again.stdout


def test_the_run_is_in_mlflow_with_its_metrics(whole: Path) -> None:
    (run,) = read_runs(whole).to_dict("records")
    metrics = json.loads((whole / "reports/metrics.json").read_text())
    assert run["status"] == "FINISHED"
    assert run["metrics.test.map"] == pytest.approx(metrics["map"])
    assert run["params.train.network"] == "small"
    assert run["tags.postergenre.model"] == json.loads((whole / "models/run.json").read_text())["model"]
    assert (run["tags.git.commit"], run["tags.git.dirty"]) == (head(whole), "false")


def test_what_it_made_can_become_champion(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    done = support.run("postergenre", "promote", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = read_runs(whole).to_dict("records")
    assert f"version 1 of poster-genres, run {run['run_id']}, is the champion now, as the first one" in done.stdout


def finished_epochs(folder: Path) -> int:
    return sum(len(json.loads(file.read_text())["history"]) for file in folder.glob("checkpoints/*/state.json"))


def test_another_run_from_nothing_gives_the_same_bytes_though_its_training_was_killed(
    whole: Path, tmp_path: Path, site: Site
) -> None:
    killed = make_project(tmp_path, site)
    assert repro(killed, "dataset").returncode == 0
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
    done = repro(killed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "epoch   1/" not in done.stdout
    assert read_lock(killed) == read_lock(whole)
    assert (killed / "reports/metrics.json").read_bytes() == (whole / "reports/metrics.json").read_bytes()
    assert not list(killed.glob("checkpoints/*"))
    assert read_runs(killed)["status"].tolist() == ["FINISHED"]


def test_a_wrong_value_ends_repro_with_a_sentence_and_loses_nothing(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    file = folder / "params.yaml"
    good = file.read_text()
    file.write_text(good.replace("patience: 5", "patience: 0"))
    done = repro(folder)
    assert done.returncode != 0
    assert (
        "error: params.yaml: networks.small.training.patience is 0; it should be greater than or equal to 1"
        in done.stderr
    )
    file.write_text(good)
    assert repro(folder).returncode == 0
    assert read_lock(folder) == read_lock(whole)
    assert (folder / "models/run.json").read_bytes() == (whole / "models/run.json").read_bytes()


def test_a_full_disk_leaves_the_output_as_it_was(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    before = {file: file.read_bytes() for file in (folder / "data/resized").iterdir()}
    # A limit on the size of files stands in for the end of the disk: the write fails with an error of the same kind.
    done = support.run("bash", "-c", "ulimit -f 8; exec python -m stages.resize", cwd=folder)
    assert done.returncode == 1
    assert "could not be written" in done.stderr
    assert {file: file.read_bytes() for file in (folder / "data/resized").iterdir()} == before
    assert not list((folder / "data").glob(".*"))


def test_stages_run_by_hand_refuse_what_others_made(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    store = folder / "data/resized/store.json"
    about = json.loads(store.read_text())
    store.unlink()
    store.write_text(json.dumps(about | {"sha256": "0" * 64}))
    for stage, said in (("train", "data/dataset was made from other posters"), ("evaluate", "run `dvc repro`")):
        done = support.run("python", "-m", f"stages.{stage}", cwd=folder)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert said in done.stderr


def test_test_labels_decide_no_weight_calibration_or_threshold(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    names = ("weights.weights.h5", "calibration.json", "thresholds.json", "history.csv")
    before = [(folder / "models" / name).read_bytes() for name in names]
    file = folder / "data/dataset/test.csv"
    test = pd.read_csv(file)
    test[list(GENRES)] = test[list(GENRES)].to_numpy()[::-1]
    file.unlink()
    test.to_csv(file, index=False)
    done = support.run("python", "-m", "stages.train", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "models/run.json").read_bytes() != (whole / "models/run.json").read_bytes()
    assert [(folder / "models" / name).read_bytes() for name in names] == before


def test_an_outside_split_is_rebuilt_exactly(whole: Path, tmp_path: Path, site: Site) -> None:
    ids = pd.read_csv(whole / "data/dataset/test.csv")["imdb_id"].tolist()
    folder = make_project(tmp_path, site, dataset={"split_file": "data/splits/mine.csv", "min_posters": 1})
    names = ["train", "val", "test"]
    rows = [f"{imdb_id},{names[k % 3]}" for k, imdb_id in enumerate(ids)]
    (folder / "data/splits/mine.csv").write_text("\n".join(["imdb_id,split", *rows]) + "\n")
    done = repro(folder, "dataset")
    assert done.returncode == 0, done.stdout + done.stderr
    for k, name in enumerate(names):
        assert sorted(pd.read_csv(folder / f"data/dataset/{name}.csv")["imdb_id"]) == sorted(ids[k::3])


def test_an_experiment_changes_what_it_names_and_a_checkout_of_the_run_before_brings_all_back(
    whole: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    (run,) = read_runs(folder).to_dict("records")
    before, me = made(folder), ("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qam", "t")
    support.run("git", "add", "-A", cwd=folder)
    assert support.run(*me, cwd=folder).returncode == 0
    done = support.run("dvc", "exp", "run", "-S", "networks.small.training.epochs=1", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("didn't change, skipping") == 3
    newest = read_runs(folder).sort_values("start_time").iloc[-1]
    assert (newest["tags.git.commit"], newest["tags.git.dirty"]) == (head(folder), "true")
    assert len(pd.read_csv(folder / "models/history.csv")) == 1
    refused = support.run("postergenre", "checkout", run["run_id"], cwd=folder)
    assert refused.returncode == 1
    assert "dvc.lock, params.yaml, reports/comparison.csv" in refused.stderr
    assert support.run(*me, cwd=folder).returncode == 0
    assert made(folder) != before
    done = support.run("postergenre", "checkout", run["run_id"], cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"commit  {run['tags.git.commit']}" in done.stdout
    assert "other code" not in done.stdout
    assert made(folder) == before
    assert "up to date" in support.run("dvc", "status", cwd=folder).stdout


def head(folder: Path) -> str:
    return support.run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


def made(folder: Path) -> dict[str, bytes]:
    """params.yaml, dvc.lock and all outputs."""
    files = [file for name in OUTPUTS for file in (folder / name).rglob("*") if file.is_file()]
    every = [folder / "params.yaml", folder / "dvc.lock", *files]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in every}


def test_posters_that_differ_in_a_few_bits_stay_together(tmp_path: Path, site: Site) -> None:
    folder = make_project(tmp_path, site)
    rows = make_films(site)
    for n in range(1, 25):
        site.answers[f"/again{n}.jpg"] = Answer(encoded(picture(n).resize((66, 99))))
        rows.append((str(200 + n), "Drama", f"{site.url}/again{n}.jpg"))
    support.catalogue(folder / "films.csv", rows)
    done = repro(folder, "dataset")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((folder / "data/dataset/summary.json").read_text())
    assert summary["near_duplicates"]["groups"] >= 20
    where = {
        imdb_id: name
        for name in ("train", "val", "test")
        for imdb_id in pd.read_csv(folder / f"data/dataset/{name}.csv")["imdb_id"]
    }
    assert summary["near_duplicates"]["groups_across_splits"] == 0
    assert sum(where[f"tt{n:07d}"] == where[f"tt{200 + n:07d}"] for n in range(1, 25)) >= 20
