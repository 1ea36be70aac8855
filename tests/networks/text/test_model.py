from collections.abc import Sequence

import numpy as np

from postergenre.data.texts import Line
from postergenre.networks.text import model
from tests.networks.text import texts


def test_a_posters_vectors_are_those_of_its_own_text_and_title() -> None:
    asked: list[str] = []

    def encode(some: Sequence[str]) -> np.ndarray:
        asked.extend(some)
        return np.array([[len(text), text.count("o")] for text in some], np.float32)

    first, second = (texts.line("for you", 0.2), texts.line("good", 0.05)), (texts.line("one", 0.05),)
    lines: list[tuple[Line, ...]] = [(), first, second]
    made = model.vectors(encode, iter(lines))
    np.testing.assert_array_equal(made, [[0, 0, 0, 0], [12, 4, 7, 2], [3, 1, 3, 1]])
    assert asked == ["", "", "for you good", "for you", "one", "one"]
    assert model.vectors(lambda some: np.zeros((0, 5), np.float32), ()).shape == (0, 10)
