import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from postergenre import files, params
from postergenre.data.texts import NONE, Engine, Texts
from postergenre.data.texts import write as write_texts
from postergenre.errors import InputError
from postergenre.networks import architecture, model_folder
from postergenre.networks.backend import keras
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import TrainParams
from postergenre.networks.text import training as text_training
from postergenre.networks.text.config import TextParams
from postergenre.networks.text.training import TextTraining
from postergenre.networks.text_encoders import finding, onnx_encoder
from postergenre.prediction import predictor
from tests.factories import RECIPE, TRAIN, make_network, prepare
from tests.networks import text_models
from tests.networks.text import texts


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models that `texts.train` trained, and its texts."""
    return write(tmp_path_factory.mktemp("reading"))


def write(folder: Path, **options: Any) -> Path:
    trained = texts.train(folder, **options)
    (folder / "models").mkdir()
    model_folder.write(folder / "models", trained)
    return folder


def precisions(folder: Path) -> tuple[float, float, float]:
    """Average precision of the genre C on the validation posters: by picture, by text alone, and by both."""
    val = texts.make_posters().val
    model, read = predictor.load(folder / "models"), Texts.read(folder / "texts")
    by_picture = model.predict(texts.make_posters().store[val.rows])
    lines = [read.of(film_id).lines for film_id in val.film_ids]
    assert model.text is not None
    each = by_picture, model.text.predict_alone(lines), model.text.predict(by_picture, lines)
    picture, alone, both = (average_precision_score(val.labels[:, 2], probabilities[:, 2]) for probabilities in each)
    return picture, alone, both


@pytest.mark.slow
def test_the_text_tells_what_the_picture_does_not(reading: Path) -> None:
    picture, alone, both = precisions(reading)
    assert picture < 0.8
    assert (alone, both) == (1, 1)


@pytest.mark.slow
def test_n_grams_alone_need_no_encoder(tmp_path: Path) -> None:
    _, alone, both = precisions(write(tmp_path, encoder="tfidf"))
    assert (alone, both) == (1, 1)
    assert sorted(file.name for file in (tmp_path / "models/text").iterdir()) == ["ngrams.npz", "text.json"]


@pytest.mark.slow
def test_texts_of_other_posters_are_worth_nothing(tmp_path: Path) -> None:
    _, alone, both = precisions(write(tmp_path, encoder="tfidf", shuffled=True))
    assert max(alone, both) < 0.8


@pytest.mark.slow
def test_a_poster_without_text_is_predicted_by_its_picture(reading: Path) -> None:
    model = predictor.load(reading / "models")
    by_picture = model.predict(texts.make_posters().store[np.arange(2)])
    assert model.text is not None
    both = model.text.predict(by_picture, [(), (texts.line("a funny comedy"),)])
    np.testing.assert_array_equal(both[0], by_picture[0])
    assert not np.allclose(both[1], by_picture[1])


@pytest.mark.slow
def test_what_a_line_adds_is_what_is_missing_without_it(reading: Path) -> None:
    model = predictor.load(reading / "models")
    by_picture = model.predict(texts.make_posters().store[np.arange(1)])
    lines = (texts.line("a funny tender comedy"), texts.line("the"))
    assert model.text is not None
    effects = model.text.effects(by_picture[0], lines)
    assert effects.shape == (2, 3)
    assert effects[0, 2] > 1
    assert abs(effects[1, 2]) < effects[0, 2] / 2
    assert model.text.effects(by_picture[0], ()).shape == (0, 3)


@pytest.mark.slow
def test_the_same_training_writes_the_same_bytes(reading: Path, tmp_path: Path) -> None:
    again = write(tmp_path)
    for file in sorted(path for path in (reading / "models/text").rglob("*") if path.is_file()):
        place = file.relative_to(reading)
        if place.name not in ("text.json", "encoder.json"):  # they name the folder of the encoder
            assert file.read_bytes() == (again / place).read_bytes(), place


def learn(training: TextTraining, checkpoint: Path) -> Any:
    """The heads on texts, beside a network for pictures that is not trained."""
    section = params.parse("train", TrainParams, TRAIN)
    network = architecture.build(make_network().architecture, 24, 16, np.full(3, 0.5), 1, "network")
    head = training.fit(network, section, Checkpoint(checkpoint)).head
    assert head is not None
    return head


@pytest.mark.slow
@pytest.mark.parametrize("change", ["texts", "training"])
def test_heads_go_on_from_those_on_the_same_texts_alone(tmp_path: Path, change: str) -> None:
    prepare(params.parse("train", TrainParams, TRAIN))
    learn(texts.make_training(tmp_path / "before"), tmp_path / "checkpoint")
    slower = texts.SECTION | {"training": RECIPE | {"epochs": 3, "learning_rate": 0.0001}}
    shuffled, section = change == "texts", slower if change == "training" else texts.SECTION
    changed = texts.make_training(tmp_path / "after", shuffled=shuffled, section=section)
    resumed, fresh = (learn(changed, tmp_path / name).get_weights() for name in ("checkpoint", "other"))
    for one, other in zip(resumed, fresh, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_encoder_that_other_code_wrote_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = str(text_models.write(tmp_path / "encoder", "bert"))
    finding.add(encoder, tmp_path / "text_encoders.lock")
    folder, kept = texts.write_texts(tmp_path / "texts", texts.make_posters()), set[Path | None]()
    section = params.parse("text", TextParams, texts.SECTION | {"encoder": encoder})
    for code in ("", "", "class Weights: ..."):
        if code:
            (tmp_path / "weights.py").write_text(code)
            monkeypatch.setattr(onnx_encoder, "__file__", str(tmp_path / "onnx_encoder.py"))
        data, lock = texts.make_posters(), tmp_path / "text_encoders.lock"
        prepared = text_training.prepare(folder, section, data, lock, tmp_path / "kept")
        assert prepared is not None
        kept.add(prepared.encoder)
    assert len(kept) == 2


@pytest.mark.slow
def test_heads_that_are_trained_in_mixed_precision_end_in_float32(tmp_path: Path) -> None:
    prepare(params.parse("train", TrainParams, TRAIN | {"mixed_precision": True}))
    try:
        head = learn(texts.make_training(tmp_path), tmp_path / "checkpoint")
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in head.layers if layer.weights} == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ngrams.npz", "head.onnx", "encoder/encoder.onnx", "encoder/tokenizer.json"])
def test_parts_of_another_training_are_refused(reading: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(reading / "models", tmp_path / "models")
    os.truncate(copy / "text" / name, 10)
    with pytest.raises(InputError, match=rf"is not one model: {name} has another hash than in text\.json; run `dvc"):
        predictor.load(copy)
    (copy / "text" / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing; `dvc repro train` writes it"):
        predictor.load(copy)
    assert predictor.load(copy, with_text=False).text is None


@pytest.mark.slow
def test_another_trainings_text_is_refused(reading: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(reading / "models", tmp_path / "models")
    text = copy / "text/text.json"
    text.write_text(text.read_text().replace('"picture": ', '"picture": 1'))
    with pytest.raises(InputError, match=r"is not one model: the hash of .* and text\.json is not the one in run"):
        predictor.load(copy)


@pytest.mark.slow
def test_a_model_that_lost_its_text_is_refused(reading: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(reading / "models", tmp_path / "models")
    shutil.rmtree(copy / "text")
    with pytest.raises(InputError, match=r"text\.json is missing; `dvc repro train` writes it"):
        predictor.load(copy)
    with pytest.raises(InputError, match="is not one model"):
        model_folder.load_keras(copy)


@pytest.mark.slow
def test_a_model_with_the_text_of_another_one_is_refused(reading: Path, tmp_path: Path) -> None:
    copy, text = shutil.copytree(reading / "models", tmp_path / "models"), tmp_path / "models/text/text.json"
    contents = files.read_json(text, "")
    contents["both"]["weights"]["picture"] += 1
    files.write_json(text, contents)
    with pytest.raises(InputError, match=r"is not one model: the hash of .* and text\.json is not the one in run"):
        predictor.load(copy)


@pytest.mark.slow
def test_without_text_the_picture_has_its_own_thresholds(reading: Path) -> None:
    with_text, alone = (predictor.load(reading / "models", with_text=wanted) for wanted in (True, False))
    own = files.read_json(reading / "models/thresholds.json", "")
    assert alone.thresholds.tolist() == list(own["genres"].values())
    assert with_text.thresholds.tolist() != alone.thresholds.tolist()


def test_posters_that_were_not_read_need_no_encoder(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    write_texts(tmp_path / "texts", Engine(NONE, "", {}), (), {"tt0000001": "0" * 64})
    section = params.parse("text", TextParams, texts.SECTION | {"encoder": "hf:no/such"})
    lock = tmp_path / "text_encoders.lock"
    assert text_training.prepare(tmp_path / "texts", section, texts.make_posters(), lock, tmp_path) is None
