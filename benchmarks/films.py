"""The model's predictions for films of the test split, by title: the example in docs/results.md.

    python -m benchmarks.films 'Toy Story' 'Alien'

Shows the films whose title begins with one of the arguments; `*` marks predicted genres.
"""

import sys
from pathlib import Path

from postergenre import errors
from postergenre.data import manifest, split_tables, store
from postergenre.errors import InputError
from postergenre.prediction import predictor

TOP = 4


def main(beginnings: list[str]) -> None:
    model, posters = predictor.load(Path("models")), store.Store(Path("data/resized"))
    films = manifest.read(Path("data/posters/manifest.csv")).query("status == 'ok'").set_index("film_id")
    test = split_tables.read_split(Path("data/dataset/test.csv"))
    titles = films["title"].reindex(test.film_ids).tolist()
    chosen = [k for k, title in enumerate(titles) if title.startswith(tuple(beginnings))]
    if not chosen:
        raise InputError(f"no film of the test split has a title that begins with {' or '.join(beginnings)}")
    for k, probabilities in zip(chosen, model.predict_store(posters, test.rows[chosen]), strict=True):
        most_probable = (-probabilities).argsort(kind="stable")[:TOP]
        marks = ["*" if probabilities[g] >= model.thresholds[g] else "" for g in most_probable]
        genres = (
            f"{model.genres[g]} {probabilities[g]:.4f}{mark}" for g, mark in zip(most_probable, marks, strict=True)
        )
        true_genres = films["genres"][test.film_ids[k]].replace("|", ", ")
        print(f"{titles[k]} [{true_genres}]\n    {' | '.join(genres)}")


if __name__ == "__main__":
    errors.run(lambda: main(sys.argv[1:]))
