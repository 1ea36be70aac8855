"""From a catalogue to what the spider asks for, and from the crawl's end to the manifest's rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, field_validator

from postergenre.catalogue import Film
from postergenre.downloads import Downloads
from postergenre.errors import InputError
from postergenre.manifest import Row
from postergenre.params import Section
from scraper.items import Outcome, Source

SOURCES: dict[str, tuple[str, ...]] = {"poster": ("poster",), "page": ("page",), "poster-then-page": ("poster", "page")}


class ScrapeParams(Section):
    """`scrape` in params.yaml, where each key is explained."""

    catalogue: str
    source: str
    min_success: Annotated[float, Field(ge=0, le=1)]
    shard_rows: Annotated[int, Field(ge=1)]
    concurrency: Annotated[int, Field(ge=1)]
    delay: Annotated[float, Field(ge=0)]
    timeout: Annotated[float, Field(gt=0)]
    retries: Annotated[int, Field(ge=0)]
    user_agent: Annotated[str, Field(min_length=1)]
    max_bytes: Annotated[int, Field(ge=1)]

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source in SOURCES or (source.startswith(("http://", "https://")) and "{imdb_id}" in source):
            return source
        raise ValueError(f"{source!r} is neither {', '.join(SOURCES)} nor a URL template with {{imdb_id}} in it")


def sources(film: Film, source: str) -> list[Source]:
    """Where `scrape.source` looks for a film's poster, best first; empty where the catalogue gives no link."""
    if not film.imdb_id:
        return []
    if source not in SOURCES:
        return [Source("poster", source.replace("{imdb_id}", film.imdb_id))]
    places = [
        Source("poster", film.poster) if kind == "poster" else Source("page", film.page) for kind in SOURCES[source]
    ]
    return [place for place in places if place.url]


def chosen_rows(films: Sequence[Film], source: str) -> dict[str, Film]:
    """The row that stands for each IMDb id: its first one with a link, else its first."""
    chosen: dict[str, Film] = {}
    for film in films:
        if film.imdb_id and (
            film.imdb_id not in chosen or (sources(film, source) and not sources(chosen[film.imdb_id], source))
        ):
            chosen[film.imdb_id] = film
    return chosen


def wanted(chosen: Mapping[str, Film], source: str, held: Downloads) -> dict[str, list[Source]]:
    """The sources, by IMDb id, of the films that have some and whose poster is not held."""
    asked = {imdb_id: sources(film, source) for imdb_id, film in chosen.items()}
    return {imdb_id: places for imdb_id, places in asked.items() if places and not _held(places, held)}


def rows(
    films: Sequence[Film], chosen: Mapping[str, Film], source: str, held: Downloads, outcomes: Mapping[str, Outcome]
) -> list[Row]:
    """The manifest's row for each of the catalogue's, in its order."""

    def row(film: Film) -> Row:
        def ended(status: str, reason: str = "", url: str = "", http_status: int = 0) -> Row:
            return Row(film.row, film.imdb_id, film.title, "|".join(film.genres), url, status, reason, http_status)

        if film.fault:
            return ended("bad-id", film.fault)
        if chosen[film.imdb_id] is not film:
            return ended("duplicate", f"row {chosen[film.imdb_id].row} has the film")
        places = sources(film, source)
        if not places:
            return ended("no-link", "the catalogue gives no link")
        if url := _held(places, held):
            return ended("ok", url=url)
        outcome = outcomes[film.imdb_id]
        return ended(outcome.status, outcome.reason, outcome.url, outcome.http_status)

    return [row(film) for film in films]


def check_success(rows: Sequence[Row], min_success: float) -> None:
    """Refuse a crawl that brought too few of the posters that the catalogue links to.

    Raises:
        InputError: says how many came and what most often went wrong.
    """
    asked = [row for row in rows if row.status not in ("bad-id", "duplicate", "no-link")]
    if not asked:
        raise InputError(
            f"none of the catalogue's {len(rows):,} rows has an IMDb id and a link that scrape.source could ask"
        )
    missed = Counter(f"{row.status}, {row.reason}" for row in asked if row.status != "ok")
    share = 1 - missed.total() / len(asked)
    if share < min_success:
        (reason, times), *_ = missed.most_common(1)
        raise InputError(
            f"{share:.1%} of {len(asked):,} posters came and scrape.min_success asks {min_success:.1%}; "
            f"most often: {reason} ({times:,} times); what came is kept, `dvc repro` asks for the rest again"
        )


def _held(places: Sequence[Source], held: Downloads) -> str:
    return next((place.url for place in places if place.url in held), "")
