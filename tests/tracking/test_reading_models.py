"""A model that reads posters, in MLflow."""

import importlib.metadata
import json
import sys
import tomllib
from pathlib import Path

import mlflow
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from postergenre.networks import model_folder
from postergenre.prediction import predictor
from postergenre.reading import engine
from postergenre.tracking import logged_models, runs, saved_models
from tests.networks.text import texts
from tests.support import ROOT
from tests.support import run as run_command

# Loads a model and predicts, then prints which packages were imported for that.
IMPORTED = """
import importlib.metadata, json, sys
import numpy as np
from pathlib import Path
from postergenre.prediction import predictor
predictor.load(Path("models")).read_and_predict(np.zeros((1, 24, 16, 3), np.uint8))
owners = importlib.metadata.packages_distributions()
names = {name.split(".")[0] for name in sys.modules} - {*sys.stdlib_module_names} - {"postergenre"}
print(json.dumps(sorted({owner for name in names for owner in owners.get(name, ())})))
"""


def direct_requirements() -> set[str]:
    """The packages that this project requires, those of the extra `text` among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["text"]]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_a_model_that_reads_is_logged_whole(
    in_project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, models = texts.train(tmp_path), Path("models")
    models.mkdir()
    model_folder.write(models, trained)
    with runs.training_run(trained.description, tmp_path / "checkpoint") as run:
        run.log_training(models)
    assert "warning" not in capfd.readouterr().err.lower()
    uri = f"runs:/{run.id}/model"
    posters = np.random.default_rng(0).integers(0, 256, (3, 24, 16, 3), dtype=np.uint8)
    lines = (texts.line("a funny comedy"),)
    own = predictor.load(models)
    assert own.text is not None
    by_picture = own.predict(posters)
    expected = own.text.predict(by_picture, [lines] * 3)
    assert np.abs(expected - by_picture).max() > 0.1
    monkeypatch.setattr(engine, "load_as", lambda _: lambda poster: lines)
    model = mlflow.pyfunc.load_model(uri)
    np.testing.assert_allclose(model.predict(posters), expected, atol=1e-6)
    assert model.predict(posters[:0]).shape == (0, 3)
    loaded = logged_models.load_predictor(uri, in_project)
    np.testing.assert_array_equal(loaded.read_and_predict(posters), expected)
    assert loaded.thresholds.tolist() == own.thresholds.tolist()
    assert logged_models.load_predictor(uri, in_project, with_text=False).text is None
    by_keras = logged_models.load_keras(run.id or "").predict_on_batch(posters)
    np.testing.assert_allclose(by_keras, by_picture, atol=1e-4)
    client = mlflow.MlflowClient()
    assert "models/text/text.json" in {file.path for file in client.list_artifacts(run.id, "models/text")}
    pinned = Path(mlflow.artifacts.download_artifacts(uri), "requirements.txt").read_text().split()
    assert mlflow.models.get_model_info(uri).signature.inputs.input_types() == [np.dtype("uint8")]
    assert f"rapidocr=={importlib.metadata.version('rapidocr')}" in pinned
    done = run_command(sys.executable, "-c", IMPORTED, cwd=in_project)
    imported = {canonicalize_name(name) for name in json.loads(done.stdout)} & direct_requirements()
    assert imported == {line.split("==")[0] for line in pinned if not line.startswith("mlflow")}


def test_a_package_that_is_not_here_is_required_in_any_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_models, "TEXT_PACKAGES", ("no-such-package",))
    assert saved_models.requirements()[-1] == "no-such-package"
