"""Fixtures that several tests share."""

from collections.abc import Iterator
from pathlib import Path

import filelock
import numpy as np
import pytest

from postergenre import machine
from postergenre.networks import backend
from tests.support import ROOT

backend.start()  # before a test imports Keras

# Where tests train networks, or start processes or servers: what takes longest first.
SLOW = (
    "tests/test_pipeline.py",
    "tests/scraper/test_hostile.py",
    "tests/dvc_project",
    "tests/tracking",
    "tests/scraper/test_scrape.py",
    "tests/networks/test_pretrained.py",
    "tests/networks/test_training.py",
    "tests/networks/test_backbones.py",
    "tests/networks/test_backend.py",
    "tests/networks/text_encoders",
    "tests/team",
    "tests/test_import.py",
    "tests/test_real_posters.py",
    "tests/test_start_methods.py",
    "tests/test_locales.py",
    "tests/test_containers.py",
    "tests/test_setup.py",
    "tests/test_workflow.py",
)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than processors: tests wait for servers and for the disk."""
    return machine.processors() + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark what is slow, by its place or because it needs a trained network, before tests are selected by marker.

    Run it first, so that no process of `make test` is left alone with it at the end.
    """
    rank: dict[pytest.Item, int] = {}
    for item in items:
        place = item.path.relative_to(ROOT).as_posix()
        rank[item] = next((n for n, slow in enumerate(SLOW) if place.startswith(slow)), len(SLOW))
        if rank[item] < len(SLOW) or "models" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    yield  # pytest-randomly shuffles them here
    items.sort(key=rank.__getitem__)


@pytest.fixture(scope="session", autouse=True)
def _no_tracking_server() -> Iterator[None]:
    """The fixtures that outlive a test, and what they start, know no tracking server either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        yield


@pytest.fixture(autouse=True)
def _tracking_server_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow puts its store's URI into the environment, from where the next test and its processes would take it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder as the train stage writes it, of a tiny network for three genres and posters of 24 x 16.

    The processes of a run share it.
    """
    if worker_id == "master":
        return _train(tmp_path_factory.mktemp("trained"))
    folder = tmp_path_factory.getbasetemp().parent / "trained"
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            _train(folder)
    return folder / "models"


def _train(folder: Path) -> Path:
    from postergenre import params
    from postergenre.networks import model_folder, training
    from postergenre.networks.calibration import Calibration
    from postergenre.networks.checkpoints import Checkpoint
    from postergenre.networks.config import TrainParams
    from postergenre.networks.model_folder import Trained
    from tests.factories import TRAIN, make_data, make_network, prepare

    train, checkpoint = params.parse("train", TrainParams, TRAIN), Checkpoint(folder / "checkpoint")
    prepare(train)
    model = training.fit(make_network(epochs=3), train, make_data(), checkpoint, lambda *_: None)
    index = training.index(model, make_network(), make_data(), checkpoint)
    description = training.describe(make_network(), train, make_data())
    (folder / "models").mkdir()
    none, cuts = Calibration("none", np.ones(3), np.zeros(3), {}), np.array([0.4, 0.5, 0.6])
    names, history = ["A", "B", "C"], checkpoint.history
    trained = Trained(model, history, checkpoint.best_epoch, none, cuts, 0.4, names, description, None, index)
    model_folder.write(folder / "models", trained)
    return folder / "models"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mlflow.db that holds no run yet, for tests to copy: making one waits for the disk again and again."""
    import mlflow

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in that has the project's params.yaml."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path
