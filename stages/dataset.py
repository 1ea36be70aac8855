"""dataset: choose genres, and split the packed posters into three tables.

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
    parameters = params.load("dataset", splits.DatasetParams)
    films = manifest.read(MANIFEST)
    posters = store.Store(RESIZED)
    given = dataset.read_split_file(parameters.split_file, SPLITS)
    made = dataset.make(films, posters, parameters, given)
    with files.atomic_folder(OUTPUT) as folder:
        dataset.write(folder, made)
    print(dataset.describe(made))


if __name__ == "__main__":
    errors.run(main)
