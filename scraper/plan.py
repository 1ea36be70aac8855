"""From a catalogue to the films that the spider asks for, and from the downloads to the manifest's rows."""

import hashlib
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from postergenre import files
from postergenre.data import film_ids
from postergenre.data.catalogue import Catalogue, Film
from postergenre.data.catalogue_formats import Columns
from postergenre.data.manifest import Row
from postergenre.errors import InputError
from postergenre.params import Section
from scraper import folder
from scraper.downloads import Downloads
from scraper.folder import Folder
from scraper.private_hosts import PrivateHosts
from scraper.sizes import Sizes, Width
from scraper.tasks import Kind, Source
from scraper.tmdb import Tmdb, TmdbParams

# What `scrape.source` may name beside templates, and how these begin.
SOURCES = ("poster", "page", "tmdb")
TEMPLATES = ("http://", "https://", folder.PREFIX)
# Pixels in width that may be asked for.
WIDTHS = range(16, 4097)


class ScrapeParams(Section):
    """`scrape` in params.yaml, which explains each key."""

    catalogue: str
    columns: Columns | None
    genre_names: dict[str, Annotated[str, Field(pattern=r"^[^|\s]([^|\n]*[^|\s])?$")]]
    source: str | list[str]
    poster_width: Width
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
    private_hosts: list[str]
    max_bytes: Annotated[int, Field(ge=1)]
    placeholder_films: Annotated[int, Field(ge=1)]
    tmdb: TmdbParams

    @model_validator(mode="before")
    @classmethod
    def _is_up_to_date(cls, section: Any) -> Any:
        if isinstance(section, dict) and "allow_private_hosts" in section:
            raise ValueError(
                "allow_private_hosts is gone; private_hosts takes its place: a list of the hosts of your own that may "
                "be asked, such as ['localhost:8000'], or [] for none"
            )
        return section

    @field_validator("private_hosts")
    @classmethod
    def _are_hosts(cls, entries: list[str]) -> list[str]:
        PrivateHosts.parse(entries)
        return entries

    @field_validator("source")
    @classmethod
    def _is_known(cls, source: str | list[str]) -> str | list[str]:
        for name in [source] if isinstance(source, str) else source:
            if name.startswith(TEMPLATES):
                folder.check_template(name)
            elif name not in SOURCES:
                raise ValueError(
                    f"{name!r} is neither {', '.join(SOURCES)} nor a template such as "
                    f"https://example.org/{{id}}.jpg or {folder.PREFIX}PATH/{{id}}.jpg"
                )
        if not source:
            raise ValueError(f"{source!r} names no source")
        return source

    @field_validator("poster_width", mode="before")
    @classmethod
    def _is_a_width(cls, width: Any) -> Any:
        if width not in (None, "original") and (type(width) is not int or width not in WIDTHS):
            raise ValueError(f"should be pixels from {WIDTHS[0]} to {WIDTHS[-1]}, `original` or null")
        return width

    @field_validator("tmdb", mode="before")
    @classmethod
    def _has_no_size(cls, tmdb: Any) -> Any:
        if isinstance(tmdb, dict) and "poster_size" in tmdb:
            raise ValueError("poster_size is now scrape.poster_width, in pixels; remove it here and set that")
        return tmdb

    @model_validator(mode="after")
    def _tmdb_has_a_width(self) -> Self:
        if "tmdb" in self.sources and self.poster_width is None:
            raise ValueError("source has tmdb, so poster_width should be pixels or `original`")
        return self

    @field_validator("user_agent", "contact")
    @classmethod
    def _fits_a_header(cls, text: str) -> str:
        if not (text.isascii() and text.isprintable()):
            raise ValueError(f"{text!r} does not fit an HTTP header; it should be one line of ASCII characters")
        return text

    @property
    def sources(self) -> list[str]:
        """The sources to try, in their order."""
        return [self.source] if isinstance(self.source, str) else self.source

    @property
    def sizes(self) -> Sizes:
        """How wide posters should be."""
        return Sizes(self.poster_width, self.tmdb.images, PrivateHosts.parse(self.private_hosts))

    @cached_property
    def folders(self) -> list[Folder]:
        """The folders among the sources. Each lists its files once."""
        return [Folder(name, self.max_bytes) for name in self.sources if name.startswith(folder.PREFIX)]


def sources(film: Film, params: ScrapeParams) -> list[Source]:
    """Where to look for a film's poster, best source first; empty where the catalogue gives no link."""
    if film.problem:
        return []
    candidates = [_source(film, name, params) for name in params.sources]
    return [source for source in candidates if source.url]


def _source(film: Film, name: str, params: ScrapeParams) -> Source:
    if name == "poster":
        return Source("poster", *params.sizes.links(_poster_link(film, params)))
    if name == "page":
        return Source("page", params.sizes.page_key(film.page))
    if name == "tmdb":
        return Source("tmdb", Tmdb(params.tmdb, params.sizes).url(film.film_id, film.tmdb_id))
    kind: Kind = "folder" if name.startswith(folder.PREFIX) else "poster"
    return Source(kind, folder.fill(name, film.film_id))


def _poster_link(film: Film, params: ScrapeParams) -> str:
    """The row's poster link. TMDB's tables have paths at its image host."""
    is_path = film.poster.startswith("/") and not film.poster.startswith("//")
    return Tmdb(params.tmdb, params.sizes).picture(film.poster) if is_path else film.poster


@dataclass(frozen=True)
class Plan:
    """What a catalogue asks for. Each use reads the catalogue again: it may have more rows than memory can hold.

    catalogue: the catalogue.
    params: `scrape` in params.yaml.
    repeats: for each row that repeats a film, the row that stands for it: the film's first row with a link, else its
        first row.
    merged: the genres of the films whose rows differ in them, put together, by the row that stands for the film.
    retitled: the rows that repeat a film and have another title than it.
    digest: SHA-256 of the catalogue.
    """

    catalogue: Catalogue
    params: ScrapeParams
    repeats: Mapping[int, int]
    merged: Mapping[int, tuple[str, ...]]
    retitled: Collection[int]
    digest: str

    @classmethod
    def read(cls, file: Path, params: ScrapeParams) -> "Plan":
        """Read the catalogue once.

        Raises:
            InputError: the file is no catalogue, or a folder of `scrape.source` is missing.
        """
        for place in params.folders:
            place.check()
        films = Catalogue(file, params.columns, params.genre_names)
        # Arrays of numbers, not a table: a table of a million rows takes 100 MB.
        keys, linked, labels, titles = array("Q"), array("b"), array("I"), array("I")
        label_sets: dict[tuple[str, ...], int] = {}
        for film in films:
            keys.append(0 if film.problem else _key(film.film_id))
            linked.append(bool(sources(film, params)))
            labels.append(label_sets.setdefault(film.genres, len(label_sets)))
            titles.append(zlib.crc32(film.title.casefold().encode()))  # 0 for none
        repeats = _repeats(np.asarray(keys), np.asarray(linked))
        merged = _merge(repeats, labels, list(label_sets))
        return cls(films, params, repeats, merged, _retitled(repeats, titles), files.sha256(*films.files))

    def wanted(self, downloads: Downloads) -> Iterator[list[Source]]:
        """For each film without a poster, its sources on the network that have not been asked in vain.

        With `refresh`, also the source of each stored poster. Files in folders are read on the way, each time, so that
        changed ones are noticed.
        """
        folders = self.params.folders
        for film in self.catalogue:
            if not film.problem and film.row not in self.repeats:
                for place in folders:
                    place.store(film.film_id, downloads)
                to_ask = self._to_ask(sources(film, self.params), downloads)
                if to_ask:
                    yield to_ask

    def _to_ask(self, candidates: Sequence[Source], downloads: Downloads) -> list[Source]:
        # A poster from a folder leaves only the sources before it to ask.
        until = takewhile(lambda source: source.kind != "folder" or source.url not in downloads, candidates)
        candidates = [source for source in until if source.kind != "folder"]
        stored = [source for source in candidates if source.url in downloads]
        if stored:
            return stored[:1] if self.params.refresh else []
        return [source for source in candidates if downloads.get_miss(source.url) is None]

    def check_unchanged(self) -> None:
        """Check that the manifest describes one catalogue.

        Raises:
            InputError: the file changed since it was first read.
        """
        if files.sha256(*self.catalogue.files) != self.digest:
            raise InputError(
                f"{self.catalogue.file} changed during the crawl; what came is kept, `dvc repro` goes on from there"
            )


def _key(film_id: str) -> int:
    """A number for a film, from 1 to 2^64 - 1, as 8 bytes take less memory than a text.

    Ids of IMDb and TMDB have keys of their own. That two of a million other ids share a key has a chance of 1 in 10^7.
    """
    if number := film_ids.number(film_id):
        return number << 1 | film_id.startswith("tmdb")
    return int.from_bytes(hashlib.blake2b(film_id.encode(), digest_size=8).digest(), "big") | 1 << 63


def _repeats(films: npt.NDArray[np.unsignedinteger], linked: npt.NDArray[np.signedinteger]) -> dict[int, int]:
    """`Plan.repeats`.

    films: the key of each row's film, 0 for none.
    linked: whether the row has a link.
    """
    order = np.lexsort((-linked, films))  # by film; in a film the rows with a link first, each in the catalogue's order
    ordered = films[order]
    is_first = np.append(True, ordered[1:] != ordered[:-1])
    first = order[np.maximum.accumulate(np.where(is_first, np.arange(len(films)), 0))]
    is_repeat = ~is_first & (ordered > 0)
    return dict(zip((order[is_repeat] + 1).tolist(), (first[is_repeat] + 1).tolist(), strict=True))


def _merge(
    repeats: Mapping[int, int], labels: Sequence[int], label_sets: Sequence[tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """`Plan.merged`.

    labels: the position of each row's genres in `label_sets`.
    """
    merged: dict[int, set[str]] = {}
    for row, first in repeats.items():
        if labels[row - 1] != labels[first - 1]:
            merged.setdefault(first, set(label_sets[labels[first - 1]])).update(label_sets[labels[row - 1]])
    return {row: tuple(sorted(genres)) for row, genres in merged.items()}


def _retitled(repeats: Mapping[int, int], titles: Sequence[int]) -> set[int]:
    """`Plan.retitled`.

    titles: the hash of each row's title, 0 for none.
    """
    first_titles: dict[int, int] = {}
    rows = set()
    for row, first in repeats.items():
        title = first_titles.get(first) or titles[first - 1] or titles[row - 1]
        first_titles[first] = title
        if titles[row - 1] not in (0, title):
            rows.add(row)
    return rows


class ManifestRows:
    """The manifest's rows in the catalogue's order. Each iteration reads the catalogue again."""

    def __init__(self, plan: Plan, downloads: Downloads):
        self._plan, self._downloads = plan, downloads
        self._films_per_picture = Counter(row.sha256 for row in self._rows() if row.status == "ok")

    def __iter__(self) -> Iterator[Row]:
        """A picture that more than `placeholder_films` films share is what the host shows where it has no poster."""
        for row in self._rows():
            films = self._films_per_picture[row.sha256]
            if row.status == "ok" and films > self._plan.params.placeholder_films:
                yield replace(row, status="not-a-poster", reason=f"{films} films have this picture")
            else:
                yield row

    def _rows(self) -> Iterator[Row]:
        return (self._row(film) for film in self._plan.catalogue)

    def _row(self, film: Film) -> Row:
        row = Row(film.row, film.film_id, film.title, "|".join(self._plan.merged.get(film.row, film.genres)))
        if film.problem:
            return replace(row, status=film.problem, reason=film.reason)
        if film.row in self._plan.repeats:
            title = ", by another title" if film.row in self._plan.retitled else ""
            reason = f"row {self._plan.repeats[film.row]} has the film{title}"
            return replace(row, status="duplicate", reason=reason)
        candidates = sources(film, self._plan.params)
        if not candidates:
            return replace(row, status="no-link", reason="the catalogue gives no link")
        for source in candidates:
            if fields := self._downloads.get_manifest_fields(source.url):
                return replace(row, status="ok", asked=source.url, **fields)
        # Of several sources the last one's reason counts: the others were asked before it.
        row = replace(row, asked=candidates[-1].url)
        if miss := self._downloads.get_miss(row.asked):
            return replace(row, **asdict(miss))
        return replace(row, status="failed", reason="not asked yet")
