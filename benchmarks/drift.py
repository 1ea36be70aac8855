"""How often `postergenre drift` calls pictures different from the test posters, by what was done to them.

    python -m benchmarks.drift

The pictures are up to 600 validation posters, on which no weight was trained; they are drawn 40 times. In the first
row they and the test posters are exchanged at random, 100 times: the share should be 1 %, the test's level. The files
of the project that it runs in are used: models/, reports/drift_reference.npz, data/.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from postergenre import errors
from postergenre.data import split_tables
from postergenre.data.store import Store
from postergenre.networks import model_folder
from postergenre.prediction import drift, drift_reference, predictor

MODELS, REPORTS = Path("models"), Path("reports")
DRAWS, LEVEL_DRAWS, SIZES = 40, 100, (20, 50, 200)
MOST = 600
Posters = npt.NDArray[np.uint8]


def blurred(posters: Posters) -> Posters:
    return np.stack([np.asarray(Image.fromarray(poster).filter(ImageFilter.GaussianBlur(1.5))) for poster in posters])


WAYS: dict[str, Callable[[Posters], Posters]] = {
    "as they are": lambda posters: posters,
    "a tenth darker": lambda posters: (posters * 0.9).astype(np.uint8),
    "mirrored": lambda posters: posters[:, :, ::-1],
    "blurred": blurred,
    "grey": lambda posters: posters.mean(axis=-1, keepdims=True).repeat(3, axis=-1).astype(np.uint8),
    "colours inverted": lambda posters: 255 - posters,
}


def main() -> None:
    store, val = Store(Path("data/resized")), split_tables.read_split(Path("data/dataset/val.csv"))
    network, index = predictor.load(MODELS, with_text=False), model_folder.load_index(MODELS)
    reference = drift_reference.read(REPORTS / drift_reference.FILE, model_folder.read_run(MODELS)["model"])
    rows = val.rows[np.random.default_rng(0).permutation(len(val.rows))[:MOST]]
    print("| validation posters | " + " | ".join(f"{size} pictures" for size in SIZES) + " |")
    print("|---|" + "---:|" * len(SIZES))
    known = drift_reference.project(index, *network.look_at_store(store, val.rows))
    shares = [f"{level(np.concatenate([known, reference.pictures.vectors]), size):.0%}" for size in SIZES]
    print(f"| and test posters, exchanged at random | {' | '.join(shares)} |", flush=True)
    for way, change in WAYS.items():
        posters = np.concatenate([change(store[rows[first : first + 8]]) for first in range(0, len(rows), 8)])
        print_row(way, drift_reference.project(index, *network.look(posters)), reference.pictures.vectors)
    genre = int(val.labels.sum(axis=0).argmax())
    (chosen,) = np.nonzero(val.labels[:, genre])
    looks = network.look_at_store(store, val.rows[chosen[:MOST]])
    print_row(f"of one genre, {val.genres[genre]}", drift_reference.project(index, *looks), reference.pictures.vectors)


def print_row(name: str, vectors: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> None:
    shares = [f"{alarms(vectors, reference, size):.0%}" if size <= len(vectors) else "" for size in SIZES]
    print(f"| {name} | {' | '.join(shares)} |", flush=True)


def level(vectors: npt.NDArray[np.float32], size: int) -> float:
    """The share of draws of so many pictures that are called different from the others."""
    random = np.random.default_rng(size)
    orders = (random.permutation(len(vectors)) for _ in range(LEVEL_DRAWS))
    p = [drift.two_sample_p(vectors[order[:size]], vectors[order[size:]], drift.PERMUTATIONS) for order in orders]
    return float(np.mean(np.array(p) <= drift.LEVEL))


def alarms(vectors: npt.NDArray[np.float32], reference: npt.NDArray[np.float32], size: int) -> float:
    """The share of draws of so many pictures that are called different."""
    random = np.random.default_rng(size)
    draws = (vectors[random.permutation(len(vectors))[:size]] for _ in range(DRAWS))
    return float(np.mean([drift.two_sample_p(draw, reference, drift.PERMUTATIONS) <= drift.LEVEL for draw in draws]))


if __name__ == "__main__":
    errors.run(main)
