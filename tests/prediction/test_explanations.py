"""Heat maps and similar posters as the API gives them; drift of a server's last pictures."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from postergenre.data.images import ImageError
from postergenre.networks import model_folder
from postergenre.prediction import drift_reference, explanations, predictor, similar
from postergenre.prediction.drift_reference import Pictures, Reference
from postergenre.prediction.drift_window import DriftWindow
from postergenre.prediction.explanations import Heatmaps
from postergenre.prediction.predictor import Picture, Prediction, Predictor
from tests.factories import make_data
from tests.support import encode, make_picture


class Counting:
    """A network that counts the posters that it sees, and says that brighter ones are more A."""

    def __init__(self) -> None:
        self.seen, self.fails = 0, False

    def __call__(self, posters: np.ndarray) -> np.ndarray:
        if self.fails:
            raise MemoryError
        self.seen += len(posters)
        light = posters.mean(axis=(1, 2, 3)) / 256
        return np.stack([light, 1 - light], axis=1).astype(np.float32)


def counting() -> tuple[Counting, Predictor]:
    network = Counting()
    return network, Predictor(network, ["A", "B"], np.array([0.5, 0.5]), 0.5, 60, 40, "crop")


def test_heat_maps_of_all_genres_are_json() -> None:
    _, network = counting()
    answer = json.loads(json.dumps(Heatmaps(network).of(encode(make_picture(1)))))
    assert answer["genres"] == [*answer["heat"]] == ["A", "B"]
    for heat in answer["heat"].values():
        assert np.shape(heat) == (answer["rows"], answer["columns"])
        assert 0 <= np.min(heat) <= np.max(heat) == 1


def test_a_picture_is_looked_at_once_however_many_ask_at_a_time() -> None:
    network, made = counting()
    heatmaps, data, answers = Heatmaps(made), encode(make_picture(1)), []
    threads = [threading.Thread(target=lambda: answers.append(heatmaps.of(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer = heatmaps.of(data)
    assert answers == [answer] * 8
    assert network.seen == 1 + answer["rows"] * answer["columns"]


def test_only_the_last_pictures_are_kept() -> None:
    network, made = counting()
    heatmaps = Heatmaps(made, kept=2)
    for seed in (1, 2, 1, 3):
        heatmaps.of(encode(make_picture(seed)))
    before = network.seen
    heatmaps.of(encode(make_picture(1)))
    assert network.seen == before
    heatmaps.of(encode(make_picture(2)))
    assert network.seen > before


def test_what_is_no_picture_is_refused_each_time() -> None:
    network, made = counting()
    heatmaps, data = Heatmaps(made, kept=1), encode(make_picture(1))
    heatmaps.of(data)
    before = network.seen
    for _ in range(2):
        with pytest.raises(ImageError, match="not an image"):
            heatmaps.of(b"words")
    heatmaps.of(data)
    assert network.seen == before


def test_a_failure_is_not_kept() -> None:
    network, made = counting()
    heatmaps, data = Heatmaps(made), encode(make_picture(1))
    network.fails = True
    with pytest.raises(MemoryError):
        heatmaps.of(data)
    network.fails = False
    assert heatmaps.of(data)["genres"] == ["A", "B"]


def predictions(network: Predictor, seeds: range) -> list[Prediction]:
    given = [Picture(str(seed), lambda seed=seed: encode(make_picture(seed), "PNG")) for seed in seeds]  # type: ignore[misc]
    return [made for _, made in network.predict_pictures(given) if isinstance(made, Prediction)]


def test_similar_posters_have_titles_and_thumbnails_where_they_are_known(models: Path) -> None:
    network = predictor.load(models)
    (made,) = predictions(network, range(1))
    posters = similar.load(models, network.genres)
    films = make_data().train.film_ids
    found = explanations.similar_posters(
        posters, made, {films[3]: "Three"}, lambda film_id: f"/posters/{film_id}.jpg" if film_id == films[3] else None
    )
    assert len(found) == explanations.SIMILAR
    assert [poster["similarity"] for poster in found] == sorted(
        (poster["similarity"] for poster in found), reverse=True
    )
    for poster in found:
        known = poster["film_id"] == films[3]
        assert (poster["title"], poster["thumbnail"]) == (
            ("Three", f"/posters/{films[3]}.jpg") if known else (None, None)
        )
    json.dumps(found)


def test_a_model_of_an_earlier_version_has_no_similar_posters(models: Path) -> None:
    network = replace(predictor.load(models), with_features=None)
    (made,) = predictions(network, range(1))
    assert made.features is None
    assert explanations.similar_posters(similar.load(models, network.genres), made, {}, lambda _: None) == []
    assert explanations.similar_posters(None, made, {}, lambda _: None) == []


def window(models: Path, last: int) -> tuple[Predictor, DriftWindow]:
    """The window of a server whose test posters are pictures 0 to 59."""
    network, index = predictor.load(models), model_folder.load_index(models)
    made = predictions(network, range(60))
    by_picture = np.stack([prediction.by_picture for prediction in made])
    features = np.stack([prediction.features for prediction in made if prediction.features is not None])
    vectors = drift_reference.project(index, by_picture, features)
    reference = Reference("m", network.genres, Pictures(by_picture, vectors, np.ones((60, 6), np.float32)), by_picture)
    return network, DriftWindow(reference, index, last)


def test_the_last_pictures_of_a_server_are_compared_with_the_test_posters(models: Path) -> None:
    network, seen = window(models, last=40)
    assert list(seen.samples()) == [("postergenre_drift_pictures", {}, 0.0)]
    for prediction in predictions(network, range(60, 100)):
        seen.add(prediction)
    same = seen.compare()
    assert (same.pictures, same.drifted) == (40, False)
    for prediction in predictions(network, range(60, 100)):
        seen.add(replace(prediction, features=None if prediction.features is None else prediction.features + 3))
    assert (seen.compare().pictures, seen.compare().drifted) == (40, True)
    samples = list(seen.samples())
    assert ("postergenre_drift_pictures", {}, 40.0) in samples
    assert {labels["genre"] for name, labels, _ in samples if name == "postergenre_drift_genre_mean"} == {"A", "B", "C"}
    assert len({(name, *labels.items()) for name, labels, _ in samples}) == len(samples)
