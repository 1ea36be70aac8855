"""Writes `data/text/`: reads each poster once, with all cores, or takes what was read before."""

import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from tqdm import tqdm

from postergenre import errors, machine
from postergenre.data import tar_shards, texts
from postergenre.data.tar_shards import Member
from postergenre.data.texts import PosterText
from postergenre.errors import InputError
from postergenre.reading import engine, workers
from postergenre.reading.cache import Cache, open_cache

# Bytes that a process needs for a large poster.
MEMORY = 600e6


def write(posters: Path, digests: Mapping[str, str], folder: Path, name: engine.Name, downloads: Path) -> str:
    """Read the posters in the tar shards of `posters` into a folder; returns what was read, in a sentence.

    digests: by film the SHA-256 of its poster, in the order of the film ids.
    downloads: the folder with what was read before.

    Raises:
        InputError: the engine is not installed or does not start, or the tar shards lack a poster.
    """
    described = engine.describe(name)
    if name == texts.NONE:
        texts.write(folder, described, (), digests)
        return "no poster is read, because read.engine is none"
    with open_cache(downloads, described) as known:
        failures = read_new(_find(posters, digests), known, partial(engine.load, name))
        made = (_text(film_id, digest, known, failures) for film_id, digest in digests.items())
        empty = texts.write(folder, described, made, digests)
    failed = sum(digest in failures for digest in digests.values())
    return f"{len(digests):,} posters, {empty - failed:,} of them without text; {failed:,} could not be read"


def read_new(members: Mapping[str, Member], known: Cache, load: Callable[[], workers.Read]) -> dict[str, str]:
    """Read the posters that are not known, with all cores, and keep the lines of each as soon as they are there.

    members: posters by their SHA-256.
    load: as in `workers.read`.

    Returns: why posters were not read, by their SHA-256. Each is told on stderr, too.

    Raises:
        InputError: a process could not be started.
    """
    new = {member: digest for digest, member in members.items() if digest not in known}
    failures: dict[str, str] = {}
    bar = tqdm(total=len(members), initial=len(members) - len(new), unit=" posters", desc="read", disable=None)
    with bar as progress, closing(workers.read(new, load, _count())) as results:
        for member, result in results:
            progress.update()
            if isinstance(result, str):
                failures[new[member]] = result
                line = f"warning: the poster of {member.film_id} has no text: {errors.printable_line(result)}"
                progress.write(line, file=sys.stderr)
            else:
                known.put(new[member], result)
    return failures


def _count() -> int:
    """The processes that the machine has cores and memory for."""
    return max(1, min(machine.processors(), int(machine.free_memory() / MEMORY)))


def _find(posters: Path, digests: Mapping[str, str]) -> dict[str, Member]:
    """Where the posters lie, by their SHA-256: one place for films with the same poster."""
    tars = sorted(posters.glob("shard-*.tar"))
    members = {member.film_id: member for tar in tars for member in tar_shards.members(tar)}
    if missing := next((film_id for film_id in digests if film_id not in members), None):
        raise InputError(f"{posters} lacks the poster of {missing}, which its manifest names; run `dvc repro scrape`")
    return {digest: members[film_id] for film_id, digest in digests.items()}


def _text(film_id: str, digest: str, known: Cache, failures: Mapping[str, str]) -> PosterText:
    if digest in failures:
        return PosterText(film_id, error=failures[digest])
    lines = known.get(digest)
    assert lines is not None
    return PosterText(film_id, lines)
