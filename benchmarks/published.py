"""The splits of published results for the 7,254-poster set, and our results beside them.

    python -m benchmarks.published splits Movies-Poster_Dataset/train.csv
    dvc exp run -S dataset.split_file=data/splits/published-80-10-10.csv -S dataset.min_posters=1 ...
    python -m benchmarks.published figures 80-10-10

The first command writes data/splits/published-80-10-10.csv and published-70-15-15.csv from the set's own table, in the
order of its rows. The published results are for all posters of the set. If some are missing, ours are not comparable,
and the last command says so. Films without a genre, which the dataset stage sets aside, do not count as missing, nor do
rows that name a film again: the table's 7,254 rows hold 7,242 films.

All published figures are at one threshold of 0.5 for all genres. So are ours that say "at 0.5"; our other F1 are at the
thresholds that were fitted on validation, one for each genre.
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
from postergenre.evaluation import baselines, comparison, test_predictions
from postergenre.evaluation.comparison import MODEL, Comparison
from postergenre.evaluation.metrics import METRICS

FOLDER = Path("data/splits")
COMPARISON = Path("reports/comparison.csv")
SUMMARY = Path("data/dataset/summary.json")
ROWS, FILMS = 7254, 7242
# By split: where the figures stand, and the figures.
SOURCES = {
    # A network of timm: reports/evaluation_metrics.txt; prob_threshold in configs/config.yaml.
    "80-10-10": "https://github.com/denisababeii/mlops_group_11",
    # ResNet50, fine-tuned: AI-2.ipynb.
    "70-15-15": "https://github.com/fmwz/MoviePoster-Multi-label-classifier",
}
PUBLISHED = {
    "80-10-10": {"f1_micro": 0.34, "f1_macro": 0.049, "f1_samples": 0.35, "hamming": 0.0917},
    "70-15-15": {"hamming": 0.0839, "f1_weighted": 0.309},
}


def split_rows(rows: int) -> npt.NDArray[np.str_]:
    """80/10/10: the split of each row, by scikit-learn's `train_test_split` with random_state 42, twice."""
    train, rest = train_test_split(np.arange(rows), test_size=0.2, random_state=42)
    val, test = train_test_split(rest, test_size=0.5, random_state=42)
    return _split_names(rows, train, val, test)


def split_by_label_count(genres: list[tuple[str, ...]]) -> npt.NDArray[np.str_]:
    """70/15/15: the split of each row, stratified by the number of its labels.

    genres: of each row; no genre is one label in the set's table, `N/A`.
    """
    counts = np.array([max(len(names), 1) for names in genres])
    train, rest = train_test_split(np.arange(len(genres)), test_size=0.3, random_state=42, stratify=counts)
    val, test = train_test_split(rest, test_size=0.5, random_state=42, stratify=counts[rest])
    return _split_names(len(genres), train, val, test)


def split_file(name: str) -> Path:
    """The file of a split, for `dataset.split_file`."""
    return FOLDER / f"published-{name}.csv"


def write(table: Path) -> None:
    """Write both split files from the set's table; of a film with two rows, the first counts.

    Raises:
        InputError: the file is no catalogue, or too small for these splits.
    """
    films = list(catalogue.read(table))
    try:
        by_name = {
            "80-10-10": split_rows(len(films)),
            "70-15-15": split_by_label_count([film.genres for film in films]),
        }
    except ValueError as error:  # scikit-learn's, if a part would be empty
        raise InputError(f"{table}: its {len(films)} films are too few for these splits: {error}") from None
    for name, splits in by_name.items():
        rows = pd.DataFrame({"film_id": [film.film_id for film in films], "split": splits})
        # After the split, because every row counts there: without one, all others would be split differently.
        rows = rows[rows["film_id"] != ""]
        first = rows.drop_duplicates("film_id")
        with files.atomic_write(split_file(name)) as new:
            first.to_csv(new, index=False)
        print(f"{split_file(name)}: {len(first):,} films")
    if repeated := len(rows) - len(first):
        print(f"{repeated:,} rows of {table} name a film again; they are left out")


def results(name: str, comparison_file: Path, summary: Path) -> str:
    """The published results on a split, beside those of the last evaluation and of a baseline, as a Markdown table.

    Raises:
        InputError: a file is missing or not as its stage writes it, or the dataset has another split.
    """
    about = files.read_json(summary, "`dvc repro dataset`")
    if not isinstance(about, dict) or "params" not in about:
        raise InputError(f"{summary} is not as the dataset stage writes it; `dvc repro dataset` writes it anew")
    if (split := about["params"]["split_file"]) is None or Path(split).resolve() != split_file(name).resolve():
        raise InputError(
            f"{summary} is of a dataset with dataset.split_file {split or 'null'}; these results are for "
            f"{split_file(name)}: run `dvc exp run -S dataset.split_file={split_file(name)} -S dataset.min_posters=1`"
        )
    scores = comparison.read(comparison_file)
    constants = [baseline for baseline in scores.baselines if baselines.is_constant_set(baseline)]
    if not constants:
        raise InputError(f"{comparison_file} has no baseline such as {{Drama, Comedy}}; run {comparison.EVALUATE}")
    lines = _table(name, scores, constants[-1])
    evaluated = test_predictions.read(comparison_file.parent / test_predictions.FILE).film_ids
    if evaluated != split_tables.read_split(summary.parent / "test.csv").film_ids:
        raise InputError(
            f"{comparison_file} is for other test posters than {summary.parent / 'test.csv'} names; run `dvc repro`"
        )
    return "\n".join([*lines, *_coverage(about)])


def _table(name: str, scores: Comparison, baseline: str) -> list[str]:
    lines = [f"| metric | published | ours | {baseline} |", "|---|--:|--:|--:|"]
    for measure, published in PUBLISHED[name].items():
        for key in (f"{measure}_at_half", measure):
            if key in METRICS:
                ours, constant = (scores.score(key, predictor).format().value for predictor in (MODEL, baseline))
                lines.append(f"| {METRICS[key].heading} | {published:.3f} | {ours} | {constant} |")
    return [*lines, "", f"Published, all at a threshold of 0.5: {SOURCES[name]}"]


def _coverage(about: dict[str, Any]) -> list[str]:
    """How many of the set's posters our results are for, in sentences; about: the dataset's summary.json."""
    without_genre = about["set_aside"].get("it has no genre", 0)
    posters, dropped = sum(about["posters"].values()) + without_genre, about["dropped_genres"]
    lines = [f"{ROWS - FILMS:,} of the set's {ROWS:,} rows name a film again; ours are without these rows."]
    if without_genre:
        lines.append(f"{without_genre:,} of the set's films have no genre and are in none of our splits.")
    if posters != FILMS:
        lines.append(f"Not comparable: our results are for {posters:,} of the set's {FILMS:,} posters.")
    if dropped:
        lines.append(f"Not comparable: dataset.min_posters is not 1, so our results leave out {', '.join(dropped)}.")
    return lines


def _split_names(rows: int, *parts: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    names = np.empty(rows, dtype="<U5")
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        names[part] = name
    return names


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("splits").add_argument("table", type=Path)
    commands.add_parser("figures").add_argument("split", choices=list(PUBLISHED))
    options = parser.parse_args(arguments)
    if options.command == "splits":
        write(options.table)
    else:
        print(results(options.split, COMPARISON, SUMMARY))


if __name__ == "__main__":
    errors.run(lambda: main(sys.argv[1:]))
