"""Makes what tests share: networks, data, splits, stores, reports and projects.

TensorFlow and MLflow are imported by the functions that need them, so that other tests do not wait for them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from sklearn.metrics import log_loss

from postergenre import files, params
from postergenre.data import manifest
from postergenre.data.split_tables import Split
from tests import in_process, support
from tests.in_process import PERSON
from tests.support import ROOT, Site

if TYPE_CHECKING:
    import keras

    from postergenre.networks.config import Network, TrainParams
    from postergenre.networks.training_data import TrainingData

# Networks and their training

BLOCK: dict[str, Any] = {
    "kind": "plain",
    "filters": 8,
    "repeats": 1,
    "kernel": 3,
    "stride": 1,
    "pool": 2,
    "norm": "batch",
    "activation": "relu",
    "dropout": 0.1,
}
SMALL: dict[str, Any] = {
    "input": {"height": 24, "width": 16, "scale": "unit"},
    "augmentation": {"shift": 0.0, "brightness": 0.0, "contrast": 0.0, "horizontal_flip": False},
    "blocks": [BLOCK],
    "head": {"pooling": "average", "norm": "none", "dropout": 0.0, "dense": []},
}
TRAIN: dict[str, Any] = params.read(ROOT / "params.yaml")["train"] | {"network": "small", "device": "cpu"}
RECIPE: dict[str, Any] = {
    "epochs": 5,
    "batch_size": 8,
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "patience": 5,
    "loss": "bce",
    "label_smoothing": 0.0,
    "class_weights": False,
    "frequency_bias": True,
    "ema": 0.0,
}
NETWORK: dict[str, Any] = {
    "architecture": SMALL
    | {
        "augmentation": {"shift": 0.1, "brightness": 0.1, "contrast": 0.1, "horizontal_flip": False},
        "blocks": [BLOCK | {"kind": "residual"}],
    },
    "training": RECIPE,
}


class Posters:
    """Posters in memory that answer as a store does. A bright one has genre 0, a dark one genre 1."""

    height, width, fit, digest = 24, 16, "crop", "posters"

    def __init__(self, count: int):
        random = np.random.default_rng(3)
        self.labels = np.zeros((count, 3), np.uint8)
        self.labels[np.arange(count), random.integers(0, 2, count)] = 1
        noise = random.integers(0, 90, (count, 24, 16, 3))
        self.pixels = (noise + 160 * self.labels[:, :1, None, None]).astype(np.uint8)

        self.film_ids = [f"tt{row:07d}" for row in range(count)]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Any) -> Any:
        return self.pixels[rows]


def make_data() -> TrainingData:
    """Make 40 posters to train on and 20 to validate on, with the genres A, B and C."""
    from postergenre.networks.training_data import TrainingData

    posters = Posters(60)
    train, val = (
        Split([f"tt{row:07d}" for row in rows], rows, ["A", "B", "C"], posters.labels[rows])
        for rows in (np.arange(40), np.arange(40, 60))
    )
    return TrainingData(posters, train, val, {"params": {}, "posters": {}}, "splits")  # type: ignore[arg-type]


def make_network(**changes: Any) -> Network:
    """Make the section of a small network, with changes of its recipe."""
    from postergenre.networks.config import Network

    return params.parse("networks.small", Network, NETWORK | {"training": RECIPE | changes})


def prepare(train: TrainParams) -> None:
    """Set up the backend as the train stage does."""
    from postergenre.networks import backend

    backend.configure(train.device, train.deterministic, train.mixed_precision)


def fit_network(
    folder: Path, log: Callable[[int, dict[str, float]], None] = lambda *_: None, **changes: Any
) -> keras.Model:
    """Train the small network on the training data; keep the checkpoint in a folder."""
    from postergenre.networks import training
    from postergenre.networks.checkpoints import Checkpoint
    from postergenre.networks.config import TrainParams

    train = params.parse("train", TrainParams, TRAIN)
    prepare(train)
    return training.fit(make_network(**changes), train, make_data(), Checkpoint(folder), log)


def compute_val_loss(probabilities: npt.NDArray[np.float32]) -> float:
    """Compute the mean log loss of probabilities, float32 `(20, 3)`, for the training data's validation posters."""
    labels, probabilities = make_data().val.labels, probabilities.astype(float).clip(1e-7, 1 - 1e-7)  # as Keras does
    columns = (log_loss(labels[:, k], probabilities[:, k], labels=[0, 1]) for k in range(3))
    return float(np.mean(list(columns)))


# Posters and their tables


def write_store(folder: Path, film_ids: list[str], copies: dict[str, str] | None = None) -> None:
    """Write a store of random posters, 12 x 8 pixels, as the resize stage does.

    copies: films that have the poster of another film.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (len(film_ids), 12, 8, 3), dtype=np.uint8)
    for film_id, other in (copies or {}).items():
        pixels[film_ids.index(film_id)] = pixels[film_ids.index(other)]
    np.save(folder / "shard-00000.npy", pixels)
    index = pd.DataFrame({"film_id": film_ids, "shard": "shard-00000.npy", "row": range(len(film_ids))})
    index.to_csv(folder / "index.csv", index=False)
    about = {"height": 12, "width": 8, "fit": "crop", "posters": len(film_ids), "sha256": "a" * 64}
    files.write_json(folder / "store.json", about)


def make_test_split(first: int = 1) -> Split:
    """Make a test split of 150 films with the genres A, B and C; their ids start at `first`."""
    labels = (np.random.default_rng(1).random((150, 3)) < [0.5, 0.3, 0.2]).astype(np.uint8)
    labels[:, 0] |= labels.sum(axis=1) == 0
    return Split([f"tt{first + k:07d}" for k in range(150)], np.arange(150), ["A", "B", "C"], labels)


def write_reports(folder: Path, strength: float, test: Split, seed: int = 2) -> Path:
    """Write the reports of a network that is the better the larger `strength`, as the evaluate stage does."""
    from postergenre.evaluation import test_predictions

    noise = np.random.default_rng(seed).random(test.labels.shape)
    probabilities = ((noise + strength * test.labels) / (1 + strength)).astype(np.float32)
    test_predictions.write(folder / "reports" / test_predictions.FILE, test, probabilities)
    files.write_json(folder / "reports/metrics.json", {"map": strength / 10})
    files.write_json(folder / "reports/scrape.json", {"status": {"ok": 3}})
    return folder / "reports"


# A folder with the scrape stage alone

# Names of this machine, where the tests' sites are; `scrape.private_hosts` allows them.
OWN_HOSTS = ["127.0.0.1", "localhost"]


def make_dramas(site: Site, count: int) -> list[tuple[str, str, str]]:
    """Put posters on a site; return the rows of a catalogue with them."""
    site.add_posters(range(1, count + 1))
    return [(str(n), "Drama", f"{site.url}/{n}.jpg") for n in range(1, count + 1)]


def write_scrape_project(folder: Path, rows: list[tuple[str, str, str]], **changes: Any) -> None:
    """Write a catalogue and a params.yaml with changes of its section `scrape`."""
    folder.mkdir(exist_ok=True)
    support.write_catalogue(folder / "films.csv", rows)
    section = yaml.safe_load((ROOT / "params.yaml").read_text())["scrape"]
    section |= {"catalogue": "films.csv", "min_success": 0.0, "retries": 1, "timeout": 5, "shard_rows": 4}
    section |= {"private_hosts": OWN_HOSTS} | changes
    (folder / "params.yaml").write_text(yaml.safe_dump({"scrape": section}))


def run_scrape(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the scrape stage as a process."""
    return support.run(sys.executable, "-m", "stages.scrape", cwd=folder, timeout=60)


def read_manifest(folder: Path) -> pd.DataFrame:
    """Read the manifest that the scrape stage wrote."""
    return manifest.read(folder / "data/posters/manifest.csv")


def read_scraped(folder: Path) -> dict[str, bytes]:
    """Read all files that the scrape stage wrote, by name."""
    return {file.name: file.read_bytes() for file in sorted((folder / "data/posters").iterdir())}


# The whole project in a repository of its own


def make_films(site: Site, count: int = 48) -> list[tuple[str, str, str]]:
    """Put posters on a site; return the rows of a catalogue with them, one lost poster and one film without a genre."""
    site.add_posters(range(1, count + 1))
    names = ("Comedy", "Drama", "Horror", "Comedy|Drama", "Drama|Horror")
    rows = [(str(n), names[n % 5], f"{site.url}/{n}.jpg") for n in range(1, count + 1)]
    return [*rows, ("99", "Drama", f"{site.url}/gone.jpg"), ("98", "", f"{site.url}/1.jpg")]


def make_project(
    folder: Path, site: Site, films: list[tuple[str, str, str]] | None = None, **changes: dict[str, Any]
) -> Path:
    """Copy and commit the project as git has it, with a small network.

    films: rows of its catalogue; those of `make_films` where there are none.
    changes: of sections of params.yaml.
    """
    tracked = support.run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in tracked:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "reports/", "dvc.lock", "data/sample/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    support.write_catalogue(folder / "films.csv", films or make_films(site))
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    sections["scrape"] |= {"catalogue": "films.csv", "retries": 0, "private_hosts": OWN_HOSTS}
    sections["resize"] |= {"height": 24, "width": 16}
    sections["dataset"] |= {"min_posters": 3, "split": "films"}
    sections["train"] |= {"network": "small", "device": "cpu"}
    sections["evaluate"] |= {"bootstrap": 100, "pictures": 0}  # no heatmaps, for which Keras would be imported
    sections["networks"]["small"] = NETWORK
    for section, values in changes.items():
        sections[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        assert support.run("git", *command, cwd=folder).returncode == 0
    return folder


def repro(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `dvc repro` in a project."""
    return support.run("dvc", "repro", *more, cwd=folder, timeout=400)


def read_lock(folder: Path) -> dict[str, Any]:
    """Read the stages of a project's dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return stages


def read_runs(folder: Path) -> pd.DataFrame:
    """Read the runs of a project's mlflow.db: columns as `mlflow.search_runs` names them, without their artifacts."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("poster-genres")
    assert experiment
    rows = []
    for run in client.search_runs([experiment.experiment_id]):
        row = {"run_id": run.info.run_id, "status": run.info.status, "start_time": run.info.start_time}
        data = {"params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags}
        rows.append(row | {f"{kind}.{name}": value for kind, named in data.items() for name, value in named.items()})
    return pd.DataFrame(rows)


# A small pipeline under git and DVC, and commands in it

PIPELINE = """
stages:
  prepare:
    cmd: python3 stage.py prepare
    deps: [stage.py]
    params: [posters]
    outs: [data]
  train:
    cmd: python3 stage.py train
    deps: [stage.py, data]
    params: [rate]
    outs: [model]
    metrics:
      - reports/metrics.json: {cache: false}
"""
STAGE = """
import pathlib, sys
params = dict(line.split(": ") for line in pathlib.Path("params.yaml").read_text().splitlines())
if sys.argv[1] == "prepare":
    pathlib.Path("data").mkdir()
    for n in range(int(params["posters"])):
        pathlib.Path(f"data/{n}.txt").write_text(f"poster {n}")
else:
    pathlib.Path("model").write_text("a model, rate " + params["rate"])
    pathlib.Path("reports").mkdir(exist_ok=True)
    pathlib.Path("reports/metrics.json").write_text('{"rate": ' + params["rate"] + "}")
"""
RESIZE = "mkdir resized && cat data/*.txt > resized/shard.npy"


def run(folder: Path, *words: str) -> str:
    """Run a command that has to succeed; return its output."""
    return read_output(support.run(*words, cwd=folder, env=PERSON | {"PYTHONPATH": str(ROOT)}))


def read_output(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed; it has to succeed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc_(folder: Path, *words: str) -> str:
    """Run `dvc`; return its output."""
    return read_output(in_process.dvc(folder, *words))


def git(folder: Path, *words: str) -> str:
    """Run `git`; return its output."""
    return run(folder, "git", *words)


def postergenre(folder: Path, *words: str) -> str:
    """Run `postergenre`; return its output."""
    return read_output(in_process.postergenre(folder, *words))


def make_two_stages(folder: Path, rate: float = 0.1) -> Path:
    """Make a small pipeline under git and DVC, set up as this project is; nothing has run."""
    for name in (".gitattributes", ".dvcignore", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    autostage = false\n")
    (folder / ".gitignore").write_text("/data\n/model\n")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "stage.py").write_text(STAGE)
    set_rate(folder, rate)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def make_dataset_project(folder: Path, genres_of: dict[str, str]) -> Path:
    """Make a project of the dataset stage alone under git and DVC, with posters of films; nothing has run.

    genres_of: genres as `Comedy|Drama`, by film id.
    """
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["dataset"]
    stage["deps"] = [dep for dep in stage["deps"] if dep.startswith("data/")]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"dataset": stage}}))
    section = params.read(ROOT / "params.yaml")["dataset"] | {"min_posters": 1}
    (folder / "params.yaml").write_text(yaml.safe_dump({"dataset": section}))
    for name in (".dvcignore", ".dvc/.gitignore", ".dvc/config", "data/splits/README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for place in ("posters", "resized"):
        (folder / "data" / place).mkdir()
    rows = [manifest.Row(n, film_id, "", genres, "ok") for n, (film_id, genres) in enumerate(genres_of.items(), 1)]
    pd.DataFrame(rows, columns=manifest.COLUMNS).to_csv(folder / "data/posters/manifest.csv", index=False)
    write_store(folder / "data/resized", list(genres_of))
    (folder / ".gitignore").write_text("/data/dataset\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def make_three_stages(folder: Path) -> Path:
    """Make the small pipeline with a stage in between, whose output `resized` is never pushed."""
    make_two_stages(folder)
    stages = yaml.safe_load(PIPELINE)["stages"]
    stages["resize"] = {"cmd": RESIZE, "deps": ["data"], "outs": [{"resized": {"push": False}}]}
    stages["train"]["deps"].append("resized")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / ".gitignore").write_text("/data\n/model\n/resized\n")
    commit(folder)
    return folder


def set_rate(folder: Path, rate: float) -> None:
    """Write the params.yaml of the small pipeline."""
    (folder / "params.yaml").write_text(f"posters: 3\nrate: {rate}\n")


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "t")


def count_stages(output: str) -> int:
    """Count the stages that DVC ran, by its output."""
    return output.count("Running stage")


def is_clean(folder: Path) -> bool:
    """Whether `dvc status` has nothing to report."""
    return "Data and pipelines are up to date." in dvc_(folder, "status")


def read_dvc_config(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Read the contents and times of DVC's configuration files."""
    settings = (folder / ".dvc").glob("config*")
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in settings}
