"""dataset: choose genres, and split the packed posters into three tables.

Reads   data/posters/manifest.csv, data/resized/, and in data/splits/ the split so far, or dataset.split_file
Writes  data/dataset/: train.csv, val.csv, test.csv, genres.json, set_aside.csv, summary.json; in data/splits/ the films
        that are new. DVC notes that folder as it is after the stage, with which the stage would make the same again
Params  dataset
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.data import dataset, frozen_split, manifest, splits, store

MANIFEST = Path("data/posters/manifest.csv")
RESIZED = Path("data/resized")
SPLITS = Path("data/splits")
OUTPUT = Path("data/dataset")


def main() -> None:
    parameters = params.load("dataset", splits.DatasetParams)
    films = manifest.read(MANIFEST)
    posters = store.Store(RESIZED)
    given = dataset.read_split_file(parameters.split_file, SPLITS)
    frozen = frozen_split.read(SPLITS, parameters) if given is None else None
    made = dataset.make(films, posters, parameters, given, frozen.names if frozen else {})
    with files.atomic_folder(OUTPUT) as folder:
        dataset.write(folder, made)
    print(dataset.describe(made))
    if frozen and (news := frozen.add(made.names_of)):
        print(news)


if __name__ == "__main__":
    errors.run(main)
