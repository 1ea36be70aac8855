"""The posters of a project whose data is here."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from postergenre import files
from postergenre.data.store import Store
from postergenre.errors import InputError
from postergenre.prediction.known_posters import KnownPosters
from tests.factories import FILMS, write_known_posters


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_known_posters(tmp_path)


def test_a_picture_is_known_by_its_bytes(project: Path) -> None:
    known = KnownPosters(project)
    assert [known.film_of(f"{n}" * 64) for n in range(5)] == [*FILMS, None]
    assert [known.split_of(f"{n}" * 64) for n in range(5)] == ["train", "val", "test", None, None]
    assert known.split_of("") is None
    assert known.titles == {film_id: f"Film {n}" for n, film_id in enumerate(FILMS)}


def test_a_thumbnail_is_the_poster_as_a_jpeg(project: Path) -> None:
    known = KnownPosters(project)
    for row, film_id in enumerate(FILMS):
        assert known.has_thumbnail(film_id)
        image = Image.open(io.BytesIO(known.thumbnail(film_id) or b""))
        assert (image.format, image.size) == ("JPEG", (8, 12))
        poster = Store(project / "data/resized")[[row]][0]
        assert np.abs(np.asarray(image, float).mean() - poster.mean()) < 4
    assert not known.has_thumbnail("tt9")
    assert known.thumbnail("tt9") is known.thumbnail("../../etc/passwd") is None


def test_without_the_resized_posters_there_are_no_thumbnails_and_all_else(project: Path) -> None:
    files.remove(project / "data/resized")
    known = KnownPosters(project)
    assert not known.has_thumbnail("tt1")
    assert known.thumbnail("tt1") is None
    assert known.split_of("1" * 64) == "val"


def test_without_the_project_s_data_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.csv is missing"):
        KnownPosters(tmp_path)
