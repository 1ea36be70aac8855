"""What a catalogue holds and what a crawl of it would ask, before anything is fetched."""

import re
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from postergenre import params_edit
from postergenre.data import catalogue_formats, tables, text_lines
from postergenre.data.catalogue import Catalogue, Film
from postergenre.data.catalogue_formats import MOVIES, Columns
from postergenre.errors import InputError
from scraper import picture_folder, proposed_columns
from scraper.folder import PREFIX, NoFileError, fill
from scraper.plan import Plan, ScrapeParams, sources
from scraper.private_hosts import PrivateHosts, kind_of
from scraper.summary import FAULTY
from scraper.tasks import Source

# Pages that are no source: their sites' terms forbid to read them by a program, and offer an API.
NO_PAGES = ("https://www.imdb.com/", "http://www.imdb.com/", "https://www.themoviedb.org/")
PORTS = {"http": 80, "https": 443}

# asked     It can be asked for its films.
# unlisted  A private host that scrape.private_hosts does not list.
# never     It is never asked.
# broken    The links are no URLs.
# folder    A folder with the films' files.
# missing   The folder has no file for these films.
Place = Literal["asked", "unlisted", "never", "broken", "folder", "missing"]


# Those from which posters can come, if unlisted hosts are listed.
POSSIBLE: tuple[Place, ...] = ("asked", "unlisted", "folder")


class Origin(NamedTuple):
    """Where films' posters are looked for first.

    place: what becomes of the question.
    name: `host` or `host:port`, or the template of a folder.
    host: of a host, its name alone.
    kind: of the source.
    """

    place: Place
    name: str
    host: str
    kind: str


@dataclass(frozen=True)
class Fault:
    """Why a catalogue cannot be used.

    problem: a sentence.
    change: the line of params.yaml to change, "" where none would help.
    is_private: it is about private hosts.
    """

    problem: str
    change: str
    is_private: bool = False

    def __str__(self) -> str:
        return f"{self.problem}; in params.yaml:\n    {self.change}" if self.change else self.problem


@dataclass
class Preview:
    """What a catalogue holds.

    plan: what a crawl makes of it.
    encoding: of its files.
    min_posters: `dataset.min_posters`.
    own_host: the `host:port` that the crawl serves itself, "" for none.
    allowed: the private hosts that the crawl may ask.
    rows, films: their numbers; a film may have several rows.
    bad: rows that are faulty, by their reason; the first one in full.
    set_aside: rows that are not asked for, by status.
    genres: films whose poster can come, by genre.
    all_genres: all films, by genre.
    unlabelled: films whose poster can come, without a genre.
    origins: films by where they are looked for first.
    first_broken: the first link that is no URL.
    pages: films without a link that have one to a page which may be asked.
    in_split: films that are in a split.
    """

    plan: Plan
    encoding: str
    min_posters: int
    own_host: str
    allowed: PrivateHosts
    rows: int = 0
    films: int = 0
    bad: dict[str, tuple[str, int]] = field(default_factory=dict)
    set_aside: Counter[str] = field(default_factory=Counter)
    genres: Counter[str] = field(default_factory=Counter)
    all_genres: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    origins: Counter[Origin] = field(default_factory=Counter)
    first_broken: str = ""
    pages: int = 0
    in_split: int = 0

    @property
    def faulty(self) -> int:
        """Rows whose id or fields are wrong."""
        return sum(times for _, times in self.bad.values())

    def count(self, *places: Place) -> int:
        """The films whose posters are looked for in these places."""
        return sum(times for origin, times in self.origins.items() if origin.place in places)

    @property
    def unlisted(self) -> list[str]:
        """Private hosts among the links that scrape.private_hosts does not list."""
        return [origin.name for origin, _ in self.origins.most_common() if origin.place == "unlisted"]

    @property
    def private_hosts_change(self) -> str:
        """The line of params.yaml that lists them."""
        hosts = [*self.plan.params.private_hosts, *self.unlisted]
        return f"scrape.private_hosts: {params_edit.write(hosts)}"


def read(path: Path, params: ScrapeParams, min_posters: int, own_host: str = "", split: Container[str] = ()) -> Preview:
    """Read a catalogue twice, and count what it holds.

    own_host: the `host:port` that the crawl serves itself, "" for none.
    split: the ids of films that are in a split.

    Raises:
        InputError: the file is none, or cannot be read to its end, or a folder of scrape.source is missing.
    """
    check_columns(path, params)
    check_folders(path, params)
    plan = Plan.read(path, params)
    encodings = [text_lines.describe_encoding(file) for file in plan.catalogue.files]
    allowed = PrivateHosts.parse([*params.private_hosts, *([own_host] if own_host else [])])
    preview = Preview(plan, "; ".join(dict.fromkeys(encodings)), min_posters, own_host, allowed)
    for film in plan.catalogue:
        _count(preview, film)
        preview.in_split += not film.problem and film.row not in plan.repeats and film.film_id in split
    return preview


def check_columns(path: Path, params: ScrapeParams) -> None:
    """Check that the table's format is known.

    Raises:
        InputError: it is not; with the value of scrape.columns that its header suggests.
    """
    table = open_table(path)
    try:
        catalogue_formats.recognise(table, params.columns)
    except InputError as error:
        if "scrape.columns" not in str(error):
            raise
        columns = "null" if params.columns and is_published(table) else proposed_columns.propose(table.columns)
        problem = f"{error}{proposed_columns.tell_several(table.columns)}"
        raise InputError(str(Fault(problem, f"scrape.columns: {columns}"))) from None


def open_table(path: Path) -> tables.Table:
    """The table of a catalogue.

    path: its file, or MovieLens's folder.

    Raises:
        InputError: the file is missing, empty or no table, or it is a folder of other things.
    """
    if path.is_dir() and not (path / MOVIES).is_file():
        raise InputError(f"{path} is a folder; `postergenre import` makes a catalogue of the pictures in a folder")
    return tables.open_table(path / MOVIES if path.is_dir() else path)


def check_folders(path: Path, params: ScrapeParams) -> None:
    """Check that the folders of scrape.source are here.

    Raises:
        InputError: one is not; with the key to change.
    """
    try:
        for place in params.folders:
            place.check()
    except InputError as error:
        raise InputError(str(Fault(str(error), folder_change(path)))) from None


def folder_change(path: Path) -> str:
    """The line for a catalogue whose posters lie in a folder. Made by `postergenre import`, it names the folder."""
    return f"scrape.source: {picture_folder.read_source(path) or f'{PREFIX}PATH/{{id}}.*'}"


def is_published(table: tables.Table) -> bool:
    """Whether a table's header tells its format."""
    try:
        catalogue_formats.recognise(table, None)
    except InputError:
        return False
    return True


def fits(path: Path, columns: Columns) -> bool:
    """Whether a table has these columns."""
    try:
        Catalogue(path, columns)
    except InputError:
        return False
    return True


def faults(preview: Preview) -> list[Fault]:
    """Why a catalogue cannot be used, each with the line of params.yaml to change; empty where it can."""
    return [*_faults_of_links(preview), *_faults_of_genres(preview)]


# Counting


def _count(preview: Preview, film: Film) -> None:
    """Count one row."""
    preview.rows += 1
    if film.problem in FAULTY:
        reason = f"{film.problem}: {re.sub(r'^line [0-9]+: ', '', film.reason)}"
        key = re.sub(r"'.*'|\".*\"|[0-9]+", "", reason)
        first, times = preview.bad.get(key, (f"{film.problem}, {film.reason}", 0))
        preview.bad[key] = first, times + 1
    elif film.problem or film.row in preview.plan.repeats:
        preview.set_aside[film.problem or "duplicate"] += 1
    else:
        preview.films += 1
        _count_film(preview, film)


def _count_film(preview: Preview, film: Film) -> None:
    origin, genres = _origin(preview, film), preview.plan.merged.get(film.row, film.genres)
    preview.all_genres.update(genres)
    if origin is None:
        preview.set_aside["no-link"] += 1
        preview.pages += bool(film.page) and not film.page.startswith(NO_PAGES)
        return
    preview.origins[origin] += 1
    if origin.place not in POSSIBLE:
        return
    preview.genres.update(genres)
    preview.unlabelled += not genres


def _origin(preview: Preview, film: Film) -> Origin | None:
    """Where a film's poster is looked for first; None without a link. A folder without its file is passed over."""
    origin = None
    params = preview.plan.params
    for source in sources(film, params):
        if source.kind != "folder":
            return _host(preview, source)
        place = next(place for place in params.folders if fill(place.template, film.film_id) == source.url)
        try:
            place.find(film.film_id)
        except NoFileError:
            origin = Origin("missing", place.template, "", "folder")
        else:
            return Origin("folder", place.template, "", "folder")
    return origin


def _host(preview: Preview, source: Source) -> Origin:
    """The host that a link leads to."""
    try:
        url = urlsplit(source.url)
        host, port = url.hostname or "", url.port
    except ValueError:
        host, port, url = "", None, urlsplit("")
    if not host or url.scheme not in PORTS:
        preview.first_broken = preview.first_broken or source.url
        return Origin("broken", "", "", source.kind)
    written = f"[{host}]" if ":" in host else host
    name = f"{written}:{port}" if port else written
    kind = kind_of(host)
    if kind == "private" and not preview.allowed.allow(host, port or PORTS[url.scheme]):
        return Origin("unlisted", name, host, source.kind)
    return Origin("never" if kind == "never" else "asked", name, host, source.kind)


# Faults


def _faults_of_links(preview: Preview) -> Iterator[Fault]:
    params, linked = preview.plan.params, preview.origins.total()
    if preview.bad and not preview.films:
        first, _ = max(preview.bad.values(), key=lambda value: value[1])
        yield Fault(f"no row of {preview.plan.catalogue.file} can be used; {first.partition(', ')[2]}", "")
        return
    if not linked:
        change = "scrape.source: page" if preview.pages else folder_change(preview.plan.catalogue.file)
        yield Fault(
            f"none of the {preview.rows:,} rows of {preview.plan.catalogue.file} has an id and a link that "
            f"scrape.source ({', '.join(params.sources)}) could ask; a folder of yours, a page, a URL template or tmdb "
            "may have the posters",
            change if preview.films else "",
        )
        return
    could_come, listed = preview.count("asked", "folder"), preview.count(*POSSIBLE)
    total = linked + preview.faulty
    if could_come / total >= params.min_success and could_come:
        return
    if listed > could_come:
        yield Fault(
            f"{listed - could_come:,} of {linked:,} films have links to hosts of this machine or its network, which "
            "scrape.private_hosts does not list; list them if they are yours",
            preview.private_hosts_change,
            is_private=True,
        )
    if not listed:
        yield _no_source(preview)
    elif listed / total < params.min_success:
        yield Fault(
            f"at most {listed:,} of {total:,} posters can come ({_tell_losses(preview)}), which is less than the "
            f"{params.min_success:.0%} of scrape.min_success; mend the catalogue, or accept that",
            f"scrape.min_success: {floor(listed / total * 100) / 100}",
        )


def _no_source(preview: Preview) -> Fault:
    """The fault of a catalogue of which no poster can come."""
    if preview.count("missing"):
        name = next(origin.name for origin in preview.origins if origin.place == "missing")
        return Fault(
            f"{name} has a file for none of {preview.films:,} films; a file's name should be the film's id, with "
            "the suffix as it stands there (.* takes any)",
            folder_change(preview.plan.catalogue.file),
        )
    files = "; if they name files of yours, `postergenre import FOLDER --labels TABLE` makes a catalogue of them"
    problem = f"no link can be asked: {_tell_losses(preview)}{files if preview.count('broken') else ''}"
    return Fault(problem, "scrape.source: page" if preview.pages else "")


def _tell_losses(preview: Preview) -> str:
    losses = {
        f"{preview.faulty:,} rows are faulty": preview.faulty,
        f"{preview.count('missing'):,} films have no file": preview.count("missing"),
        f"{preview.count('broken'):,} links are no URLs, such as {preview.first_broken!r}": preview.count("broken"),
        f"{preview.count('never'):,} links lead to addresses that are never asked": preview.count("never"),
    }
    return ", ".join(text for text, times in losses.items() if times)


def _faults_of_genres(preview: Preview) -> Iterator[Fault]:
    """A network needs two genres with enough posters each."""
    counts = [times for _, times in preview.genres.most_common(2)]
    if sum(times >= preview.min_posters for times in counts) >= 2 or not preview.count(*POSSIBLE):
        return
    received = ", ".join(f"{genre} has {times:,}" for genre, times in preview.genres.most_common(2)) or "there is none"
    change = f"dataset.min_posters: {counts[1]}" if len(counts) == 2 else ""
    yield Fault(
        f"two genres need {preview.min_posters} posters each (dataset.min_posters): {received}"
        + (", and no other genre is there" if len(counts) == 1 else ""),
        change,
    )
