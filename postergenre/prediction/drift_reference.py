"""`reports/drift_reference.npz`: what the network makes of the test posters, for `postergenre drift` to compare with.

The evaluate stage writes it: equal evaluations give the same bytes.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from postergenre import files
from postergenre.errors import InputError
from postergenre.networks import array_file, model_folder
from postergenre.networks.poster_index import PosterIndex
from postergenre.prediction import picture_statistics
from postergenre.prediction.predictor import BATCH

if TYPE_CHECKING:  # who reads the file waits for no pandas
    from postergenre.data.split_tables import Split
    from postergenre.data.store import Store

FILE = "drift_reference.npz"
EVALUATE = "`dvc repro evaluate`"
# So many test posters are kept, chosen at random where there are more.
MOST = 2000
ARRAYS = ("probabilities", "vectors", "statistics")


@dataclass(frozen=True)
class Pictures:
    """What drift compares of n pictures, m of which could be looked at; all of them but for a table's.

    probabilities: float32 `(n, genres)`.
    vectors: float32 `(m, k)`, the network's features as the index of posters projects them; `(m, 0)` where the network
        tells none.
    statistics: float32 `(m, 6)`, see `picture_statistics`; NaN for what is not known.
    """

    probabilities: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]
    statistics: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.probabilities)


@dataclass(frozen=True)
class Reference:
    """The test posters.

    model: the hash of the model, as run.json has it.
    genres: names, in the order of the probabilities.
    pictures: the posters, with the probabilities by all that the model uses.
    by_picture: float32 `(n, genres)`, the probabilities by the pictures alone.
    """

    model: str
    genres: list[str]
    pictures: Pictures
    by_picture: npt.NDArray[np.float32]

    def by_picture_alone(self) -> Pictures:
        """The posters with the probabilities by the pictures alone."""
        return replace(self.pictures, probabilities=self.by_picture)

    def write(self, file: Path) -> None:
        """Write the file, whole or not at all."""
        arrays = {name: getattr(self.pictures, name) for name in ARRAYS}
        arrays["vectors"] = self.pictures.vectors.astype(np.float16)
        arrays |= {"words": np.array([self.model, *self.genres]), "by_picture": self.by_picture}
        with files.atomic_write(file) as new:
            array_file.write(new, arrays)


def read(file: Path, model: str) -> Reference:
    """Read the file that `Reference.write` wrote.

    model: the hash of the model that it should be of.

    Raises:
        InputError: the file is missing, damaged or of another model.
    """
    try:
        arrays = array_file.read(file)
        name, *genres = arrays["words"].tolist()
        pictures = Pictures(*(arrays[key].astype(np.float32) for key in ARRAYS))
        reference = Reference(name, genres, pictures, arrays["by_picture"])
    except FileNotFoundError:
        raise InputError(
            f"{file} is missing, which has what the network makes of the test posters; {EVALUATE} writes it"
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{file} cannot be read ({error}); {EVALUATE} writes it anew") from None
    if name != model:
        raise InputError(f"{file} is of model {name[:16]}, and this model is {model[:16]}; run {EVALUATE}")
    return reference


def make(
    models: Path,
    manifest_file: Path,
    store: "Store",
    test: "Split",
    probabilities: npt.NDArray[np.floating],
    by_picture: npt.NDArray[np.float32],
    features: npt.NDArray[np.float32] | None,
) -> Reference:
    """The reference of the model in the train stage's folder `models`.

    manifest_file: has the width and height of each film's poster as it came.
    store: the posters.
    test: the test posters.
    probabilities: `(posters, genres)`, by all that the model uses.
    by_picture: `(posters, genres)`, by the pictures alone.
    features: `(posters, k)`; None where the network tells none.
    """
    from postergenre.data import manifest
    from postergenre.data.store import batches

    index, table = model_folder.load_index(models), manifest.read(manifest_file)
    table = table[table["status"] == "ok"]
    sizes = dict(zip(table["film_id"], zip(table["width"], table["height"], strict=True), strict=True))
    chosen = np.sort(np.random.default_rng(0).permutation(len(test.rows))[:MOST])
    statistics = [
        picture_statistics.of_poster(poster, *sizes.get(film_id, (0, 0)))
        for rows in batches(chosen, BATCH)
        for poster, film_id in zip(store[test.rows[rows]], (test.film_ids[row] for row in rows), strict=True)
    ]
    return Reference(
        model_folder.read_run(models)["model"],
        test.genres,
        Pictures(
            probabilities[chosen].astype(np.float32), project(index, by_picture, features)[chosen], np.stack(statistics)
        ),
        by_picture[chosen],
    )


def project(
    index: PosterIndex | None, probabilities: npt.NDArray[np.float32], features: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """What is compared of pictures with these probabilities `(n, genres)` and features `(n, k)`.

    Features as the index projects them, float32 `(n, axes)`; `(n, 0)` where one of them is missing.
    """
    if index is None or features is None:
        return np.zeros((len(probabilities), 0), np.float32)
    return index.project(features)
