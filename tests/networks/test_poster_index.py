"""The index of the training posters: its vectors, hashes and file."""

from pathlib import Path

import numpy as np
import pytest

from postergenre import files
from postergenre.errors import InputError
from postergenre.networks import model_folder, poster_index
from tests.factories import make_data

RANDOM = np.random.default_rng(0)


def make_features(count: int, size: int) -> np.ndarray:
    """Features of a few hidden causes, as a network's are."""
    causes = RANDOM.normal(size=(count, 12)) @ RANDOM.normal(size=(12, size))
    return np.maximum(causes + RANDOM.normal(size=(count, size)) / 10, 0).astype(np.float32)


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    inner: np.ndarray = unit @ unit.T
    return inner


def build(features: np.ndarray) -> poster_index.PosterIndex:
    count = len(features)
    labels = RANDOM.integers(0, 2, (count, 11), dtype=np.uint8)
    return poster_index.build([f"tt{n:07d}" for n in range(count)], labels, np.arange(count, dtype=np.uint64), features)


@pytest.mark.parametrize(("count", "size"), [(50, 30), (200, 700), (900, 300)])
def test_the_vectors_of_the_index_are_as_similar_as_the_features(count: int, size: int) -> None:
    features = make_features(count, size)
    index = build(features)
    exact = cosines(features)
    assert np.abs(cosines(index.codes.astype(np.float32)) - exact).max() < 0.02
    assert np.abs(cosines(index.project(features)) - exact).max() < 0.02


@pytest.mark.parametrize("count", [250, 350])
def test_the_axes_are_those_of_the_largest_singular_values_by_either_matrix(count: int) -> None:
    features = make_features(count, 300)
    expected = np.linalg.svd(features, full_matrices=False)[2][:12].T
    axes = poster_index.principal_axes(features, 12)
    assert np.abs(np.abs((axes * expected).sum(axis=0)) - 1).max() < 1e-3
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(12)] > 0).all()


def test_a_file_gives_back_the_index_and_equal_indexes_give_equal_bytes(tmp_path: Path) -> None:
    features = make_features(200, 300)
    index = build(features)
    index.write(tmp_path / "one.npz")
    index.write(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = poster_index.read(tmp_path / "one.npz")
    assert again.film_ids == index.film_ids
    for name in ("labels", "hashes", "codes", "axes"):
        assert np.array_equal(getattr(again, name), getattr(index, name))


def test_38_000_posters_take_at_most_20_megabytes(tmp_path: Path) -> None:
    count, axes = 38_000, poster_index.AXES
    ids = [f"tt{n:07d}" for n in range(count)]
    labels, codes = np.zeros((count, 30), np.uint8), np.zeros((count, axes), np.int8)
    largest = np.zeros((poster_index.MOST_FEATURES, axes), np.float32)
    poster_index.PosterIndex(ids, labels, np.zeros(count, np.uint64), codes, largest).write(tmp_path / "x.npz")
    assert (tmp_path / "x.npz").stat().st_size < 20e6


def test_a_picture_and_its_copy_have_near_hashes_and_others_far_ones() -> None:
    coarse = RANDOM.integers(0, 256, (2, 9, 6, 3), dtype=np.uint8).repeat(30, axis=1).repeat(30, axis=2)
    copy = np.clip(coarse[0].astype(int) + RANDOM.integers(-6, 7, coarse[0].shape), 0, 255).astype(np.uint8)
    one, other, near = poster_index.difference_hashes([*coarse, copy])
    assert np.bitwise_count(one ^ near) <= 4
    assert np.bitwise_count(one ^ other) > 16


def test_the_train_stages_folder_has_the_index_of_the_training_posters(models: Path) -> None:
    index, train = model_folder.load_index(models), make_data().train
    assert index is not None
    assert index.film_ids == train.film_ids
    assert np.array_equal(index.labels, train.labels)
    _, features = model_folder.load_onnx(models).with_features(make_data().store[train.rows])
    assert np.abs(cosines(index.project(features)) - cosines(index.codes.astype(np.float32))).max() < 0.05


def test_another_index_is_refused(models: Path, tmp_path: Path) -> None:
    for file in models.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    build(make_features(20, 8)).write(tmp_path / model_folder.INDEX)
    with pytest.raises(InputError, match=r"the hash of index\.npz is not the one in run\.json; run `dvc repro train`"):
        model_folder.load_index(tmp_path)
    (tmp_path / model_folder.INDEX).unlink()
    with pytest.raises(InputError, match=r"index\.npz is missing"):
        model_folder.load_index(tmp_path)
    run = model_folder.read_run(tmp_path)
    del run["index"]
    files.write_json(tmp_path / model_folder.RUN, run)
    assert model_folder.load_index(tmp_path) is None  # as an earlier version wrote the folder
