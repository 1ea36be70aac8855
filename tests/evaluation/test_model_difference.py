"""What two models were both tested on."""

import numpy as np
import pytest

from postergenre.evaluation.model_difference import FEWEST_POSTERS, common_test
from postergenre.evaluation.test_predictions import TestPredictions


def predict(film_ids: list[str], genres: list[str], offset: float) -> TestPredictions:
    """Probabilities that name their film and genre, so that each can be told from the others."""
    shape = (len(film_ids), len(genres))
    films = np.array([int(film_id) for film_id in film_ids])[:, None]
    letters = np.array([ord(genre) for genre in genres])
    probabilities = np.broadcast_to(films * 1000 + letters + offset, shape).astype(np.float32)
    return TestPredictions(film_ids, genres, ((films + letters) % 2).astype(np.uint8), probabilities)


def test_films_and_genres_that_both_know_stand_in_one_order() -> None:
    one = predict(["1", "2", "3", "5"], ["A", "C", "D"], 0.25)
    other = predict(["5", "4", "2", "1"], ["D", "B", "A"], 0.5)
    common = common_test(one, other)
    assert (common.one.film_ids, common.one.genres) == (["1", "2", "5"], ["A", "D"])
    np.testing.assert_array_equal(common.one.probabilities + 0.25, common.other.probabilities)
    np.testing.assert_array_equal(common.one.labels, common.other.labels)
    assert (common.left_out_posters, common.left_out_genres, common.relabelled) == ((1, 1), (1, 1), 0)
    assert not common.is_whole
    assert common_test(one, one).is_whole


@pytest.mark.parametrize(("films", "left_out", "enough"), [(99, 1, False), (100, 1, True), (20, 0, True)])
def test_few_films_are_enough_only_where_both_tests_are_of_them(films: int, left_out: int, enough: bool) -> None:
    ids = [str(k) for k in range(films + left_out)]
    common = common_test(predict(ids, ["A", "B"], 0), predict(ids[:films], ["A", "B"], 0))
    assert FEWEST_POSTERS == 100
    assert common.is_enough is enough
    assert not common_test(predict(ids, ["A"], 0), predict(ids, ["B"], 0)).is_enough


def test_where_most_films_have_other_genres_they_are_other_films() -> None:
    ids = [str(k) for k in range(10)]
    one, other = predict(ids, ["A", "B"], 0), predict(ids, ["A", "B"], 0)
    for changed, others in ((5, False), (6, True)):
        other.labels[:changed] = 1 - one.labels[:changed]
        assert (common_test(one, other).relabelled, common_test(one, other).is_of_other_films) == (changed, others)
