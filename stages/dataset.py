"""dataset: genres, and three tables over the packed posters.

Reads   data/posters/manifest.csv, data/resized/, and dataset.split_file in data/splits/ where one is given
Writes  data/dataset/: train.csv, val.csv, test.csv, genres.json, set_aside.csv, summary.json
Params  dataset
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.data import dataset, manifest, splits, store

MANIFEST = Path("data/posters/manifest.csv")
RESIZED = Path("data/resized")
SPLITS = Path("data/splits")
OUTPUT = Path("data/dataset")


def main() -> None:
    section = params.load("dataset", splits.DatasetParams)
    films = manifest.read(MANIFEST)
    posters = store.Store(RESIZED)
    outside = dataset.split_file(section.split_file, SPLITS)
    made = dataset.make(films, posters, section, outside)
    with files.atomic_folder(OUTPUT) as folder:
        dataset.write(folder, made)
    print(dataset.describe(made))


if __name__ == "__main__":
    errors.run(main)
