"""What the neighbours of the test posters in models/index.npz have in common with them.

    python -m benchmarks.similar

Neighbours are the six most similar training posters; beside them as many training posters at random. The files of
the project that it runs in are used: models/, data/.
"""

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre import errors
from postergenre.data import split_tables
from postergenre.data.split_tables import Split
from postergenre.data.store import Store
from postergenre.prediction import predictor, similar

MODELS = Path("models")
SIMILAR = 6


def main() -> None:
    store = Store(Path("data/resized"))
    train, test = (split_tables.read_split(Path(f"data/dataset/{name}.csv")) for name in ("train", "test"))
    network = predictor.load(MODELS, with_text=False)
    posters = similar.load(MODELS, network.genres)
    _, features = network.look_at_store(store, test.rows)
    assert features is not None
    start = time.process_time()
    found = [posters.find(store[[row]][0], vector, SIMILAR) for row, vector in zip(test.rows, features, strict=True)]
    milliseconds = (time.process_time() - start) / len(found) * 1000
    row_of = {film_id: row for row, film_id in enumerate(train.film_ids)}
    neighbours = np.array([[row_of[poster.film_id] for poster in near] for near in found])
    others = np.random.default_rng(0).integers(0, len(train.rows), neighbours.shape)
    print("| training posters beside a test poster | share a genre | genres in common of all that either has |")
    print("|---|---:|---:|")
    for name, rows in ((f"the {SIMILAR} most similar", neighbours), (f"{SIMILAR} at random", others)):
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in agreement(train, test, rows))} |")
    size = (MODELS / "index.npz").stat().st_size
    print(f"\n{len(train.rows):,} posters in {size / 1e6:.1f} MB; a search takes {milliseconds:.1f} ms of a processor")


def agreement(train: Split, test: Split, neighbours: npt.NDArray[np.int64]) -> tuple[float, float]:
    """The share of neighbours `(posters, k)` with a genre of the test poster; and shared genres over all of both."""
    ours, theirs = test.labels[:, None].astype(bool), train.labels[neighbours].astype(bool)
    both, either = (ours & theirs).sum(axis=-1), (ours | theirs).sum(axis=-1)
    return float((both > 0).mean()), float((both / either).mean())


if __name__ == "__main__":
    errors.run(main)
