"""The splits on which others published figures for the 7,254-poster set, and our figures beside theirs.

    python -m benchmarks.published splits Movies-Poster_Dataset/train.csv
    dvc exp run -S dataset.split_file=data/splits/published-80-10-10.csv -S dataset.min_posters=1 ...
    python -m benchmarks.published figures 80-10-10

The first writes data/splits/published-80-10-10.csv and published-70-15-15.csv from the set's own table, in the order of
its rows. Their figures are for all of its posters; where some are missing, ours are not comparable, and it says so.
Films without a genre, which the dataset stage sets aside, are not missing.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from postergenre import errors, files
from postergenre.data import catalogue, split_tables
from postergenre.errors import InputError
from postergenre.evaluation import test_predictions
from postergenre.evaluation.report import MODEL

FOLDER = Path("data/splits")
COMPARISON = Path("reports/comparison.csv")
SUMMARY = Path("data/dataset/summary.json")
POSTERS = 7254
# On which split: ResNet50, fine-tuned, and a network of timm's. As they are told of; no page to cite was found.
PUBLISHED = {
    "80-10-10": {"hamming_at_half": 0.0839, "f1_weighted": 0.309},
    "70-15-15": {"f1_micro": 0.34, "f1_macro": 0.049, "f1_samples": 0.35, "hamming_at_half": 0.0917},
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


def split_file(name: str) -> Path:
    """Where split `name` is written, and from where a run should take it."""
    return FOLDER / f"published-{name}.csv"


def write(table: Path) -> None:
    """Write both split files from the set's table; of a film that stands in it twice, the first row counts.

    Raises:
        InputError: it is no catalogue, or too small for such splits.
    """
    films = list(catalogue.read(table))
    try:
        named = {"80-10-10": row_order(len(films)), "70-15-15": by_label_count([film.genres for film in films])}
    except ValueError as error:  # scikit-learn's, of parts that would be empty
        raise InputError(f"{table} with its {len(films)} films cannot be split so: {error}") from None
    for name, splits in named.items():
        rows = pd.DataFrame({"imdb_id": [film.imdb_id for film in films], "split": splits})
        # After the split, in which every row has its place: without one, all others would move.
        rows = rows[rows["imdb_id"] != ""].drop_duplicates("imdb_id")
        with files.atomic_write(split_file(name)) as new:
            rows.to_csv(new, index=False)
        print(f"{split_file(name)}: {len(rows):,} films")


def figures(name: str, comparison: Path, summary: Path) -> str:
    """What was published on split `name`, beside the last evaluation and what guessing gets, as a Markdown table.

    Raises:
        InputError: a file is missing or not what it should be, or the dataset is split otherwise.
    """
    about = files.read_json(summary, "`dvc repro dataset`")
    if not isinstance(about, dict) or "params" not in about:
        raise InputError(f"{summary} is not as the dataset stage writes it; `dvc repro dataset` writes it anew")
    if (given := about["params"]["split_file"]) is None or Path(given).resolve() != split_file(name).resolve():
        raise InputError(
            f"{summary} is of a dataset with dataset.split_file {given or 'null'}; these figures are for "
            f"{split_file(name)}: run `dvc exp run -S dataset.split_file={split_file(name)} -S dataset.min_posters=1`"
        )
    lines = _table(name, comparison)
    judged = test_predictions.read(comparison.parent / test_predictions.FILE).imdb_ids
    if judged != split_tables.read_split(summary.parent / "test.csv").imdb_ids:
        raise InputError(
            f"{comparison} is of other test posters than {summary.parent / 'test.csv'} names; `dvc repro` judges these"
        )
    return "\n".join([*lines, "", *_judged(about)])


def _table(name: str, comparison: Path) -> list[str]:
    try:
        judged = pd.read_csv(comparison)
        values = judged.set_index(["metric", "answer"])["value"].to_dict()
        # Of the answers that are named by the genres they say of every poster, the last says the most.
        guess = [answer for answer in judged["answer"] if answer.startswith("{")][-1]
        rows = [
            (metric, theirs, values[metric, MODEL], values[metric, guess]) for metric, theirs in PUBLISHED[name].items()
        ]
    except FileNotFoundError:
        raise InputError(f"{comparison} is missing; `dvc repro evaluate` writes it") from None
    except (ValueError, KeyError, IndexError):
        raise InputError(
            f"{comparison} lacks figures of {MODEL} or of an answer such as {{Drama, Comedy}}; "
            "`dvc repro evaluate` writes it anew"
        ) from None
    lines = [f"| metric | published | ours | {guess} |", "|---|--:|--:|--:|"]
    return lines + [f"| {metric} | {' | '.join(f'{value:.3f}' for value in figures)} |" for metric, *figures in rows]


def _judged(about: dict[str, Any]) -> list[str]:
    """Of how many of the set's posters our figures are, in sentences; about: what the dataset's summary.json says."""
    bare = about["set_aside"].get("it has no genre", 0)
    held, dropped = sum(about["posters"].values()) + bare, about["dropped_genres"]
    lines = []
    if bare:
        lines.append(f"{bare:,} of the set's films have no genre and are in no split of ours.")
    if held != POSTERS:
        lines.append(f"Ours are of {held:,} of the set's {POSTERS:,} posters: not comparable.")
    if dropped:
        lines.append(f"Ours leave out {', '.join(dropped)}, for dataset.min_posters is not 1: not comparable.")
    return lines


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
        print(figures(given.split, COMPARISON, SUMMARY))


if __name__ == "__main__":
    errors.run(lambda: main(sys.argv[1:]))
