"""The splits on which others published figures for the 7,254-poster set, and our figures beside theirs.

    python -m benchmarks.published splits Movies-Poster_Dataset/train.csv
    dvc exp run -S dataset.split_file=data/splits/published-80-10-10.csv -S dataset.min_posters=1 ...
    python -m benchmarks.published figures 80-10-10

The first writes data/splits/published-80-10-10.csv and published-70-15-15.csv from the set's own table, in the order of
its rows. Their figures are for all of its posters; where some are missing, ours are not comparable, and it says so.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from postergenre import catalogue, files

FOLDER = Path("data/splits")
POSTERS = 7254
# Who published on which split: ResNet50, fine-tuned, and a network of timm's.
PUBLISHED = {
    "80-10-10": {"hamming": 0.0839, "f1_weighted": 0.309},
    "70-15-15": {"f1_micro": 0.34, "f1_macro": 0.049, "f1_samples": 0.35, "hamming": 0.0917},
}


def row_order(rows: int) -> npt.NDArray[np.str_]:
    """80/10/10: scikit-learn's `train_test_split` twice with random_state 42; a split's name for each row."""
    train, rest = train_test_split(np.arange(rows), test_size=0.2, random_state=42)
    val, test = train_test_split(rest, test_size=0.5, random_state=42)
    return _named(rows, train, val, test)


def by_label_count(genres: list[tuple[str, ...]]) -> npt.NDArray[np.str_]:
    """70/15/15, each part with its share of the films of one, two and three labels; a split's name for each row.

    genres: of each row; none is one label in the set's table, `N/A`.
    """
    counts = np.array([max(len(names), 1) for names in genres])
    train, rest = train_test_split(np.arange(len(genres)), test_size=0.3, random_state=42, stratify=counts)
    val, test = train_test_split(rest, test_size=0.5, random_state=42, stratify=counts[rest])
    return _named(len(genres), train, val, test)


def write(table: Path) -> None:
    """Write both split files from the set's table."""
    films = [film for film in catalogue.read(table) if film.imdb_id]
    named = {"80-10-10": row_order(len(films)), "70-15-15": by_label_count([film.genres for film in films])}
    for name, splits in named.items():
        with files.replaced_file(FOLDER / f"published-{name}.csv") as new:
            pd.DataFrame({"imdb_id": [film.imdb_id for film in films], "split": splits}).to_csv(new, index=False)
        print(f"{FOLDER / f'published-{name}.csv'}: {len(films):,} films")


def figures(name: str, comparison: Path, summary: Path) -> str:
    """What was published on split `name`, beside the last evaluation and what guessing gets, as a Markdown table."""
    posters = sum(files.read_json(summary, "`dvc repro dataset`")["posters"].values())
    table = pd.read_csv(comparison).set_index(["metric", "answer"])["value"].to_dict()
    lines = ["| metric | published | ours | {Drama, Comedy} |", "|---|--:|--:|--:|"]
    for metric, theirs in PUBLISHED[name].items():
        ours, guess = table[metric, "model"], table[metric, "{Drama, Comedy}"]
        lines.append(f"| {metric} | {theirs:.3f} | {ours:.3f} | {guess:.3f} |")
    if posters != POSTERS:
        lines.append(f"\nOurs are of {posters:,} of the set's {POSTERS:,} posters: not comparable.")
    return "\n".join(lines)


def _named(rows: int, *parts: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    names = np.empty(rows, dtype="<U5")
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        names[part] = name
    return names


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("splits").add_argument("table", type=Path)
    commands.add_parser("figures").add_argument("split", choices=list(PUBLISHED))
    given = parser.parse_args(arguments)
    if given.command == "splits":
        write(given.table)
    else:
        print(figures(given.split, Path("reports/comparison.csv"), Path("data/dataset/summary.json")))


if __name__ == "__main__":
    main(sys.argv[1:])
