"""`postergenre drift`."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from postergenre import errors
from postergenre.commands.arguments import Add, path
from postergenre.errors import InputError

if TYPE_CHECKING:
    from postergenre.networks.poster_index import PosterIndex
    from postergenre.prediction.drift import Change, Drift
    from postergenre.prediction.drift_pictures import Found
    from postergenre.prediction.predictor import Predictor

MODELS, REPORTS = Path("models"), Path("reports")


def add_commands(add: Add) -> None:
    """Add this command to the parser."""
    parser = add(drift, "compare pictures with the test posters")
    parser.add_argument(
        "pictures", type=path, metavar="FOLDER|TABLE", help="a folder of pictures, or what `predict --csv` wrote"
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")


def drift(arguments: argparse.Namespace) -> None:
    """Say whether pictures are like the posters on which the model was judged.

    One test compares all features that the network sees. The table has what changed: each genre's mean probability, and
    figures of the pictures themselves. * marks what differs by more than chance.
    """
    from postergenre.networks import model_folder
    from postergenre.prediction import drift as comparison
    from postergenre.prediction import drift_reference, predictor

    reference = drift_reference.read(REPORTS / drift_reference.FILE, model_folder.read_run(MODELS)["model"])
    network = predictor.load(MODELS, with_text=False)
    found = _find(arguments.pictures, network, model_folder.load_index(MODELS))
    _tell_unread(found)
    known = reference.by_picture_alone() if found.by_picture else reference.pictures
    compared = comparison.compare(found.pictures, known, reference.genres)
    print(json.dumps(compared.to_json(), indent=2) if arguments.json else _table(compared))


def _find(given: Path, network: "Predictor", index: "PosterIndex | None") -> "Found":
    from postergenre.prediction import drift_pictures, pictures

    if given.is_file():
        return drift_pictures.from_table(network, index, given)
    if not given.is_dir():
        raise InputError(f"{given} is neither a folder of pictures nor a table of `postergenre predict --csv`")
    found = drift_pictures.from_files(network, index, list(pictures.find([str(given)], [], lambda url: b"")))
    if not len(found.pictures):
        raise InputError(f"{given} has no picture that can be read")
    return found


def _tell_unread(found: "Found") -> None:
    """Say on stderr what was left out."""
    for name, reason in found.failed:
        print(f"error: {errors.printable_line(name)}: {errors.printable_line(reason)}", file=sys.stderr)
    looked_at = len(found.pictures.statistics)
    if looked_at + len(found.failed) < found.given:
        print(f"looked at {looked_at:,} of {found.given:,} pictures", file=sys.stderr)


def _table(compared: "Drift") -> str:
    """The verdict, and a line for each genre and figure; those that changed most come first."""
    lines = [compared.verdict, "", f"{'':16} {'here':>9} {'test':>9}"]
    for changes in (compared.genres, compared.statistics):
        for name, change in sorted(changes.items(), key=lambda item: -item[1].size):
            lines.append(f"{name:16} {_figure(change.mean)} {_figure(change.reference)}{_mark(change)}")
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:9.3f}" if abs(value) < 10 else f"{value:9.0f}"


def _mark(change: "Change") -> str:
    return "" if change.by_chance else " *"
