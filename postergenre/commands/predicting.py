"""`postergenre predict`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postergenre import errors
from postergenre.commands.arguments import Add, named, path, positive
from postergenre.commands.runs import configure_mlflow
from postergenre.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from postergenre.prediction.predictor import Prediction, Predictor

MARK = "*"
CHECKOUT = Path(__file__).resolve().parents[2]


def add_commands(add: Add) -> None:
    """Add these commands to the parser."""
    _take_pictures(add(predict, "predict genres for pictures"))


def predict(arguments: argparse.Namespace) -> None:
    """Print the most probable genres of each picture with their probabilities.

    * marks the predicted genres: their probability is at least the genre's threshold, which the report explains. A
    model that was trained on the text on posters reads it; what it read follows.
    """
    from postergenre.prediction import pictures, table

    passed_over: list[Path] = []
    if arguments.csv:
        table.check_replaceable(arguments.csv)
    predictor = _load(arguments.model, with_text=not arguments.no_text)
    objects: list[dict[str, Any]] = []
    predicted, failed = 0, 0
    with (
        _fetched([name for name in arguments.pictures if pictures.is_url(name)]) as fetched,
        table.open_table(arguments.csv, predictor.genres) as add_row,
    ):
        for name, prediction in predictor.predict_pictures(pictures.find(arguments.pictures, passed_over, fetched)):
            if isinstance(prediction, str):
                failed += 1
                print(f"error: {errors.printable_line(name)}: {errors.printable_line(prediction)}", file=sys.stderr)
                continue
            predicted += 1
            add_row(name, prediction.probabilities)
            if arguments.json:
                objects.append(_object(name, prediction, predictor))
            else:
                print(_lines(name, prediction, predictor, arguments.top))
        _tell_passed_over(passed_over)
        if not predicted and arguments.csv and arguments.csv.exists():
            if arguments.json:
                print(json.dumps(objects))
            sys.exit(f"error: no picture could be read; {arguments.csv} is unchanged")
    if arguments.json:
        print(json.dumps(objects, indent=2))
    elif predicted and sys.stdout.isatty():
        print(f"{MARK} predicted: at least the genre's threshold")
    if failed:
        sys.exit(1)


def _take_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pictures",
        nargs="+",
        type=named,
        metavar="PICTURE",
        help="a file, a folder of pictures, an http or https address, or - for stdin",
    )
    parser.add_argument(
        "--model",
        type=named,
        help="a folder, or models:/NAME@ALIAS or runs:/ID/model in MLflow (default: models/ here or of the checkout)",
    )
    parser.add_argument(
        "--top", type=positive, default=5, metavar="N", help="genres to print for each picture (default: 5)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print every genre's probability, and what was read where, as JSON"
    )
    parser.add_argument("--no-text", action="store_true", help="predict by the picture alone, and do not read it")
    parser.add_argument("--csv", type=path, metavar="FILE", help="also write every genre's probability to a table")


def _load(model: str | None, with_text: bool) -> "Predictor":
    from postergenre.prediction import predictor

    if model and model.startswith(("models:/", "runs:/")):
        configure_mlflow()
        from postergenre.tracking import logged_models, mlflow_store

        here = Path.cwd()
        return logged_models.load_predictor(
            model, here if (here / mlflow_store.STORE).exists() else CHECKOUT, with_text
        )
    if model:
        return predictor.load(Path(model), with_text)
    places = (Path("models"), CHECKOUT / "models")
    folder = next((place for place in places if (place / "run.json").exists()), None)
    if folder is None:
        raise InputError(f"there is no trained network in {' or '.join(map(str, places))}; `make repro` trains one")
    return predictor.load(folder, with_text)


@contextmanager
def _fetched(urls: list[str]) -> Iterator[Callable[[str], bytes]]:
    """A function that returns what these addresses gave, all fetched as a crawl does, by `scrape` in params.yaml."""
    if not urls:
        yield lambda url: b""
        return
    from postergenre import params
    from scraper import fetch
    from scraper.plan import ScrapeParams

    file = params.FILE if params.FILE.exists() else CHECKOUT / params.FILE
    with fetch.fetched(urls, params.load("scrape", ScrapeParams, file)) as read:
        yield read


def _tell_passed_over(files: list[Path]) -> None:
    from postergenre.data import images

    if files:
        print(f"files passed over, because they are not {images.NAMES}: {len(files):,}", file=sys.stderr)


def _lines(name: str, prediction: "Prediction", predictor: "Predictor", top: int) -> str:
    """The most probable genres, and in a second line what was read."""
    probabilities = prediction.probabilities
    most_probable = (-probabilities).argsort(kind="stable")[:top]
    genres = " | ".join(_genre(predictor, probabilities, int(place)) for place in most_probable)
    read = " | ".join(line.text for line in prediction.lines)
    return f"{errors.printable_line(name)}  {genres}" + (f"\n    read: {errors.printable_line(read)}" if read else "")


def _genre(predictor: "Predictor", probabilities: "npt.NDArray[np.float32]", place: int) -> str:
    text = f"{predictor.genres[place]} {probabilities[place]:.4f}"
    if probabilities[place] < predictor.thresholds[place]:
        return text
    return f"\033[1m{text}{MARK}\033[0m" if sys.stdout.isatty() else text + MARK


def _object(name: str, prediction: "Prediction", predictor: "Predictor") -> dict[str, Any]:
    probabilities = prediction.probabilities
    rows = list(zip(predictor.genres, probabilities, predictor.thresholds, strict=True))
    made: dict[str, Any] = {
        "path": name,
        "predicted": [genre for genre, probability, threshold in rows if probability >= threshold],
        "genres": {genre: round(float(probability), 6) for genre, probability, _ in rows},
    }
    if predictor.text:
        effects = predictor.text.effects(prediction.by_picture, prediction.lines)
        made["text"] = [
            {
                "line": line.text,
                "confidence": line.confidence,
                "box": line.box,
                "adds": dict(zip(predictor.genres, effect.round(4).tolist(), strict=True)),
            }
            for line, effect in zip(prediction.lines, effects, strict=True)
        ]
    return made
