"""Drift of the last pictures that a server saw."""

import threading
from collections import deque
from collections.abc import Iterator

from postergenre.networks.poster_index import PosterIndex
from postergenre.prediction import drift, drift_pictures
from postergenre.prediction.drift import Drift
from postergenre.prediction.drift_reference import Pictures, Reference
from postergenre.prediction.predictor import Prediction

# So many pictures are compared with the test posters.
LAST = 500
# Fewer than for a folder, because it is asked again and again; the level is then less exact.
PERMUTATIONS = 499


class DriftWindow:
    """The last `LAST` pictures, beside the test posters; threads may share it.

    reference: the test posters, as the evaluate stage wrote them.
    index: of the training posters; None for a model without one.
    """

    def __init__(self, reference: Reference, index: PosterIndex | None, last: int = LAST):
        self._reference, self._index = reference, index
        self._pictures = deque[Pictures](maxlen=last)
        self._lock = threading.Lock()
        self._compared: Drift | None = None

    def add(self, prediction: Prediction) -> None:
        """Count a picture in; its pixels are not kept."""
        described = drift_pictures.describe(prediction, self._index)
        with self._lock:
            self._pictures.append(described)
            self._compared = None

    def compare(self) -> Drift:
        """What differs now; computed anew only after another picture."""
        with self._lock:
            if self._compared is None:
                genres = self._reference.genres
                pictures = drift_pictures.join(self._pictures, len(genres))
                self._compared = drift.compare(pictures, self._reference.by_picture_alone(), genres, PERMUTATIONS)
            return self._compared

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """The figures for Prometheus: name, labels, value."""
        now = self.compare()
        yield "postergenre_drift_pictures", {}, float(now.pictures)
        if now.p is not None:
            yield "postergenre_drift_p_value", {}, now.p
        for kind, changes in (("genre", now.genres), ("statistic", now.statistics)):
            for name, change in changes.items():
                yield f"postergenre_drift_{kind}_mean", {kind: name}, change.mean
                yield f"postergenre_drift_{kind}_reference", {kind: name}, change.reference
