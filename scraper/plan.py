"""From a catalogue to what the spider asks for, and from the crawl's end to the manifest's rows."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from postergenre import files
from postergenre.data import catalogue, manifest
from postergenre.data.catalogue import Film
from postergenre.data.manifest import Row
from postergenre.errors import InputError
from postergenre.params import Section
from scraper.downloads import Downloads
from scraper.items import Source
from scraper.tmdb import Tmdb, TmdbParams

# What `scrape.source` may name beside URL templates, and the sources that stand behind each name.
SOURCES = {"poster": ["poster"], "page": ["page"], "poster-then-page": ["poster", "page"], "tmdb": ["tmdb"]}


class ScrapeParams(Section):
    """`scrape` in params.yaml, where each key is explained."""

    catalogue: str
    source: str | list[str]
    min_success: Annotated[float, Field(ge=0, le=1)]
    retry_failed: bool
    refresh: bool
    shard_rows: Annotated[int, Field(ge=1)]
    processes: Annotated[int, Field(ge=1)]
    concurrency: Annotated[int, Field(ge=1)]
    delay: Annotated[float, Field(ge=0)]
    timeout: Annotated[float, Field(gt=0)]
    retries: Annotated[int, Field(ge=0)]
    user_agent: Annotated[str, Field(min_length=1)]
    contact: str
    allow_private_hosts: bool
    max_bytes: Annotated[int, Field(ge=1)]
    placeholder_films: Annotated[int, Field(ge=1)]
    tmdb: TmdbParams

    @field_validator("source")
    @classmethod
    def _known(cls, source: str | list[str]) -> str | list[str]:
        for one in [source] if isinstance(source, str) else source:
            if one not in SOURCES and not (one.startswith(("http://", "https://")) and "{imdb_id}" in one):
                raise ValueError(f"{one!r} is neither {', '.join(SOURCES)} nor a URL template with {{imdb_id}} in it")
        if not source:
            raise ValueError(f"{source!r} names no source")
        return source

    @field_validator("user_agent", "contact")
    @classmethod
    def _fits_a_header(cls, text: str) -> str:
        if not (text.isascii() and text.isprintable()):
            raise ValueError(f"{text!r} does not fit an HTTP header; it should be one line of ASCII characters")
        return text

    @property
    def sources(self) -> list[str]:
        """Those to try, in their order."""
        named = [self.source] if isinstance(self.source, str) else self.source
        return [source for name in named for source in SOURCES.get(name, [name])]


def sources(film: Film, params: ScrapeParams) -> list[Source]:
    """Where `scrape.source` looks for a film's poster, best first; empty where the catalogue gives no link."""
    if not film.imdb_id:
        return []
    places = [_place(film, source, params) for source in params.sources]
    return [place for place in places if place.url]


def _place(film: Film, source: str, params: ScrapeParams) -> Source:
    if source == "poster":
        return Source("poster", film.poster)
    if source == "page":
        return Source("page", film.page)
    if source == "tmdb":
        return Source("tmdb", Tmdb(params.tmdb).url(film.imdb_id))
    return Source("poster", source.replace("{imdb_id}", film.imdb_id))


@dataclass(frozen=True)
class Plan:
    """What a catalogue asks for. It is read anew for each use: it may have millions of rows.

    repeats: for each row that repeats a film, the row that stands for it: its first one with a link, else its first.
    digest: of the catalogue.
    """

    file: Path
    params: ScrapeParams
    repeats: Mapping[int, int]
    digest: str

    @classmethod
    def of(cls, file: Path, params: ScrapeParams) -> "Plan":
        """Read the catalogue once.

        Raises:
            InputError: it is none.
        """
        # Numbers alone, and no table of them: a million rows would cost 100 MB.
        numbers, linked = array("I"), array("b")
        for film in catalogue.read(file):
            numbers.append(int(film.imdb_id[2:] or 0))
            linked.append(bool(sources(film, params)))
        return cls(file, params, _repeats(np.asarray(numbers), np.asarray(linked)), files.sha256(file))

    def wanted(self, held: Downloads) -> Iterator[list[Source]]:
        """For each film that lacks its poster, the sources that have not said yet that they have none.

        With `refresh`, also the source of a poster that is held.
        """
        for film in catalogue.read(self.file):
            if film.row not in self.repeats and (places := _wanted(sources(film, self.params), self.params, held)):
                yield places

    def check_unchanged(self) -> None:
        """Refuse to write a manifest of two catalogues.

        Raises:
            InputError: the file changed since it was first read.
        """
        if files.sha256(self.file) != self.digest:
            raise InputError(f"{self.file} changed during the crawl; what came is kept, `dvc repro` goes on from there")


def _repeats(films: npt.NDArray[np.unsignedinteger], linked: npt.NDArray[np.signedinteger]) -> dict[int, int]:
    """`Plan.repeats` from each row's IMDb number, 0 for none, and whether it has a link."""
    order = np.lexsort((-linked, films))  # by film, those with a link first, each in the catalogue's order
    ordered = films[order]
    first = np.append(True, ordered[1:] != ordered[:-1])
    standing = order[np.maximum.accumulate(np.where(first, np.arange(len(films)), 0))]
    again = ~first & (ordered > 0)
    return dict(zip((order[again] + 1).tolist(), (standing[again] + 1).tolist(), strict=True))


def _wanted(places: Sequence[Source], params: ScrapeParams, held: Downloads) -> list[Source]:
    if here := [place for place in places if place.url in held]:
        return here[:1] if params.refresh else []
    return [place for place in places if held.missed(place.url) is None]


class Ends:
    """The manifest's row for each of the catalogue's, in its order; whoever asks twice has the catalogue read twice."""

    def __init__(self, plan: Plan, held: Downloads):
        self._plan, self._held = plan, held
        self._shared = Counter(row.sha256 for row in self._rows() if row.status == "ok")

    def __iter__(self) -> Iterator[Row]:
        """A picture that more than `placeholder_films` films share is nobody's poster: the host has it for those."""
        for row in self._rows():
            films = self._shared[row.sha256]
            if row.status == "ok" and films > self._plan.params.placeholder_films:
                yield replace(row, status="not-a-poster", reason=f"{films} films have this picture")
            else:
                yield row

    def _rows(self) -> Iterator[Row]:
        return (self._row(film) for film in catalogue.read(self._plan.file))

    def _row(self, film: Film) -> Row:
        row = Row(film.row, film.imdb_id, film.title, "|".join(film.genres))
        if film.fault:
            return replace(row, status="bad-id", reason=film.fault)
        if film.row in self._plan.repeats:
            return replace(row, status="duplicate", reason=f"row {self._plan.repeats[film.row]} has the film")
        places = sources(film, self._plan.params)
        if not places:
            return replace(row, status="no-link", reason="the catalogue gives no link")
        for place in places:
            if found := self._held.about(place.url):
                return replace(row, status="ok", asked=place.url, **found)
        # Of several sources the last one's word: the others were asked before it.
        row = replace(row, asked=places[-1].url)
        if miss := self._held.missed(row.asked):
            return replace(row, **asdict(miss))
        return replace(row, status="failed", reason="not asked yet")


def check(summary: manifest.Summary, min_success: float, blocked: Mapping[str, str]) -> None:
    """Refuse a crawl that a host cut short, or that brought too few of the posters that the catalogue links to.

    Raises:
        InputError: says what went wrong, and what to do.
    """
    if not summary.asked:
        raise InputError(
            f"none of the catalogue's {summary.status.total():,} rows has an IMDb id and a link that scrape.source "
            "could ask"
        )
    for host, reason in blocked.items():
        raise InputError(
            f"{host} blocked us ({reason}), {summary.refused[host]:,} of its posters did not come; what came is kept: "
            "`dvc repro` goes on without them, `-S scrape.retry_failed=true` asks for them again, better on another day"
        )
    if summary.success < min_success:
        (reason, times), *_ = summary.missed.most_common(1)
        raise InputError(
            f"{summary.success:.1%} of {summary.asked:,} posters came and scrape.min_success asks {min_success:.1%}; "
            f"most often: {reason} ({times:,} times); what came is kept, "
            "`dvc exp run -S scrape.retry_failed=true` asks for the rest again"
        )
