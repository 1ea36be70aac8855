"""Test posters that the report shows: correct and wrong predictions, and Grad-CAM heatmaps."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from PIL import Image

from postergenre.evaluation.baselines import GENRE_PRIOR
from postergenre.evaluation.report import Report
from postergenre.networks.calibration import binary_cross_entropy

# From posters uint8 `(n, height, width, 3)` and the index of a genre for each to heatmaps float32 `(n, height, width)`
# in [0, 1], such as `gradcam.heatmaps`.
Heatmaps = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], npt.NDArray[np.float32]]

# Brightness of a poster where its heatmap is 0.
MIN_BRIGHTNESS = 0.18
# A film's card names at least this many genres.
MIN_GENRES = 3


class Outcome(StrEnum):
    """What becomes of one pair of poster and genre at the genre's threshold; true negatives are not shown."""

    TRUE_POSITIVE = "Correct"
    FALSE_POSITIVE = "False alarm"
    FALSE_NEGATIVE = "Missed"


@dataclass(frozen=True)
class GenreProbability:
    """One genre on a film's card.

    name: of the genre.
    probability: predicted by the model.
    is_true: whether the film has the genre.
    is_predicted: whether the probability reaches the genre's threshold.
    """

    name: str
    probability: float
    is_true: bool
    is_predicted: bool


@dataclass(frozen=True)
class FilmCard:
    """One test poster with the model's probabilities.

    title: of the film, or its id.
    picture: the poster as a data URI.
    likelihood_ratio: how many times more probable the film's genres are by the model than by the genre prior, or the
        reverse; 1 or more.
    is_better: whether they are more probable by the model.
    genres: the most probable first.
    text: the lines that were read on the poster, "" where the model does not use them.
    """

    title: str
    picture: str
    likelihood_ratio: float
    is_better: bool
    genres: list[GenreProbability]
    text: str


@dataclass(frozen=True)
class HeatmapExample:
    """A test poster that is bright where the network finds evidence for a genre.

    title: of the film, or its id.
    picture: the poster under its heatmap, as a data URI.
    outcome: of the model's prediction.
    probability: of the genre.
    threshold: of the genre.
    true_genres: of the film, as text.
    """

    title: str
    picture: str
    outcome: Outcome
    probability: float
    threshold: float
    true_genres: str

    @property
    def is_correct(self) -> bool:
        return self.outcome == Outcome.TRUE_POSITIVE


def film_cards(report: Report, count: int) -> tuple[list[FilmCard], list[FilmCard]]:
    """The best hits and the worst misses among the test posters, up to `count` of each.

    The most probable genre is a true one in a hit, and is none in a miss. They are ordered by the likelihood ratio of
    the film's genres, by the model over the genre prior. So it earns little to predict Drama for a drama, if half of
    all films are dramas.
    """
    labels = report.test.labels
    model_loss, prior_loss = (
        binary_cross_entropy(labels, each.probabilities).sum(axis=1)
        for each in (report.model, report.predictions[GENRE_PRIOR])
    )
    log_ratio = prior_loss - model_loss
    hit = labels[np.arange(len(labels)), report.model.probabilities.argmax(axis=1)] == 1
    order = np.argsort(-log_ratio, kind="stable")
    hits, misses = order[hit[order]][:count], order[~hit[order]][::-1][:count]
    return [_film_card(report, k, log_ratio[k]) for k in hits], [_film_card(report, k, log_ratio[k]) for k in misses]


def heatmap_examples(report: Report, heatmaps: Heatmaps) -> dict[str, list[HeatmapExample]]:
    """Up to two posters for each genre, by the genre's name: a correct prediction and a wrong one.

    heatmaps: called once, with all chosen posters.
    """
    test, model = report.test, report.model
    truth = test.labels == 1
    chosen = [
        (poster, genre, outcome)
        for genre in range(len(test.genres))
        for poster, outcome in _outcomes(truth[:, genre], model.probabilities[:, genre], model.thresholds[genre])
    ]
    posters, genres = (np.array(indices, np.int64) for indices in list(zip(*chosen, strict=True))[:2])
    pixels = report.data.store[test.rows[posters]]
    examples: dict[str, list[HeatmapExample]] = {}
    for (poster, genre, outcome), image, heat in zip(chosen, pixels, heatmaps(pixels, genres), strict=True):
        example = HeatmapExample(
            title=_title(report, poster),
            picture=_data_uri(highlighted(image, heat)),
            outcome=outcome,
            probability=float(model.probabilities[poster, genre]),
            threshold=float(model.thresholds[genre]),
            true_genres=", ".join(test.genres[k] for k in np.flatnonzero(test.labels[poster])),
        )
        examples.setdefault(test.genres[genre], []).append(example)
    return examples


def highlighted(image: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The image `(height, width, 3)`, darkened where its heatmap `(height, width)` in [0, 1] is low."""
    brightness = MIN_BRIGHTNESS + (1 - MIN_BRIGHTNESS) * heat[:, :, None]
    return (image * brightness + 0.5).clip(0, 255).astype(np.uint8)


def _outcomes(
    truth: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.floating], threshold: float
) -> Iterator[tuple[int, Outcome]]:
    """Up to two posters of one genre, each with its outcome; truth, probabilities: `(posters,)`.

    The most probable true positive and the most probable false positive. If there is no poster of one of the two kinds,
    the least probable false negative stands in for it.
    """
    predicted = probabilities >= threshold
    kinds = (
        (Outcome.TRUE_POSITIVE, predicted & truth, probabilities),
        (Outcome.FALSE_POSITIVE, predicted & ~truth, probabilities),
        (Outcome.FALSE_NEGATIVE, ~predicted & truth, -probabilities),
    )
    present = [kind for kind in kinds if kind[1].any()]
    for outcome, posters, rank_by in present[:2]:
        yield int(np.where(posters, rank_by, -np.inf).argmax()), outcome


def _film_card(report: Report, poster: int, log_ratio: float) -> FilmCard:
    test, model = report.test, report.model
    probabilities, is_true = model.probabilities[poster], test.labels[poster] == 1
    is_predicted = probabilities >= model.thresholds
    order = np.argsort(-probabilities, kind="stable")
    shown = [k for place, k in enumerate(order) if place < MIN_GENRES or is_true[k] or is_predicted[k]]
    return FilmCard(
        title=_title(report, poster),
        picture=_data_uri(report.data.store[test.rows[[poster]]][0]),
        likelihood_ratio=float(np.exp(abs(log_ratio))),
        is_better=log_ratio > 0,
        genres=[
            GenreProbability(test.genres[k], float(probabilities[k]), bool(is_true[k]), bool(is_predicted[k]))
            for k in shown
        ],
        text="" if report.data.lines is None else " | ".join(line.text for line in report.data.lines[poster]),
    )


def _title(report: Report, poster: int) -> str:
    film_id = report.test.film_ids[poster]
    return report.data.titles.get(film_id) or film_id


def _data_uri(image: npt.NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
