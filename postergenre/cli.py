"""The `postergenre` command."""

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postergenre import errors, files
from postergenre.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from postergenre.dvc_project.team import Shared
    from postergenre.prediction.predictor import Predictor

Command = Callable[[argparse.Namespace], None]

MARK = "*"
# What Pillow knows by name but does not decode: films and measurements may lie beside posters.
NOT_DECODED = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
TABLE = b"path,"  # how a table that `predict` wrote begins
CHECKOUT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exits 0, 1 after an error, 2 after a wrong command line."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name need not be text
            stream.reconfigure(errors="backslashreplace")
    errors.run(lambda: arguments.command(arguments))


def predict(arguments: argparse.Namespace) -> None:
    """Print the likeliest genres of each picture with their probabilities.

    * marks those above the genre's threshold, which the report explains.
    """
    _check_table(arguments.csv)
    predictor = _load(arguments.model)
    objects: list[dict[str, Any]] = []
    answered, failed = 0, 0
    with _table(arguments.csv, predictor.genres) as add_row:
        for path, answer in predictor.predict_files(_pictures(arguments.paths)):
            if isinstance(answer, str):
                failed += 1
                print(f"error: {errors.printable(str(path))}: {answer}", file=sys.stderr)
                continue
            answered += 1
            add_row(path, answer)
            if arguments.json:
                objects.append(_object(path, answer, predictor))
            else:
                print(_line(path, answer, predictor, arguments.top))
        if not answered and arguments.csv and arguments.csv.exists():
            if arguments.json:
                print(json.dumps(objects))
            sys.exit("error: no picture was answered; the table stays as it was")
    if arguments.json:
        print(json.dumps(objects, indent=2))
    elif answered and sys.stdout.isatty():
        print(f"{MARK} above the genre's threshold")
    if failed:
        sys.exit(1)


def track(arguments: argparse.Namespace) -> None:
    """Log the model and the reports of this folder in MLflow, after the fact; or what MLflow did not hear in time."""
    _be_patient()
    from postergenre.tracking import runs, spool

    if arguments.replay:
        lines = runs.replay()
        print(next(lines, f"nothing waits in {spool.FOLDER}"), flush=True)
        for line in lines:
            print(line, flush=True)
        return
    run = runs.track(Path("models"), Path("reports"))
    print(
        f"tracked as run {run.id}" if run.logged_late else f"run {run.id} has this model; what it lacked is there now"
    )


def promote(arguments: argparse.Namespace) -> None:
    """Register a run's model in MLflow as `poster-genres`; if it is better than the champion, it becomes the champion.

    Better means that the 95 % interval of the difference in test mAP, by a paired bootstrap, lies above 0.
    """
    _be_patient()
    from postergenre.tracking import registry

    print(registry.promote(Path("models"), arguments.run_id, arguments.force))


def compare(arguments: argparse.Namespace) -> None:
    """Hold the model that was judged in this folder against the champion, as promoting it would, and change nothing."""
    _be_patient()
    from postergenre.tracking import registry

    print(registry.compare(Path("reports")))


def checkout(arguments: argparse.Namespace) -> None:
    """Go back to a run in MLflow: its params.yaml, dvc.lock and reports, and from DVC's cache or remote its outputs.

    Code stays as it is; the run's commit is named.
    """
    _be_patient()
    from postergenre.tracking import restore

    print(restore.checkout(arguments.run, Path("models")))


def results(arguments: argparse.Namespace) -> None:
    """The results table, and where to look next."""
    import pandas as pd

    from postergenre.evaluation import report

    file = Path("reports/comparison.csv")
    if not file.exists():
        raise InputError(f"{file} is missing; `dvc repro` writes it, in the project's folder")
    print(report.results_table(pd.read_csv(file)))
    if not Path("models/run.json").exists():
        print("these figures came with git, and the model did not: `dvc pull` or `dvc repro` brings it")
    print("report   reports/report.html\nruns     make mlflow\npredict  postergenre predict poster.jpg")


def team(arguments: argparse.Namespace) -> None:
    """Share data and results: the same DVC remote for everyone, and one cache for all on this host."""
    from postergenre.dvc_project import team

    shared = team.share(arguments.remote, arguments.cache)
    server = f" at {shared.server}" if shared.server else ""
    print(f"remote  {shared.remote}{server}\n        in .dvc/config, for everyone: `git commit .dvc/config`")
    if shared.cache:
        print(f"cache   {shared.cache}, of the group {shared.group}, files come by {shared.link}")
        print("        in .dvc/config.local, for you on this machine")
    if shared.brought:
        print(f"        {shared.brought} files of the cache used before are in it now")
    for file in shared.rotten:
        print(f"        left out, for it is not what its hash says: {file}")
    if shared.rotten:
        print("        `postergenre verify` says what brings back what is used")
    if not shared.inherits:
        print("        this file system has no default ACLs: everyone should work with `umask 002`")
    print("        a file was written, read and removed\n")
    print(_for_teammates(shared))


def push(arguments: argparse.Namespace) -> None:
    """Give the team what was run here: data, models, reports, and every experiment that is still in the cache."""
    from postergenre.dvc_project import team

    print(f"{team.push()} files sent")


def verify(arguments: argparse.Namespace) -> None:
    """Read all that DVC keeps of this project, and every poster, and compare it with its hash.

    Exits with 1 where something is corrupt or lost, and says how to get it back.
    """
    from postergenre.dvc_project import integrity

    report = integrity.verify(Path("data/posters"))
    print(report)
    if not report.sound:
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postergenre", description="Tell a film's genres from its poster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Command, summary: str) -> argparse.ArgumentParser:
        """A command with the name of its function, which its help describes by the docstring."""
        added = commands.add_parser(command.__name__, help=summary, description=command.__doc__)
        added.set_defaults(command=command)
        return added

    _take_pictures(add(predict, "genres for pictures"))
    add(results, "the results table of the last evaluation")
    _take_replay(add(track, "log a training in MLflow after the fact"))
    _take_candidate(add(promote, "make a run's model the champion"))
    add(compare, "this folder's model beside the champion")
    _take_run(add(checkout, "go back to a run"))
    _take_places(add(team, "share data and results in a team"))
    add(push, "give the team what was run here")
    add(verify, "compare what DVC keeps with its hashes")
    return parser


def _take_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=_path, metavar="PATH", help="a picture, or a folder of pictures")
    parser.add_argument(
        "--model",
        type=_named,
        help="a folder, or models:/NAME@ALIAS or runs:/ID/model in MLflow (default: models/ here or of the checkout)",
    )
    parser.add_argument(
        "--top", type=_positive, default=5, metavar="N", help="genres to print for each picture (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="print every genre's probability as JSON")
    parser.add_argument("--csv", type=_path, metavar="FILE", help="also write every genre's probability to a table")


def _take_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replay", action="store_true", help="deliver the runs that wait in mlflow-spool/, the oldest first"
    )


def _take_candidate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN_ID", help="a run in MLflow (default: that of the model in models/)"
    )
    parser.add_argument(
        "--force", type=_said, metavar="REASON", help="promote whatever the comparison says; REASON is kept"
    )


def _take_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN_ID", help="a run in MLflow, or models:/NAME@ALIAS")


def _take_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("remote", metavar="REMOTE", help="s3://BUCKET/PATH, ssh://[ACCOUNT@]HOST/PATH or a folder")
    parser.add_argument("--cache", metavar="DIR", help="a folder on this host for all who work on it")


def _for_teammates(shared: "Shared") -> str:
    remote = shared.remote.replace("://", "://YOU@") if shared.account else shared.remote
    once = [f"make team REMOTE={remote}" + (f" CACHE={shared.cache}" if shared.cache else "")]
    lines = [
        "Teammates type once, after `git pull`:",
        *(f"    {line}" for line in once if shared.cache or shared.account),
        "    dvc pull                            # the data, the model and the reports",
        "and from then on:",
        "    dvc repro --pull --allow-missing    # runs only what nobody has run",
        "    postergenre push                    # what you ran, for the others",
    ]
    return "\n".join(lines)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 upwards")
    return int(text)


def _said(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; it should say why")
    return text.strip()


def _named(text: str) -> str:
    if not text:  # in a script, a variable is unset
        raise argparse.ArgumentTypeError("it is empty; it should name something")
    return text


def _path(text: str) -> Path:
    return Path(_named(text))


def _be_patient() -> None:
    """Nothing but this command waits, and it may have a whole model to send."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


def _load(model: str | None) -> "Predictor":
    from postergenre.prediction import predictor

    if model and model.startswith(("models:/", "runs:/")):
        from postergenre.tracking import mlflow_store, runs

        here = Path.cwd()
        return runs.load_model(model, here if (here / mlflow_store.STORE).exists() else CHECKOUT)
    if model:
        return predictor.load(Path(model))
    places = (Path("models"), CHECKOUT / "models")
    folder = next((place for place in places if (place / "run.json").exists()), None)
    if folder is None:
        raise InputError(f"there is no trained network in {' or '.join(map(str, places))}; `make repro` trains one")
    return predictor.load(folder)


def _pictures(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, folders replaced by the pictures below them in order of their names.

    So are folders behind links, each once; of a folder that cannot be read, the folder itself is named.
    """
    from PIL import Image

    from postergenre.data import images

    decoded = {*images.formats(), "MPO"} - NOT_DECODED
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in decoded}
    for path in paths:
        unread: list[Path] = []
        below = _files(path, unread)
        yield from sorted([*(file for file in below if file.suffix.lower() in known), *unread]) or [path]


def _files(folder: Path, unread: list[Path]) -> Iterator[Path]:
    """All below a folder; unread: gets the folders that cannot be read."""
    seen = set()
    walk = os.walk(folder, onerror=lambda error: unread.append(Path(error.filename)), followlinks=True)
    for place, folders, names in walk:
        folders.sort()  # which of two links to one folder is followed, is not left to the file system
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place, name) for name in names)


def _line(path: Path, answer: "npt.NDArray[np.float32]", predictor: "Predictor", top: int) -> str:
    likeliest = (-answer).argsort(kind="stable")[:top]
    return f"{errors.printable(str(path))}  " + " | ".join(_genre(predictor, answer, int(place)) for place in likeliest)


def _genre(predictor: "Predictor", answer: "npt.NDArray[np.float32]", place: int) -> str:
    text = f"{predictor.genres[place]} {answer[place]:.4f}"
    if answer[place] < predictor.thresholds[place]:
        return text
    return f"\033[1m{text}{MARK}\033[0m" if sys.stdout.isatty() else text + MARK


def _object(path: Path, answer: "npt.NDArray[np.float32]", predictor: "Predictor") -> dict[str, Any]:
    chosen = [genre for genre, p, cut in zip(predictor.genres, answer, predictor.thresholds, strict=True) if p >= cut]
    genres = {genre: round(float(p), 6) for genre, p in zip(predictor.genres, answer, strict=True)}
    return {"path": str(path), "predicted": chosen, "genres": genres}


def _check_table(file: Path | None) -> None:
    """Refuse to write a table where it would replace what is no table of ours, such as a poster."""
    if file is None or not file.exists():
        return
    if file.is_dir():
        raise InputError(f"{file} is a folder; --csv takes a file")
    if not file.is_file():
        raise InputError(f"{file} is a device or a pipe; --csv takes a file")
    try:
        with file.open("rb") as stream:
            begins = stream.read(len(TABLE))
        ours = not begins or (begins == TABLE and _holds_probabilities(file))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    if not ours:
        raise InputError(f"{file} is there and is no table of `predict`; --csv takes a new file, or such a table")


def _holds_probabilities(file: Path) -> bool:
    """Whether the first row of a table has them in all columns but the first."""
    with file.open(newline="", encoding="utf-8", errors="replace") as stream:
        try:
            rows = csv.reader(stream)
            width, row = len(next(rows)), next(rows, None)
            return row is None or (len(row) == width and all(0 <= float(cell) <= 1 for cell in row[1:]))
        except (csv.Error, ValueError):
            return False


@contextmanager
def _table(file: Path | None, genres: list[str]) -> Iterator[Callable[[Path, "npt.NDArray[np.float32]"], object]]:
    """What adds a picture's row to the table in `file`, which is there when the block ends; without a file, nothing."""
    if file is None:
        yield lambda path, answer: None
        return
    try:
        with (
            files.atomic_write(file.resolve()) as new,
            new.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
        ):
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(["path", *genres])
            yield lambda path, answer: rows.writerow([path, *(f"{p:.6f}" for p in answer)])
    except OSError as error:
        if error.filename is None:  # the disk is full, or nobody reads our stdout any more
            raise
        raise InputError(f"{file} cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    main()
