"""Commands for catalogues, before anything is fetched."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postergenre.commands.arguments import Add, path
from postergenre.errors import InputError

if TYPE_CHECKING:
    from scraper.preview import Preview


def add_commands(add: Add) -> None:
    """Add these commands to the parser."""
    _take_catalogue(add(catalogue, "say what a catalogue holds, before anything is fetched"))
    _take_folder(add(import_, "make a catalogue of a folder of pictures"))
    _take_catalogue(add(use, "set params.yaml to a catalogue"))


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


def _take_catalogue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=path, metavar="CATALOGUE", help="a table of films")


def _take_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=path, metavar="FOLDER", help="a folder of pictures")
    parser.add_argument(
        "--labels", type=path, metavar="FILE", help="a table with a film's id or its picture's name, and its genres"
    )


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
