"""The `postergenre` command."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postergenre import account, errors
from postergenre.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from postergenre.dvc_project.team import Shared
    from postergenre.prediction.predictor import Prediction, Predictor
    from scraper.preview import Preview

Command = Callable[[argparse.Namespace], None]

MARK = "*"
CHECKOUT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exits 0, 1 after an error, 2 after a wrong command line."""
    arguments = _parser().parse_args(argv)
    account.prepare()
    errors.run(lambda: arguments.command(arguments))


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


def track(arguments: argparse.Namespace) -> None:
    """Log the model and the reports of this folder in MLflow, after the fact; or the runs that MLflow missed."""
    _configure_mlflow()
    from postergenre.tracking import replay, spool

    if arguments.replay:
        lines = replay.deliver_waiting()
        print(next(lines, f"nothing waits in {spool.FOLDER}"), flush=True)
        for line in lines:
            print(line, flush=True)
        return
    run = replay.track(Path("models"), Path("reports"))
    print(
        f"tracked as run {run.id}" if run.logged_late else f"run {run.id} has this model; what it lacked is there now"
    )


def promote(arguments: argparse.Namespace) -> None:
    """Register a run's model in MLflow as `poster-genres`; if it is better than the champion, it becomes the champion.

    Better means that the 95 % interval of the difference in test mAP, by a paired bootstrap, lies above 0.
    """
    _configure_mlflow()
    from postergenre.tracking import registry

    print(registry.promote(Path("models"), arguments.run_id, arguments.force))


def compare(arguments: argparse.Namespace) -> None:
    """Compare the model that was evaluated in this folder with the champion, and change nothing."""
    _configure_mlflow()
    from postergenre.tracking import registry

    print(registry.compare(Path("reports")))


def checkout(arguments: argparse.Namespace) -> None:
    """Go back to a run in MLflow: its params.yaml, dvc.lock and reports, and from DVC's cache or remote its outputs.

    Code stays as it is; the output names the run's commit.
    """
    _configure_mlflow()
    from postergenre.tracking import restore

    print(restore.checkout(arguments.run, Path("models")))


def results(arguments: argparse.Namespace) -> None:
    """Print the results of the last evaluation, and where the report and the runs are."""
    from postergenre.evaluation import comparison, terminal

    print(terminal.results_table(comparison.read(Path("reports/comparison.csv"))))
    if not Path("models/run.json").exists():
        print("these results are in git, but the model is not: `dvc pull models` or `dvc repro` brings it")
    print("report   reports/report.html\nruns     make mlflow\npredict  postergenre predict poster.jpg")


def repro(arguments: argparse.Namespace) -> None:
    """Run the pipeline as `dvc repro` does, and explain where the kernel killed a stage for its memory.

    With --pull, stages make what is never pushed where later stages need it.

    The arguments are those of `dvc repro`.
    """
    from postergenre.dvc_project import reproduction

    sys.exit(reproduction.repro(arguments.arguments))


def split(arguments: argparse.Namespace) -> None:
    """Make another split of the films on purpose, by the seed and the shares in params.yaml.

    The split that `dataset.split` names is replaced. Without this command, a film stays in its split.
    """
    from postergenre import params
    from postergenre.data import dataset, frozen_split, manifest, splits, store

    parameters = params.load("dataset", splits.DatasetParams)
    frozen = frozen_split.read_to_replace(Path("data/splits"), parameters)
    films = manifest.read(Path("data/posters/manifest.csv"))
    made = dataset.make(films, store.Store(Path("data/resized")), parameters, None, {})
    print(frozen.replace(made.names_of))


def catalogue(arguments: argparse.Namespace) -> None:
    """Say what a catalogue holds and what a crawl of it would ask, before anything is fetched.

    It is read with the sections `scrape` and `dataset` of params.yaml. Exits with 1 where it cannot be used, and prints
    the line of params.yaml to change.
    """
    from scraper import preview, preview_report

    read = _preview(arguments.file, {})
    print(preview_report.describe(read))
    if faults := preview.faults(read):
        raise InputError("\n".join(map(str, faults)))


def import_(arguments: argparse.Namespace) -> None:
    """Make a catalogue of a folder of pictures: its subfolders are genres, or a table has the labels.

    A picture's name without its suffix is the film's id. A film that lies in several subfolders has all their genres.
    The catalogue is data/catalogues/NAME.csv, named after the folder. The pictures stay where they are.
    """
    from postergenre import params
    from scraper import catalogue_settings, picture_folder, plan

    scrape = params.load("scrape", plan.ScrapeParams)
    folder = _in_project(arguments.folder)
    made = picture_folder.read(folder, arguments.labels, scrape.genre_names, scrape.max_bytes)
    file = Path("data/catalogues", f"{catalogue_settings.slug(folder.name)}.csv")
    print(f"{file} is {made.write(file)}\n  {made}")
    print(f"`postergenre use {file}` writes these into params.yaml:")
    print(f"  scrape.catalogue: {file}\n  scrape.source: {made.source}")


def use(arguments: argparse.Namespace) -> None:
    """Set params.yaml to a catalogue: its source, its split, and sizes of posters and inputs that suit real posters.

    The catalogue is checked as `postergenre catalogue` does; where it cannot be used, nothing is written. Comments and
    other values stay. Private hosts are printed only: to list them is for you. What stands on the posters is read if
    the extra `text` is installed. The sample's catalogue takes all back.
    """
    from postergenre import params, params_edit
    from postergenre.data import packing
    from postergenre.reading import engine
    from sample import site
    from scraper import catalogue_settings, plan, preview

    file, networks = _in_project(arguments.file), params.read().get("networks") or {}
    scrape = params.load("scrape", plan.ScrapeParams)
    params.load("resize", packing.ResizeParams)
    if site.is_sample(file):
        values = catalogue_settings.for_sample(file.as_posix(), networks)
    else:
        values = catalogue_settings.for_catalogue(file, scrape, networks)
        values |= {"read.engine": engine.RAPIDOCR} if engine.is_installed() else {}
    split = Path("data/splits", f"{values['dataset.split']}.csv")
    read = _preview(file, values, split)
    faults = preview.faults(read)
    if grave := [fault for fault in faults if not fault.is_private]:
        raise InputError("\n".join(map(str, grave)))
    changed = params_edit.change(params.FILE, values)
    print("\n  ".join([f"{params.FILE} has now" if changed else f"{params.FILE} is set to {file} already", *changed]))
    if changed and split.exists():
        print(f"{split} is there: {read.in_split:,} of the catalogue's {read.films:,} films are in it, and stay there")
        if not read.in_split:
            print(
                "it seems to be of other films; give this catalogue another name in params.yaml:\n  dataset.split: NAME"
            )
    if not site.is_sample(file):
        print(_tell_reading(read.count(*preview.POSSIBLE)))
    if read.unlisted:
        print(
            f"these hosts are private; to have them asked, list them if they are yours:\n  {read.private_hosts_change}"
        )


def encoder(arguments: argparse.Namespace) -> None:
    """Fetch a text encoder, check its files, and add it to text_encoders.lock if that does not have it.

    NAME is one of the lock file, such as minilm or mpnet, hf:ORG/NAME for a model of the hub, or a folder. Its size and
    its licence are printed before anything is fetched.
    """
    from postergenre.networks.text_encoders import finding

    found = finding.add(arguments.name, Path("text_encoders.lock"))
    print(f"{found.name} is in {found.folder}: {found.bytes / 1e6:,.0f} MB, licence {found.licence or 'not stated'}")
    print("its files are those that text_encoders.lock lists")


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
    for file in shared.corrupt:
        print(f"        left out, because it does not match its hash: {file}")
    if shared.corrupt:
        print("        `postergenre verify` prints what brings back those that are used")
    if not shared.inherits:
        print("        this file system has no default ACLs: everyone should work with `umask 002`")
    print("        a file was written, read and removed\n")
    print(_for_teammates(shared))


def push(arguments: argparse.Namespace) -> None:
    """Send the team what was run here: data, models, reports, and every experiment that is still in the cache."""
    from postergenre.dvc_project import push

    print(f"{push.push()} files sent")


def verify(arguments: argparse.Namespace) -> None:
    """Read all that DVC keeps of this project, and every poster, and compare it with its hash.

    Exits with 1 where something is corrupt or lost, and prints how to get it back.
    """
    from postergenre.dvc_project import integrity

    report = integrity.verify(Path("data/posters"))
    print(report)
    if not report.is_sound:
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postergenre", description="Tell a film's genres from its poster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Command, summary: str, **options: Any) -> argparse.ArgumentParser:
        """A command with the name of its function, which its help describes by the docstring."""
        name = command.__name__.rstrip("_")  # `import` is a word of Python's
        added = commands.add_parser(name, help=summary, description=command.__doc__, **options)
        added.set_defaults(command=command)
        return added

    _take_pictures(add(predict, "predict genres for pictures"))
    # With another prefix, options are arguments too, for DVC.
    add(repro, "run the pipeline", prefix_chars="+", add_help=False).add_argument("arguments", nargs="*")
    add(results, "print the results of the last evaluation")
    _take_replay(add(track, "log a training in MLflow after the fact"))
    _take_candidate(add(promote, "make a run's model the champion"))
    add(compare, "this folder's model beside the champion")
    _take_run(add(checkout, "go back to a run"))
    _take_catalogue(add(catalogue, "say what a catalogue holds, before anything is fetched"))
    _take_folder(add(import_, "make a catalogue of a folder of pictures"))
    _take_catalogue(add(use, "set params.yaml to a catalogue"))
    _take_new(add(split, "make another split of the films"))
    _take_encoder(add(encoder, "fetch and check a text encoder"))
    _take_places(add(team, "share data and results in a team"))
    add(push, "send the team what was run here")
    add(verify, "compare what DVC keeps with its hashes")
    return parser


def _take_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pictures",
        nargs="+",
        type=_named,
        metavar="PICTURE",
        help="a file, a folder of pictures, an http or https address, or - for stdin",
    )
    parser.add_argument(
        "--model",
        type=_named,
        help="a folder, or models:/NAME@ALIAS or runs:/ID/model in MLflow (default: models/ here or of the checkout)",
    )
    parser.add_argument(
        "--top", type=_positive, default=5, metavar="N", help="genres to print for each picture (default: 5)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print every genre's probability, and what was read where, as JSON"
    )
    parser.add_argument("--no-text", action="store_true", help="predict by the picture alone, and do not read it")
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
        "--force", type=_reason, metavar="REASON", help="promote whatever the comparison gives; REASON is kept"
    )


def _take_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN_ID", help="a run in MLflow, or models:/NAME@ALIAS")


def _take_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--new", action="store_true", required=True, help="replace the split that dataset.split names")


def _take_catalogue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=_path, metavar="CATALOGUE", help="a table of films")


def _take_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=_path, metavar="FOLDER", help="a folder of pictures")
    parser.add_argument(
        "--labels", type=_path, metavar="FILE", help="a table with a film's id or its picture's name, and its genres"
    )


def _take_encoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=_named, metavar="NAME", help="minilm, mpnet, hf:ORG/NAME or a folder")


def _take_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("remote", metavar="REMOTE", help="s3://BUCKET/PATH, ssh://[ACCOUNT@]HOST/PATH or a folder")
    parser.add_argument("--cache", metavar="DIR", help="a folder on this host for all who work on it")


def _for_teammates(shared: "Shared") -> str:
    remote = shared.remote.replace("://", "://YOU@") if shared.account else shared.remote
    once = [f"make team REMOTE={remote}" + (f" CACHE={shared.cache}" if shared.cache else "")]
    lines = [
        "Teammates type once, after `git pull`:",
        *(f"    {line}" for line in once if shared.cache or shared.account),
        "    dvc pull --allow-missing                    # the posters, the model and the reports",
        "and from then on:",
        "    postergenre repro --pull --allow-missing    # runs only what nobody has run",
        "    postergenre push                            # what you ran, for the others",
    ]
    return "\n".join(lines)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 upwards")
    return int(text)


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; it should say why")
    return text.strip()


def _named(text: str) -> str:
    if not text:  # in a script, a variable is unset
        raise argparse.ArgumentTypeError("it is empty; it should name something")
    return text


def _path(text: str) -> Path:
    return Path(_named(text))


def _in_project(path: Path) -> Path:
    """The path relative to the project, if it is there."""
    here, absolute = Path.cwd(), path.absolute()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


def _preview(file: Path, values: dict[str, Any], split: Path | None = None) -> "Preview":
    """A catalogue's preview.

    values: of keys of params.yaml, in the place of those there.
    split: its table, which may be missing.
    """
    from postergenre import params, params_edit
    from postergenre.data import splits
    from sample import site
    from scraper import plan, preview

    own = {name.removeprefix("scrape."): value for name, value in values.items() if name.startswith("scrape.")}
    params_edit.check_names(params.FILE, map(str, params.read()))
    section = params.load("scrape", plan.ScrapeParams)
    section = params.parse("scrape", plan.ScrapeParams, section.model_dump() | own)
    min_posters = params.load("dataset", splits.DatasetParams).min_posters
    films = splits.read_given(split) if split and split.exists() else {}
    return preview.read(file, section, min_posters, site.own_host(file), films)


def _tell_reading(posters: int) -> str:
    """What it takes to read what stands on these posters, or how to have it read."""
    from postergenre import machine
    from postergenre.reading import engine
    from scraper import preview_report

    if not engine.is_installed():
        return (
            f"what stands on the posters is not read: rapidocr is not installed; {engine.HOW_TO_INSTALL}, and this "
            "command again has them read"
        )
    cores = machine.processors()
    seconds = preview_report.tell_seconds(posters * engine.SECONDS / cores)
    return (
        f"the stage `read` reads {posters:,} posters, each once, in about {seconds} "
        f"({engine.SECONDS:g} s a poster and core; cores: {cores})"
    )


def _configure_mlflow() -> None:
    from postergenre.networks import backend
    from postergenre.tracking import mlflow_settings

    mlflow_settings.configure(mlflow_settings.COMMAND_TIMEOUT)
    backend.start()  # MLflow may load a Keras model


def _load(model: str | None, with_text: bool) -> "Predictor":
    from postergenre.prediction import predictor

    if model and model.startswith(("models:/", "runs:/")):
        _configure_mlflow()
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


if __name__ == "__main__":
    main()
