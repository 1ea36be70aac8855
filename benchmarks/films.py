"""The network's answers for films of the test split, by title: what docs/results.md shows.

    python -m benchmarks.films 'Toy Story' 'Alien'

A film is shown where its title begins with one of the words given; `*` marks genres above their threshold.
"""

import sys
from pathlib import Path

from postergenre import errors
from postergenre.data import manifest, split_tables, store
from postergenre.prediction import predictor

TOP = 4


def main(beginnings: list[str]) -> None:
    network, posters = predictor.load(Path("models")), store.Store(Path("data/resized"))
    films = manifest.read(Path("data/posters/manifest.csv")).query("status == 'ok'").set_index("imdb_id")
    test = split_tables.read_split(Path("data/dataset/test.csv"))
    titles = films["title"].reindex(test.imdb_ids).tolist()
    chosen = [k for k, title in enumerate(titles) if title.startswith(tuple(beginnings))]
    if not chosen:
        sys.exit("error: no film of the test split has such a title")
    for k, answer in zip(chosen, network.predict_store(posters, test.rows[chosen]), strict=True):
        likeliest = (-answer).argsort(kind="stable")[:TOP]
        marks = ["*" if answer[g] >= network.thresholds[g] else "" for g in likeliest]
        said = (f"{network.genres[g]} {answer[g]:.4f}{mark}" for g, mark in zip(likeliest, marks, strict=True))
        print(f"{titles[k]} [{films['genres'][test.imdb_ids[k]].replace('|', ', ')}]\n    {' | '.join(said)}")


if __name__ == "__main__":
    errors.run(lambda: main(sys.argv[1:]))
