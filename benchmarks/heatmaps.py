"""Whether heat maps by hidden places show what Grad-CAM shows, by the number and the size of the places.

    python -m benchmarks.heatmaps

Of ten test posters, each with its two most probable genres: the rank correlation of the two maps, both of 36 x 24
places, and the seconds of a processor that all genres' maps of a poster take. `another poster` compares Grad-CAM's map
of one poster with those of the next: that much agrees by chance, for example because both favour the middle.
"""

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.stats import spearmanr

from postergenre import errors
from postergenre.data import split_tables
from postergenre.data.store import Store
from postergenre.networks import model_folder
from postergenre.prediction import heatmaps, occlusion

MODELS = Path("models")
POSTERS, GENRES = 10, 2
WAYS = ((20, 2.0), (35, 1.5), (35, 2.0), (35, 3.0), (54, 2.0), (96, 2.0))
Maps = npt.NDArray[np.float32]


def main() -> None:
    store, test = Store(Path("data/resized")), split_tables.read_split(Path("data/dataset/test.csv"))
    rows = test.rows[np.random.default_rng(0).permutation(len(test.rows))[:POSTERS]]
    posters, network = store[rows], model_folder.load_onnx(MODELS)
    genres = np.argsort(-network(posters), axis=1)[:, :GENRES]
    cams = np.stack([heatmaps.draw(MODELS, posters, genres[:, rank]) for rank in range(GENRES)], axis=1)
    print("| places | side of what is hidden, in places | agreement | another poster | processor seconds |")
    print("|---:|---:|---:|---:|---:|")
    for places, span in WAYS:
        start = time.process_time()
        maps = np.stack([occlusion.heatmaps(network, poster, places, span) for poster in posters])
        seconds = (time.process_time() - start) / POSTERS
        chosen = np.take_along_axis(maps, genres[:, :, None, None], axis=1)
        found, by_chance = agreement(cams, chosen), agreement(cams, np.roll(chosen, 1, axis=0))
        rows_, columns = maps.shape[2:]
        print(f"| {rows_} x {columns} | {span} | {found:.2f} | {by_chance:.2f} | {seconds:.2f} |", flush=True)


def agreement(cams: Maps, maps: Maps) -> float:
    """The mean rank correlation of maps `(posters, genres, height, width)`; empty ones say nothing and are left out."""
    pairs = zip(cams.reshape(-1, *cams.shape[2:]), maps.reshape(-1, *maps.shape[2:]), strict=True)
    found = [spearmanr(small(cam), small(heat)).statistic for cam, heat in pairs if cam.any() and heat.any()]
    return float(np.mean(found))


def small(heat: Maps) -> Maps:
    resampling = Image.Resampling.BOX if heat.shape[0] > 36 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(heat).resize((24, 36), resampling)).ravel()


if __name__ == "__main__":
    errors.run(main)
