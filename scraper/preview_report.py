"""Tells in a terminal what a catalogue holds."""

from collections.abc import Iterator, Sequence

from scraper.hosts import LOOPBACK
from scraper.preview import POSSIBLE, Origin, Preview

# So many hosts, reasons of bad rows and rare genres are listed.
LISTED = 12
LABEL = 11
# Genres side by side.
CELLS = 4


def describe(preview: Preview) -> str:
    """A few lines for each subject, aligned."""
    catalogue = preview.plan.catalogue
    subjects = {
        "format": [
            f"{catalogue.format.name}: {catalogue.table.kind}, {preview.encoding}",
            f"by its columns {', '.join(catalogue.format.marks)}",
        ],
        "rows": [f"{preview.rows:,}"],
        "films": list(_films(preview)),
        "genres": list(_genres(preview)),
        "posters": list(_origins(preview)),
        "set aside": _rows(dict(preview.set_aside.most_common())) or ["no row"],
        "bad rows": list(_bad(preview)),
    }
    lines = [str(catalogue.file)]
    for subject, texts in subjects.items():
        labels = [subject, *[""] * len(texts)]
        lines += [f"  {label:{LABEL}}{text}".rstrip() for label, text in zip(labels, texts, strict=False)]
    return "\n".join(lines)


def tell_seconds(seconds: float) -> str:
    """A time as `2 h 5 min`, `3 min 20 s` or `8 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def _films(preview: Preview) -> Iterator[str]:
    possible = preview.count(*POSSIBLE)
    yield (
        f"{preview.films:,}, {possible:,} of them with a poster to look for, "
        f"{possible - preview.unlabelled:,} of these with a genre"
    )
    if preview.plan.merged:
        yield f"{len(preview.plan.merged):,} of them have rows with different genres, which are put together"
    if rows := preview.plan.retitled:
        yield f"rows with another title than their film, perhaps other films: {len(rows):,}; first in row {min(rows):,}"


def _genres(preview: Preview) -> Iterator[str]:
    """Films by genre: those whose poster can come, or all where none can."""
    counts = (preview.genres if preview.count(*POSSIBLE) else preview.all_genres).most_common()
    enough = [(genre, n) for genre, n in counts if n >= preview.min_posters]
    rare = counts[len(enough) :]
    yield f"{len(counts):,}, {len(enough):,} with {preview.min_posters} films or more (dataset.min_posters)"
    width, digits = (
        max(map(len, texts), default=0) for texts in ([g for g, _ in enough], [f"{n:,}" for _, n in enough])
    )
    cells = [f"{genre:<{width}} {n:>{digits},}" for genre, n in enough]
    yield from ("   ".join(cells[start : start + CELLS]) for start in range(0, len(cells), CELLS))
    if rare:
        named = ", ".join(f"{genre} {n:,}" for genre, n in rare[:LISTED])
        yield f"too rare: {named}" + (f" and {len(rare) - LISTED:,} more" if len(rare) > LISTED else "")


def _origins(preview: Preview) -> Iterator[str]:
    """Where posters are looked for, and for how long at least. Hosts are asked side by side."""
    hosts = [(origin, n) for origin, n in preview.origins.most_common() if origin.place in ("asked", "unlisted")]
    if hosts:
        seconds, params = max(_seconds(preview, origin, n) for origin, n in hosts), preview.plan.params
        time = f"{tell_seconds(seconds)} or more" if seconds else "as fast as they answer"
        yield (
            f"from {len(hosts):,} host{'s' * (len(hosts) > 1)}, {time}: scrape.delay is {params.delay:g} s, "
            f"scrape.concurrency {params.concurrency}"
        )
    rows = [(f"{n:,}", *_tell(preview, origin, n)) for origin, n in preview.origins.most_common()]
    yield from _table(rows[:LISTED])
    if len(rows) > LISTED:
        rest = sum(n for _, n in preview.origins.most_common()[LISTED:])
        yield f"and {rest:,} films at {len(rows) - LISTED:,} more"
    if not rows:
        yield "none to look for"


def _seconds(preview: Preview, origin: Origin, films: int) -> float:
    """The least time for a host's films: it is asked once for each."""
    return 0.0 if origin.host in LOOPBACK else films * preview.plan.params.delay


def _tell(preview: Preview, origin: Origin, films: int) -> tuple[str, str]:
    """A place and what becomes of its films."""
    if origin.place in ("broken", "missing", "never"):
        words = {
            "broken": f"the links are no URLs, the first is {preview.first_broken!r}",
            "missing": "the folder has no such file",
            "never": "link-local, or a cloud's metadata service; it is never asked",
        }
        return origin.name or "nowhere", words[origin.place]
    if origin.place == "folder":
        return origin.name, "files that are there"
    time = "without delay, for it is this machine" if origin.host in LOOPBACK else ""
    time = time or tell_seconds(_seconds(preview, origin, films))
    more = {"page": ", then a picture for each page", "tmdb": ", then a picture for each answer"}.get(origin.kind, "")
    is_own = origin.name == preview.own_host
    served = "; the crawl serves it itself" if is_own else ""
    return origin.name, time + more + served + "; private, and not listed" * (origin.place == "unlisted")


def _bad(preview: Preview) -> Iterator[str]:
    if not preview.bad:
        yield "none"
        return
    yield f"{preview.faulty:,}, which count against scrape.min_success; of each kind the first:"
    bad = sorted(preview.bad.values(), key=lambda value: -value[1])
    yield from _rows(dict(bad[:LISTED]))
    if len(bad) > LISTED:
        yield f"and {sum(times for _, times in bad[LISTED:]):,} for {len(bad) - LISTED:,} more reasons"


MEANINGS = {
    "duplicate": "duplicate: a film's further rows",
    "no-link": "no-link: films without a link that scrape.source could ask",
    "no-film": "no-film: series, episodes, games and the like",
}


def _rows(counts: dict[str, int]) -> list[str]:
    return list(_table([(f"{times:,}", MEANINGS.get(text, text)) for text, times in counts.items()]))


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows with a number first and aligned columns."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))] if rows else []
    for number, *texts in rows:
        rest = [f"{text:<{width}}" for text, width in zip(texts, widths[1:], strict=True)]
        yield "  ".join([f"{number:>{widths[0]}}", *rest]).rstrip()
