"""A model that reads posters, in MLflow."""

from pathlib import Path

import mlflow
import numpy as np
import pytest

from postergenre.networks import model_folder
from postergenre.prediction import predictor
from postergenre.tracking import logged_models, runs
from tests.networks.text import texts


def test_a_model_that_reads_is_logged_whole(
    in_project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    trained, models = texts.train(tmp_path), Path("models")
    models.mkdir()
    model_folder.write(models, trained)
    with runs.training_run(trained.description, tmp_path / "checkpoint") as run:
        run.log_training(models)
    assert not recwarn.list
    assert "warning" not in capfd.readouterr().err.lower()
    uri = f"runs:/{run.id}/model"
    posters = np.random.default_rng(0).integers(0, 256, (3, 24, 16, 3), dtype=np.uint8)
    expected = predictor.load(models).read_and_predict(posters)
    model = mlflow.pyfunc.load_model(uri)
    np.testing.assert_allclose(model.predict(posters), expected, atol=1e-6)
    assert model.predict(posters[:0]).shape == (0, 3)
    loaded = logged_models.load_predictor(uri, in_project)
    lines = [(texts.line("a funny comedy"),)] * 3
    own = predictor.load(models)
    assert loaded.text is not None
    assert own.text is not None
    by_picture = own.predict(posters)
    np.testing.assert_array_equal(loaded.text.predict(by_picture, lines), own.text.predict(by_picture, lines))
    assert loaded.thresholds.tolist() == own.thresholds.tolist()
    assert logged_models.load_predictor(uri, in_project, with_text=False).text is None
    by_keras = logged_models.load_keras(run.id or "").predict_on_batch(posters)
    np.testing.assert_allclose(by_keras, by_picture, atol=1e-4)
    client = mlflow.MlflowClient()
    assert "models/text/text.json" in {file.path for file in client.list_artifacts(run.id, "models/text")}
    pinned = mlflow.artifacts.load_text(f"{mlflow.models.get_model_info(uri).model_uri}/requirements.txt")
    assert "rapidocr==" in pinned
