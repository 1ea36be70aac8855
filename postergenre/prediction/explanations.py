"""What a page shows beside a picture's genres, as JSON: where they come from, and similar training posters."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from postergenre.prediction import occlusion
from postergenre.prediction.predictor import Prediction, Predictor
from postergenre.prediction.similar import SimilarPosters

# Heat maps of so many pictures are kept: 20 genres take 10 KB each as JSON.
KEPT = 256
SIMILAR = 6


class Heatmaps:
    """The heat maps of pictures, by their bytes; threads may share it.

    The last `KEPT` pictures' are kept, each picture's are computed once, and one picture's at a time.
    """

    def __init__(self, predictor: Predictor, kept: int = KEPT):
        self._predictor, self._most = predictor, kept
        self._kept = OrderedDict[str, Future[dict[str, Any]]]()
        self._lock, self._computing = threading.Lock(), threading.Lock()

    def of(self, data: bytes) -> dict[str, Any]:
        """The heat maps of a picture in the bytes of a file, as JSON.

        genres: their names.
        rows, columns: of each map.
        heat: by genre, `rows` lists of `columns` numbers in [0, 1], see `occlusion.heatmaps`.

        Raises:
            ImageError: the bytes are no picture.
        """
        key = hashlib.sha256(data).hexdigest()
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                made = self._kept[key] = Future()
            self._kept.move_to_end(key)
        return known.result() if known else self._compute(key, data, made)

    def _compute(self, key: str, data: bytes, made: "Future[dict[str, Any]]") -> dict[str, Any]:
        try:
            with self._computing:
                made.set_result(_heat(self._predictor, data))
            with self._lock:
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            made.set_exception(error)
        return made.result()


def _heat(predictor: Predictor, data: bytes) -> dict[str, Any]:
    maps = occlusion.heatmaps(predictor.network, predictor.fit_picture(data))
    rows, columns = maps.shape[1:]
    heat = {genre: values.round(3).tolist() for genre, values in zip(predictor.genres, maps.astype(float), strict=True)}
    return {"genres": predictor.genres, "rows": rows, "columns": columns, "heat": heat}


def similar_posters(
    posters: SimilarPosters | None,
    prediction: Prediction,
    titles: Mapping[str, str],
    thumbnail: Callable[[str], str | None],
) -> list[dict[str, Any]]:
    """The training posters most similar to a picture, as JSON: film_id, title, genres, similarity, same, thumbnail.

    posters: None where the model has no index of them; then there are none.
    titles: by film id; a title that is not known is None.
    thumbnail: the address of a film's poster, None where it is not here.
    """
    if posters is None or prediction.features is None:
        return []
    return [
        {
            "film_id": found.film_id,
            "title": titles.get(found.film_id),
            "genres": found.genres,
            "similarity": round(found.similarity, 4),
            "same": found.same,
            "thumbnail": thumbnail(found.film_id),
        }
        for found in posters.find(prediction.poster, prediction.features, SIMILAR)
    ]
