import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import text, text_rules, text_tables
from benchmarks.text_trials import Trial
from postergenre import params
from postergenre.data.texts import Line
from postergenre.networks.config import TrainParams
from postergenre.networks.text.config import TextParams
from postergenre.networks.text.model import PICTURE
from tests.factories import TRAIN, prepare
from tests.networks.text import texts

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# What stands on posters with the genre C and without; in the second case the names alone tell it.
TELLING = ("A FUNNY TENDER COMEDY", "THE ENGINE BROKE")
NAMES = ("MEG RYAN", "BRUCE WILLIS")


@pytest.mark.parametrize(
    "line",
    [
        *("VIGILANTE", "a tender comedy", "HEAT AND DUST", "There's only one way", "COMING SOON", "GONE WRONG."),
        *("ISN'T IT", "ROBERT FORSTER FRED WILLIAMSON", "Rated 18", "20 YEARS LATER", ""),
    ],
)
def test_other_lines_stay(line: str) -> None:
    assert text_rules.without_cast([texts.line(line)]) == [texts.line(line)]


def test_what_is_hardly_english_has_more_foreign_words_than_english_ones() -> None:
    assert text_rules.is_foreign([texts.line("MUJERES al borde de un ataque"), texts.line("una película")])
    assert not text_rules.is_foreign([texts.line("Penélope Cruz"), texts.line("VOLVER")])
    assert not text_rules.is_foreign([texts.line("the story of a man who will not go to Les Halles, un und une")])
    assert text_rules.has_english([texts.line("The Car")])
    assert not text_rules.has_english([texts.line("VOLVER")])


def encode(given: Sequence[str]) -> npt.NDArray[np.float32]:
    """How often each letter stands in a text."""
    return np.array([[each.lower().count(letter) for letter in LETTERS] for each in given], np.float32)


def make_trial(words: tuple[str, str]) -> Trial:
    """A trial on posters of which the text tells the genre C, and the picture tells A from B.

    words: on posters with the genre C, and without.
    """
    data, section = texts.make_posters(), params.parse("train", TrainParams, TRAIN)
    prepare(section)
    labels = np.concatenate([data.train.labels, data.val.labels])
    lines: list[list[Line]] = [[texts.line("A FILM"), texts.line(words[1 - has_c])] for has_c in labels[:, 2]]
    picture = np.where(labels, 0.7, 0.3) + np.random.default_rng(1).normal(0, 0.1, labels.shape)
    picture[:, 2] = np.random.default_rng(2).uniform(0.2, 0.8, len(labels))
    text_section = params.parse("text", TextParams, texts.SECTION)
    return Trial(text_section, section, data, data.val, lines, encode, picture.clip(0.01, 0.99))


def cells(report: str) -> dict[str, list[str]]:
    """The cells of all tables' rows by the first one."""
    rows = [line.strip("| ").split(" | ") for line in report.splitlines() if line.startswith("| ")]
    return {name: rest for name, *rest in rows}


@pytest.mark.slow
def test_the_report_has_a_row_for_each_source_and_anothers_texts_take_the_gain_away() -> None:
    trial = make_trial(TELLING)
    titles = {film_id: f"A film ({1990 + row * 2 % 40})" for row, film_id in enumerate(trial.data.store.film_ids)}
    trial.lines[59][0] = texts.line("un film pour une nuit")  # type: ignore[index]
    report = text.report(trial, titles, [1])
    assert "40 training, 20 validation and 20 test posters" in report
    assert "10 test films of 2010 and later, 20 training films before" in report
    assert re.findall(r"^## (.*)$", report, re.MULTILINE) == ["Sources", "Without names", "Later films", "Languages"]
    rows = cells(report)
    assert {*text_tables.SOURCES, text_tables.SHUFFLED} <= rows.keys()
    maps = {name: float(rows[name][2]) for name in ("picture alone", "all", text_tables.SHUFFLED)}
    assert maps["all"] > maps["picture alone"] + 0.1
    assert maps[text_tables.SHUFFLED] < maps["all"] - 0.1


@pytest.mark.slow
def test_without_names_nothing_is_left_where_they_told_all() -> None:
    trial = make_trial(NAMES)
    report = text_tables.compare_masked(trial, [trial.learn(1)], [1])
    assert report.startswith("60 of 120 lines look like persons' names")
    rows = cells(report)
    assert float(rows["all"][2]) > float(rows["all, without names"][2]) + 0.1


@pytest.mark.slow
def test_a_poster_without_text_is_predicted_by_its_picture() -> None:
    trial = make_trial(TELLING)
    learned = replace(trial, lines=[[] for _ in trial.lines]).learn(1)
    predicted = learned.fuse(text_tables.BOTH).predict(learned.test)
    np.testing.assert_allclose(predicted.probabilities, trial.picture[trial.test.rows], rtol=1e-5)
    assert PICTURE in learned.test.sources
