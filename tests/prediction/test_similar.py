"""The most similar training posters: by direction, each look once, the picture itself first."""

from pathlib import Path

import numpy as np
import pytest

from postergenre import files
from postergenre.errors import InputError
from postergenre.networks import model_folder, poster_index
from postergenre.prediction import similar
from postergenre.prediction.similar import SimilarPosters
from tests.factories import make_data

RANDOM = np.random.default_rng(0)
GENRES = ["Comedy", "Drama", "Horror"]


def make_posters(count: int) -> np.ndarray:
    """Posters of coarse patches, of which no two look alike."""
    return RANDOM.integers(0, 256, (count, 8, 9, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)


def index_of(posters: np.ndarray, features: np.ndarray) -> SimilarPosters:
    labels = np.eye(3, dtype=np.uint8)[np.arange(len(posters)) % 3]
    ids = [f"tt{n:07d}" for n in range(len(posters))]
    index = poster_index.build(ids, labels, poster_index.difference_hashes(posters), features)
    return SimilarPosters(index, GENRES)


def test_posters_come_by_the_angle_between_their_features() -> None:
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = index_of(make_posters(36), features).find(make_posters(1)[0], np.array([5, 0.1], np.float32), 3)
    assert [poster.film_id for poster in found] == ["tt0000000", "tt0000001", "tt0000035"]
    assert [poster.genres for poster in found] == [["Comedy"], ["Drama"], ["Horror"]]
    assert found[1].similarity == pytest.approx(np.cos(np.radians(10) - np.arctan2(0.1, 5)), abs=0.01)
    assert not any(poster.same for poster in found)


def test_similarity_is_never_below_0() -> None:
    features = np.array([[1, 0], [-1, 0]], np.float32)
    found = index_of(make_posters(2), features).find(make_posters(1)[0], features[0], 2)
    assert [poster.similarity for poster in found] == pytest.approx([1, 0], abs=1e-6)


def test_the_picture_itself_is_named_and_comes_first() -> None:
    posters, features = make_posters(30), RANDOM.normal(size=(30, 20)).astype(np.float32)
    features[7] = features[3] + 0.2 * features[9]  # another poster is nearer
    noise = RANDOM.integers(-3, 4, posters[7].shape)
    again = np.clip(posters[7] + noise, 0, 255).astype(np.uint8)
    first, *others = index_of(posters, features).find(again, features[3], 5)
    assert (first.film_id, first.same) == ("tt0000007", True)
    assert not any(poster.same for poster in others)


def test_a_poster_with_the_same_look_but_other_features_is_not_the_picture() -> None:
    posters, features = make_posters(30), RANDOM.normal(size=(30, 20)).astype(np.float32)
    assert not any(poster.same for poster in index_of(posters, features).find(posters[7], features[8], 30))


def test_of_posters_that_look_alike_one_is_shown() -> None:
    posters, features = make_posters(30), RANDOM.normal(size=(30, 20)).astype(np.float32)
    posters[10:20], features[10:20] = posters[10], features[10]
    found = index_of(posters, features).find(make_posters(1)[0], features[10], 30)
    assert len(found) == 21
    assert len({poster.film_id for poster in found} & {f"tt{n:07d}" for n in range(10, 20)}) == 1


def test_a_training_poster_finds_itself_in_the_models_folder(models: Path) -> None:
    index, store = similar.load(models, ["A", "B", "C"]), make_data().store
    _, features = model_folder.load_onnx(models).with_features(store[np.arange(40)])
    found = [index.find(poster, vector, 1)[0] for poster, vector in zip(store[np.arange(40)], features, strict=True)]
    assert [poster.film_id for poster in found] == [f"tt{row:07d}" for row in range(40)]
    assert all(poster.same for poster in found)


def test_a_folder_without_an_index_says_what_to_do(models: Path, tmp_path: Path) -> None:
    run = model_folder.read_run(models)
    del run["index"]
    files.write_json(tmp_path / "run.json", run)
    with pytest.raises(InputError, match=r"has no index of its training posters.*`dvc repro train` writes one"):
        similar.load(tmp_path, ["A", "B", "C"])
