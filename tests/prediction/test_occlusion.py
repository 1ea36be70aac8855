"""Heat maps by hidden places: they are where the evidence is, on networks whose evidence is known."""

import numpy as np
import pytest

from postergenre.prediction import occlusion

HEIGHT, WIDTH = 222, 150


def corner_seeker(posters: np.ndarray) -> np.ndarray:
    """Its first genre wants the upper left corner bright, the second dark, the third nothing at all."""
    light = posters[:, : HEIGHT // 3, : WIDTH // 3].mean(axis=(1, 2, 3)) / 255
    odds = np.stack([8 * light - 4, 4 - 8 * light, np.zeros_like(light)], axis=1)
    probabilities: np.ndarray = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return probabilities


def make_poster() -> np.ndarray:
    """Grey noise with a bright upper left corner."""
    poster = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    poster[: HEIGHT // 3, : WIDTH // 3] += 180
    return poster


def test_a_map_is_hot_where_the_genre_comes_from() -> None:
    heat = occlusion.heatmaps(corner_seeker, make_poster())
    assert heat.dtype == np.float32
    assert heat.shape == (3, *occlusion.grid(HEIGHT, WIDTH))
    assert heat[0].max() == pytest.approx(1)
    assert heat[0, :2, :2].min() > 0.5
    assert heat[0, 4:].max() == heat[0, :, 4:].max() == 0


def test_evidence_against_a_genre_and_no_evidence_show_nothing() -> None:
    heat = occlusion.heatmaps(corner_seeker, make_poster())
    assert not heat[1:].any()


def test_the_poster_is_left_as_it_was() -> None:
    poster = make_poster()
    occlusion.heatmaps(corner_seeker, poster)
    assert np.array_equal(poster, make_poster())


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_a_network_that_is_certain_of_everything_gives_an_empty_map(certain: float) -> None:
    heat = occlusion.heatmaps(lambda posters: np.full((len(posters), 2), certain, np.float32), make_poster())
    assert not heat.any()


@pytest.mark.parametrize(("height", "width"), [(444, 300), (268, 182), (300, 444), (200, 200), (400, 80), (16, 16)])
def test_places_are_about_as_many_and_nearly_square(height: int, width: int) -> None:
    rows, columns = occlusion.grid(height, width)
    assert abs(rows * columns - occlusion.PLACES) <= 5
    assert 0.6 < (height / rows) / (width / columns) < 1.7
