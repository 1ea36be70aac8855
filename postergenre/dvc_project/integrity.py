"""Whether what DVC keeps is what it was: each object in its cache, and each poster in the shards, against its hash.

DVC takes an object that is write-protected for sound without reading it: a byte that a disk has changed is checked out,
pushed and trained on, and `dvc status` says that all is up to date. So this reads everything.
"""

import hashlib
import json
import os
import shlex
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dvc.exceptions import DvcException
from dvc.repo import Repo
from tqdm import tqdm

from postergenre.data import manifest
from postergenre.dvc_project import username
from postergenre.errors import InputError

CHUNK = 1 << 20
LISTING = ".dir"  # ends the name of an object that lists a folder's files
NAMED = 5  # posters that a shard lacks are named up to so many

# What stands at a path of the workspace: the object's bytes; damage, such as the cache's own wrong bytes or a link to
# what is gone; others, which may be somebody's work; nothing; or nobody looked, for the object is sound.
Copy = Literal["sound", "spoilt", "other", "none", "unread"]


@dataclass(frozen=True)
class Use:
    """A path in the workspace that an object belongs to. kept: DVC caches it; else the run cache alone may have it."""

    path: Path
    stage: str
    kept: bool


@dataclass
class Object:
    """A file in DVC's cache and what it should hold.

    found: the MD5 of what it does hold, "" if that cannot be read, None if there is no such file. size: in bytes.
    copies: what stands at the path of each use. unlisted: what a listing should list is known from nowhere.
    """

    md5: str
    file: Path
    uses: list[Use] = field(default_factory=list)
    found: str | None = None
    size: int = 0
    copies: list[Copy] = field(default_factory=list)
    unlisted: bool = False

    @property
    def listing(self) -> bool:
        return self.md5.endswith(LISTING)

    @property
    def corrupt(self) -> bool:
        return self.found is not None and self.found != self.md5.removesuffix(LISTING)

    @property
    def lost(self) -> bool:
        """It is gone, and the workspace has it or a link to it: nobody left it out, and its stage would run again."""
        return self.found is None and not {"sound", "spoilt"}.isdisjoint(self.copies)

    @property
    def wrong(self) -> bool:
        return self.corrupt or self.lost

    def paths(self, copy: Copy) -> list[Path]:
        return [use.path for use, found in zip(self.uses, self.copies, strict=True) if found == copy]


@dataclass
class Posters:
    """What the shards hold. faults: (file, sentence) for each poster or shard that is not as it should be.

    absent: shards of the manifest that are not in the workspace.
    """

    count: int = 0
    bytes: int = 0
    faults: list[tuple[Path, str]] = field(default_factory=list)
    absent: list[Path] = field(default_factory=list)


@dataclass
class Report:
    """All that was found. commands: what brings back what is corrupt or lost, in this order; empty if all is well.

    rest: the command that brings what is not here.
    """

    objects: list[Object]
    posters: Posters
    commands: list[str]
    rest: str

    @property
    def sound(self) -> bool:
        return not self.posters.faults and not any(one.wrong for one in self.objects)

    def __str__(self) -> str:
        """One line if all is well, and one for each thing that is not here; else what is wrong, and the commands."""
        lines = [*self._wrong(), *self._absent(), self._counts()]
        if self.commands:
            lines += ["To get it back:", *(f"    {command}" for command in [*self.commands, "postergenre verify"])]
        if any(command.startswith("dvc fetch") for command in self.commands):
            lines.append("What the remote lacks or has corrupt, `dvc repro` makes anew.")
        return "\n".join(lines)

    def _wrong(self) -> Iterator[str]:
        for one in self.objects:
            if one.wrong:
                more = "; the files that it lists were not checked" if one.unlisted else ""
                for use in one.uses:
                    yield f"{'corrupt' if one.corrupt else 'lost'}  {_about(use, one)}{more}"
        for file, sentence in self.posters.faults:
            yield f"corrupt  {_name(file)}: {sentence}"

    def _absent(self) -> Iterator[str]:
        gone = [(use, one) for one in self.objects if one.found is None for use in one.uses]
        shards = {*self.posters.absent} - {use.path for use, _ in gone}
        lines = [f"not here  {_about(use, one)}" for use, one in gone if not one.lost]
        lines += [f"not here  {_name(file)}" for file in sorted(shards)]
        yield from lines
        if lines:
            normal = "What is not here was not checked: normal where only parts were pulled"
            yield f"{normal}; `{self.rest}` brings the rest."

    def _counts(self) -> str:
        read = [one for one in self.objects if one.found is not None]
        counts = (
            f"{len(read):,} objects in DVC's cache ({sum(one.size for one in read):,} bytes) "
            f"and {self.posters.count:,} posters ({self.posters.bytes:,} bytes)"
        )
        if self.sound:
            return f"{counts} are what their hashes say"
        corrupt, lost = sum(one.corrupt for one in self.objects), sum(one.lost for one in self.objects)
        faults = len(self.posters.faults)
        return f"{counts} were read: {corrupt:,} objects corrupt, {lost:,} lost, {faults:,} faults in the shards"


def verify(posters: Path) -> Report:
    """Read every object that the dvc.lock of the project around here uses, and every poster below it.

    posters: the folder of the manifest and its shards, relative to the project's root.

    Raises:
        InputError: there is no project here, DVC cannot read it, or nobody lets us read a file.
    """
    username.check()
    try:
        with Repo() as repo:
            objects = list(_used(repo).values())
            _read(objects)
            remote = _remote(repo)
            found = _posters(Path(repo.root_dir, posters))
    except DvcException as error:
        raise InputError(f"DVC cannot read this project: {str(error).splitlines()[0]}") from None
    except PermissionError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}; whoever owns it can allow it") from None
    rest = "dvc repro" if remote is None else "dvc pull"
    return Report(objects, found, _commands(objects, _guilty(objects, found), remote), rest)


def sound(file: Path, md5: str) -> bool:
    """Whether a file in DVC's cache can be read and holds what its object's MD5 says."""
    try:
        return _md5(file) == md5.removesuffix(LISTING)
    except OSError:
        return False


def _used(repo: Any) -> dict[Path, Object]:
    """The objects that dvc.lock and .dvc files name, by their file in the cache."""
    objects: dict[Path, Object] = {}

    def use(out: Any, md5: str, path: Path) -> Object:
        file = Path(out.cache.oid_to_path(md5))
        one = objects.setdefault(file, Object(md5, file))
        one.uses.append(Use(path, out.stage.addressing, out.use_cache))
        return one

    for out in repo.index.outs:
        if not out.hash_info or out.protocol != "local":
            continue
        if out.hash_name != "md5":
            raise InputError(
                f"{out} has the hash of a DVC before 3; `dvc cache migrate --dvc-files` brings it up to date"
            )
        if not out.use_cache and not Path(out.cache.oid_to_path(out.hash_info.value)).exists():
            continue  # git keeps it, and the run cache has no copy
        one = use(out, out.hash_info.value, Path(out.fs_path))
        if one.listing:
            files = _files(one, Path(out.fs_path))
            one.unlisted = not files
            for name, md5 in files:
                use(out, md5, Path(out.fs_path, name))
    return objects


def _files(listing: Object, folder: Path) -> list[tuple[str, str]]:
    """(path, MD5) of each file in a folder: as the object lists them, or as the workspace has them if that is the same.

    Empty where neither tells.
    """
    try:
        text = listing.file.read_bytes()
    except FileNotFoundError:
        text = b""
    wanted = listing.md5.removesuffix(LISTING)
    if hashlib.md5(text, usedforsecurity=False).hexdigest() != wanted:
        text = _listed(folder)
        if hashlib.md5(text, usedforsecurity=False).hexdigest() != wanted:
            return []
    return [(entry["relpath"], entry["md5"]) for entry in json.loads(text)]


def _listed(folder: Path) -> bytes:
    """A folder of the workspace as DVC lists it; empty if there is none."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    entries = [{"md5": _md5(file), "relpath": name} for name, file in sorted(files.items())]
    return json.dumps(entries, sort_keys=True).encode() if folder.is_dir() else b""


def _read(objects: Iterable[Object]) -> None:
    """Fill in what each object holds and, where that is wrong, what the workspace has in its place."""
    for one in objects:
        one.size = one.file.stat().st_size if one.file.exists() else 0
    total = sum(one.size for one in objects)
    with tqdm(total=total, unit="B", unit_scale=True, desc="cache", disable=None) as progress:
        for one in objects:
            try:
                one.found = _md5(one.file, progress.update)
            except FileNotFoundError:
                one.found = None
            except PermissionError:
                raise
            except OSError:  # the disk gives it back no more
                one.found = ""
            bad = one.found is None or one.corrupt
            one.copies = [_copy(one, use.path) if bad else "unread" for use in one.uses]


def _copy(one: Object, path: Path) -> Copy:
    if path.is_symlink() and (not path.exists() or (one.corrupt and path.samefile(one.file))):
        return "spoilt"
    if one.listing:
        same = hashlib.md5(_listed(path), usedforsecurity=False).hexdigest() == one.md5.removesuffix(LISTING)
        return "sound" if same else "other" if path.exists() else "none"
    if not path.is_file():
        return "other" if path.exists() else "none"
    if one.corrupt and path.samefile(one.file):
        return "spoilt"
    md5 = _md5(path)
    return "sound" if md5 == one.md5 else "spoilt" if md5 == one.found else "other"


def _md5(file: Path, progress: Callable[[int], object] = int) -> str:
    with file.open("rb") as stream:
        return _digest(stream, "md5", progress)


def _digest(stream: Any, name: str, progress: Callable[[int], object]) -> str:
    digest = hashlib.new(name, usedforsecurity=False)
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        progress(len(chunk))
    return digest.hexdigest()


def _posters(folder: Path) -> Posters:
    """Compare the posters in a folder's shards with its manifest, where there is one."""
    found, file = Posters(), folder / manifest.FILE
    if not file.exists():
        return found
    try:
        table = manifest.read(file)
    except (InputError, ValueError) as error:
        found.faults.append((file, f"it is no manifest ({error})"))
        return found
    table = table[table["status"] == "ok"]
    wanted = {
        str(shard): dict(zip(rows["imdb_id"], zip(rows["sha256"], rows["bytes"], strict=True), strict=True))
        for shard, rows in table.groupby("shard")
    }
    here = {file.name for file in folder.glob("shard-*.tar") if file.exists()}  # a link may lead nowhere
    found.absent = [folder / name for name in sorted({*wanted} - here)]
    total = sum((folder / name).stat().st_size for name in here)
    with tqdm(total=total, unit="B", unit_scale=True, desc="posters", disable=None) as progress:
        for name in sorted(here):
            _check_shard(folder / name, wanted.get(name, {}), found, progress.update)
    return found


def _check_shard(
    shard: Path, wanted: dict[str, tuple[str, int]], found: Posters, progress: Callable[[int], object]
) -> None:
    """Compare the members of a shard with (SHA-256, bytes) by IMDb id."""
    missing = dict(wanted)
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                imdb_id = Path(member.name).stem
                stream = tar.extractfile(member)
                sha256 = _digest(stream, "sha256", progress) if stream else ""
                found.count, found.bytes = found.count + 1, found.bytes + member.size
                missing.pop(imdb_id, None)
                if imdb_id not in wanted:
                    found.faults.append((shard, f"{member.name} is in no row of the manifest"))
                elif (sha256, member.size) != wanted[imdb_id]:
                    found.faults.append((shard, f"{member.name} is not the poster that the manifest describes"))
    except PermissionError:
        raise
    except (tarfile.TarError, OSError) as error:
        found.faults.append((shard, f"it cannot be read to its end ({error})"))
    if missing:
        names = ", ".join([*missing][:NAMED]) + (f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else "")
        found.faults.append((shard, f"it lacks {len(missing):,} of its {len(wanted):,} posters: {names}"))


def _guilty(objects: list[Object], posters: Posters) -> list[str]:
    """Mark the shards and the manifest that became wrong in the workspace as spoilt.

    Where none did, and yet they contradict each other, they were made so: returns the stages that did it.
    """
    faulty = {file for file, _ in posters.faults}
    faulty |= {file.with_name(manifest.FILE) for file in faulty}
    spoilt, makers = False, []
    for one in objects:
        for place, use in enumerate(one.uses):
            if use.path not in faulty or not use.path.exists():
                continue
            makers.append(use.stage)
            if _md5(use.path) != one.md5:
                one.copies[place], spoilt = "spoilt", True
    return [] if spoilt else list(dict.fromkeys(makers))


def _remote(repo: Any) -> str | None:
    """The options that make `dvc fetch` ask a remote; None without one."""
    if repo.config["core"].get("remote"):
        return ""
    others = [*repo.config.get("remote", {})]
    return f" --remote {shlex.quote(others[0])}" if others else None


def _commands(objects: list[Object], guilty: list[str], remote: str | None) -> list[str]:
    """What heals, tried on copies, hard links and symbolic links, with a remote and without.

    What is wrong has to go first: DVC replaces no object that is there, nor a copy in the workspace that it believes to
    be the object's. Then come a sound copy from the workspace, else the remote's, else the stage that makes it anew.
    """
    removed: list[Path] = []
    copied: list[str] = []
    fetched: list[Path] = []
    committed: list[Path] = []
    checked_out: list[Path] = []
    repeated: list[str] = []
    for one in objects:
        spoilt, sound = one.paths("spoilt"), one.paths("sound")
        removed += [one.file] * one.corrupt + spoilt
        if not one.wrong:
            checked_out += spoilt
        elif not any(use.kept for use in one.uses):
            continue  # git has it, and the run cache does without
        elif sound and not one.listing:
            copied.append(_copying(sound[0], one.file))
            checked_out += spoilt
        elif remote is not None:
            fetched.append(one.uses[0].path)
            checked_out += spoilt
        elif sound:
            committed.append(sound[0])
        else:
            repeated += [use.stage for use in one.uses]
    return [
        *_command("rm -f", map(_name, removed)),
        *copied,
        *_command(f"dvc fetch{remote or ''}", map(_name, fetched)),
        *_command("dvc commit", map(_name, committed)),
        *_command("dvc checkout", map(_name, checked_out)),
        *_command("dvc repro", repeated),
        *_command("dvc repro --force --single-item", guilty),
    ]


def _command(verb: str, targets: Iterable[str]) -> list[str]:
    """The command for all targets, each once; none without a target."""
    each = dict.fromkeys(targets)
    return [f"{verb} {shlex.join(each)}"] if each else []


def _copying(path: Path, file: Path) -> str:
    """What puts a file of the workspace into the cache, write-protected as DVC does."""
    source, target = (shlex.quote(_name(one)) for one in (path, file))
    made = "" if file.parent.is_dir() else f"mkdir -p {shlex.quote(_name(file.parent))} && "
    return f"{made}cp {source} {target} && chmod 444 {target}"


def _about(use: Use, one: Object) -> str:
    return f"{_name(use.path)} (stage {use.stage}): {_name(one.file)}"


def _name(path: Path) -> str:
    """A path as one would type it here."""
    return os.path.relpath(path)
