"""The `postergenre` command."""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postergenre import errors, files
from postergenre.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from postergenre.predictor import Predictor

MARK = "*"
CHECKOUT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exits 0, 1 after an error, 2 after a wrong command line."""
    arguments = _parser().parse_args(argv)
    errors.run(lambda: arguments.command(arguments))


def predict(arguments: argparse.Namespace) -> None:
    """Genres for pictures: a line each, or JSON, and a table if asked for."""
    predictor = _load(arguments.model)
    names: list[str] = []
    rows: list[npt.NDArray[np.float32]] = []
    failed = False
    for path, answer in predictor.predict_files(_pictures(arguments.paths)):
        if isinstance(answer, str):
            failed = True
            print(f"error: {path}: {answer}", file=sys.stderr)
            continue
        names.append(str(path))
        rows.append(answer)
        if not arguments.json:
            print(_line(path, answer, predictor, arguments.top))
    if arguments.json:
        print(json.dumps([_object(*one, predictor) for one in zip(names, rows, strict=True)], indent=2))
    elif rows and sys.stdout.isatty():
        print(f"{MARK} above the genre's threshold")
    if arguments.csv:
        _write_table(arguments.csv, predictor.genres, names, rows)
    if failed:
        sys.exit(1)


def track(arguments: argparse.Namespace) -> None:
    """Log the model and the reports of this folder in MLflow, after the fact."""
    from postergenre import tracking

    print(f"tracked as run {tracking.track(Path('models'), Path('reports'))}")


def results(arguments: argparse.Namespace) -> None:
    """The results table, and where to look next."""
    import pandas as pd

    from postergenre import report

    file = Path("reports/comparison.csv")
    if not file.exists():
        raise InputError(f"{file} is missing; `dvc repro` writes it, in the project's folder")
    print(report.results_table(pd.read_csv(file)))
    print("report   reports/report.html\nruns     make mlflow\npredict  postergenre predict poster.jpg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postergenre", description="Tell a film's genres from its poster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "predict",
        help="genres for pictures",
        description="Print the likeliest genres of each picture with their probabilities; "
        f"{MARK} marks those above the genre's threshold, which the report explains.",
    )
    one.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a picture, or a folder of pictures")
    one.add_argument(
        "--model", help="a folder, or models:/NAME@ALIAS in MLflow (default: models/ here or of the checkout)"
    )
    one.add_argument(
        "--top", type=_positive, default=5, metavar="N", help="genres to print for each picture (default: 5)"
    )
    one.add_argument("--json", action="store_true", help="print every genre's probability as JSON")
    one.add_argument("--csv", type=Path, metavar="FILE", help="also write every genre's probability to a table")
    one.set_defaults(command=predict)
    two = commands.add_parser("results", help="the results table of the last evaluation", description=results.__doc__)
    two.set_defaults(command=results)
    three = commands.add_parser("track", help="log a training in MLflow after the fact", description=track.__doc__)
    three.set_defaults(command=track)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 upwards")
    return int(text)


def _load(model: str | None) -> "Predictor":
    from postergenre import predictor

    if model and model.startswith(("models:/", "runs:/")):
        from postergenre import tracking

        return tracking.load_model(model)
    if model:
        return predictor.load(Path(model))
    places = (Path("models"), CHECKOUT / "models")
    folder = next((place for place in places if (place / "run.json").exists()), None)
    if folder is None:
        raise InputError(f"there is no trained network in {' or '.join(map(str, places))}; `make repro` trains one")
    return predictor.load(folder)


def _pictures(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, folders replaced by the pictures below them in order of their names."""
    from PIL import Image

    known = Image.registered_extensions()
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in known and file.is_file())
        yield from found or [path]


def _line(path: Path, answer: "npt.NDArray[np.float32]", predictor: "Predictor", top: int) -> str:
    likeliest = (-answer).argsort(kind="stable")[:top]
    return f"{path}  " + " | ".join(_genre(predictor, answer, int(place)) for place in likeliest)


def _genre(predictor: "Predictor", answer: "npt.NDArray[np.float32]", place: int) -> str:
    text = f"{predictor.genres[place]} {answer[place]:.4f}"
    if answer[place] < predictor.thresholds[place]:
        return text
    return f"\033[1m{text}{MARK}\033[0m" if sys.stdout.isatty() else text + MARK


def _object(name: str, answer: "npt.NDArray[np.float32]", predictor: "Predictor") -> dict[str, Any]:
    chosen = [genre for genre, p, cut in zip(predictor.genres, answer, predictor.thresholds, strict=True) if p >= cut]
    genres = {genre: round(float(p), 6) for genre, p in zip(predictor.genres, answer, strict=True)}
    return {"path": name, "predicted": chosen, "genres": genres}


def _write_table(file: Path, genres: list[str], names: list[str], rows: list["npt.NDArray[np.float32]"]) -> None:
    with files.replaced_file(file) as new, new.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["path", *genres])
        table.writerows([name, *(f"{p:.6f}" for p in answer)] for name, answer in zip(names, rows, strict=True))


if __name__ == "__main__":
    main()
