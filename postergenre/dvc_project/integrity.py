"""`postergenre verify`: compares each object in DVC's cache, and each poster in the shards, with its hash.

DVC trusts a write-protected object without reading it: a byte that a disk has changed is checked out, pushed and
trained on, and `dvc status` reports that all is up to date. So this reads everything.
"""

import os
import shlex
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from postergenre.data import manifest
from postergenre.dvc_project import objects, project
from postergenre.errors import InputError

NAMES_SHOWN = 5  # of the posters that a shard lacks

# What is at a path of the workspace: the object's bytes; damage, such as the cache's own wrong bytes or a broken link;
# other bytes, which may be somebody's work; nothing; or it was not read, since the object is sound.
Copy = Literal["sound", "spoilt", "other", "none", "unread"]


@dataclass(frozen=True)
class Use:
    """A path in the workspace that an object belongs to.

    path: absolute.
    stage: the stage that makes it.
    kept: DVC caches it; else only the run cache may have it.
    pushed: a remote may have it; else its stage makes it again.
    """

    path: Path
    stage: str
    kept: bool
    pushed: bool


@dataclass
class Object:
    """An object: a file in DVC's cache and what it should hold.

    md5: what the file should have; with ".dir" at the end it lists a folder.
    file: in the cache.
    uses: the paths in the workspace.
    actual_md5: what the file has; "" if it cannot be read, None if there is no such file.
    size: bytes.
    copies: what is at the path of each use.
    unlisted: it is a listing, and neither cache nor workspace tells what it should list.
    """

    md5: str
    file: Path
    uses: list[Use] = field(default_factory=list)
    actual_md5: str | None = None
    size: int = 0
    copies: list[Copy] = field(default_factory=list)
    unlisted: bool = False

    @property
    def is_listing(self) -> bool:
        return self.md5.endswith(objects.LISTING)

    @property
    def is_absent(self) -> bool:
        return self.actual_md5 is None

    @property
    def is_corrupt(self) -> bool:
        return self.actual_md5 is not None and self.actual_md5 != self.md5.removesuffix(objects.LISTING)

    @property
    def is_lost(self) -> bool:
        """It is absent though the workspace has it, or a link to it: so it was here, and its stage would run again."""
        return self.is_absent and not {"sound", "spoilt"}.isdisjoint(self.copies)

    @property
    def is_wrong(self) -> bool:
        return self.is_corrupt or self.is_lost

    def paths(self, kind: Copy) -> list[Path]:
        """The paths of the workspace where there is a copy of this kind."""
        return [use.path for use, copy in zip(self.uses, self.copies, strict=True) if copy == kind]


@dataclass
class Posters:
    """What the shards hold.

    count: posters.
    bytes: of all posters.
    faults: (file, sentence) for each poster or shard that is not as it should be.
    absent: shards of the manifest that are not in the workspace.
    """

    count: int = 0
    bytes: int = 0
    faults: list[tuple[Path, str]] = field(default_factory=list)
    absent: list[Path] = field(default_factory=list)


@dataclass
class Report:
    """The result of `verify`.

    objects: all that dvc.lock and .dvc files name.
    posters: what the shards hold.
    commands: what repairs everything, in this order; empty if all is well.
    fetch_command: what brings the objects that are not here.
    """

    objects: list[Object]
    posters: Posters
    commands: list[str]
    fetch_command: str

    @property
    def is_sound(self) -> bool:
        return not self.posters.faults and not any(entry.is_wrong for entry in self.objects)

    def __str__(self) -> str:
        """One line if all is well, and one for each thing that is not here; else what is wrong, and the commands."""
        lines = [*self._wrong(), *self._absent(), self._counts()]
        if self.commands:
            lines += ["To get it back:", *(f"    {command}" for command in [*self.commands, "postergenre verify"])]
        if any(command.startswith("dvc fetch") for command in self.commands):
            lines.append("What the remote lacks or has corrupt, `dvc repro` makes anew.")
        return "\n".join(lines)

    def _wrong(self) -> Iterator[str]:
        for entry in self.objects:
            if entry.is_wrong:
                more = "; the files that it lists were not checked" if entry.unlisted else ""
                for use in entry.uses:
                    yield f"{'corrupt' if entry.is_corrupt else 'lost'}  {_describe(use, entry)}{more}"
        for file, sentence in self.posters.faults:
            yield f"corrupt  {_relative(file)}: {sentence}"

    def _absent(self) -> Iterator[str]:
        absent = [(use, entry) for entry in self.objects if entry.is_absent for use in entry.uses]
        shards = {*self.posters.absent} - {use.path for use, _ in absent}
        lines = [f"not here  {_describe(use, entry)}" for use, entry in absent if not entry.is_lost]
        lines += [f"not here  {_relative(file)}" for file in sorted(shards)]
        yield from lines
        if lines:
            normal = "What is not here was not checked: normal where only parts were pulled"
            yield f"{normal}; `{self.fetch_command}` brings the rest."

    def _counts(self) -> str:
        present = [entry for entry in self.objects if not entry.is_absent]
        counts = (
            f"{len(present):,} objects in DVC's cache ({sum(entry.size for entry in present):,} bytes) "
            f"and {self.posters.count:,} posters ({self.posters.bytes:,} bytes)"
        )
        if self.is_sound:
            return f"{counts} match their hashes"
        corrupt = sum(entry.is_corrupt for entry in self.objects)
        lost = sum(entry.is_lost for entry in self.objects)
        faults = len(self.posters.faults)
        return f"{counts} were read: {corrupt:,} objects corrupt, {lost:,} lost, {faults:,} faults in the shards"


def verify(posters: Path) -> Report:
    """Read every object that the dvc.lock of the project around here names, and every poster.

    posters: the folder of the manifest and its shards, relative to the project's root.

    Raises:
        InputError: there is no project here, DVC cannot read it, or a file is closed to us.
    """
    try:
        with project.opened() as repo:
            used = list(_used_objects(repo).values())
            _read(used)
            options = _remote_options(repo)
            shards = _check_posters(Path(repo.root_dir, posters))
    except PermissionError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}; whoever owns it can allow it") from None
    commands = _repairs(used, _stages_at_fault(used, shards), options)
    return Report(used, shards, commands, "dvc repro" if options is None else "dvc repro --pull")


def _used_objects(repo: Any) -> dict[Path, Object]:
    """The objects that dvc.lock and .dvc files name, by their file in the cache."""
    used: dict[Path, Object] = {}

    def add(out: Any, md5: str, path: Path) -> Object:
        file = Path(out.cache.oid_to_path(md5))
        entry = used.setdefault(file, Object(md5, file))
        entry.uses.append(Use(path, out.stage.addressing, out.use_cache, out.can_push))
        return entry

    for out in repo.index.outs:
        if not out.hash_info or out.protocol != "local":
            continue
        if out.hash_name != "md5":
            raise InputError(
                f"{out} has the hash of a DVC before 3; `dvc cache migrate --dvc-files` brings it up to date"
            )
        if not out.use_cache and not Path(out.cache.oid_to_path(out.hash_info.value)).exists():
            continue  # git keeps it, and the run cache has no copy
        entry = add(out, out.hash_info.value, Path(out.fs_path))
        if entry.is_listing:
            listing = _read_listing(entry, Path(out.fs_path))
            entry.unlisted = not listing
            for name, md5 in listing.items():
                add(out, md5, Path(out.fs_path, name))
    return used


def _read_listing(entry: Object, folder: Path) -> dict[str, str]:
    """The MD5 of each file in a folder by its path: from the cache, or from the workspace if that is unchanged.

    Empty where neither has it.
    """
    md5 = entry.md5.removesuffix(objects.LISTING)
    text = entry.file.read_bytes() if entry.file.exists() else b""
    if objects.md5_of_bytes(text) != md5:
        text = objects.list_folder(folder)
    return objects.read_listing(text) if objects.md5_of_bytes(text) == md5 else {}


def _read(used: Iterable[Object]) -> None:
    """Fill in what each object holds and, where that is wrong, what the workspace has in its place."""
    for entry in used:
        entry.size = entry.file.stat().st_size if entry.file.exists() else 0
    total = sum(entry.size for entry in used)
    with tqdm(total=total, unit="B", unit_scale=True, desc="cache", disable=None) as progress:
        for entry in used:
            try:
                entry.actual_md5 = objects.md5_of(entry.file, progress.update)
            except FileNotFoundError:
                entry.actual_md5 = None
            except PermissionError:
                raise
            except OSError:  # the disk cannot read it any more
                entry.actual_md5 = ""
            suspect = entry.is_absent or entry.is_corrupt
            entry.copies = [_copy_at(use.path, entry) if suspect else "unread" for use in entry.uses]


def _copy_at(path: Path, entry: Object) -> Copy:
    """What is at a path of the workspace that should hold an object which is absent or corrupt."""
    if path.is_symlink() and (not path.exists() or (entry.is_corrupt and path.samefile(entry.file))):
        return "spoilt"
    if entry.is_listing:
        listing = objects.md5_of_bytes(objects.list_folder(path))
        same = listing == entry.md5.removesuffix(objects.LISTING)
        return "sound" if same else "other" if path.exists() else "none"
    if not path.is_file():
        return "other" if path.exists() else "none"
    if entry.is_corrupt and path.samefile(entry.file):
        return "spoilt"
    md5 = objects.md5_of(path)
    return "sound" if md5 == entry.md5 else "spoilt" if md5 == entry.actual_md5 else "other"


def _check_posters(folder: Path) -> Posters:
    """Compare the posters in a folder's shards with its manifest, where there is one."""
    posters, file = Posters(), folder / manifest.FILE
    if not file.exists():
        return posters
    try:
        table = manifest.read(file)
    except (InputError, ValueError) as error:
        posters.faults.append((file, f"it is no manifest ({error})"))
        return posters
    table = table[table["status"] == "ok"]
    expected = {
        str(shard): dict(zip(rows["film_id"], zip(rows["sha256"], rows["bytes"], strict=True), strict=True))
        for shard, rows in table.groupby("shard")
    }
    present = {file.name for file in folder.glob("shard-*.tar") if file.exists()}  # a link may lead nowhere
    posters.absent = [folder / name for name in sorted({*expected} - present)]
    total = sum((folder / name).stat().st_size for name in present)
    with tqdm(total=total, unit="B", unit_scale=True, desc="posters", disable=None) as progress:
        for name in sorted(present):
            _check_shard(folder / name, expected.get(name, {}), posters, progress.update)
    return posters


def _check_shard(
    shard: Path, expected: dict[str, tuple[str, int]], posters: Posters, progress: Callable[[int], object]
) -> None:
    """Compare the members of a shard with (SHA-256, bytes) by film id, and add what it holds to `posters`."""
    missing = dict(expected)
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                film_id = Path(member.name).stem
                stream = tar.extractfile(member)
                sha256 = objects.digest(stream, "sha256", progress) if stream else ""
                posters.count, posters.bytes = posters.count + 1, posters.bytes + member.size
                missing.pop(film_id, None)
                if film_id not in expected:
                    posters.faults.append((shard, f"{member.name} is in no row of the manifest"))
                elif (sha256, member.size) != expected[film_id]:
                    posters.faults.append((shard, f"{member.name} is not the poster that the manifest describes"))
    except PermissionError:
        raise
    except (tarfile.TarError, OSError) as error:
        posters.faults.append((shard, f"it cannot be read to its end ({error})"))
    if missing:
        names = ", ".join([*missing][:NAMES_SHOWN])
        names += f" and {len(missing) - NAMES_SHOWN:,} more" if len(missing) > NAMES_SHOWN else ""
        posters.faults.append((shard, f"it lacks {len(missing):,} of its {len(expected):,} posters: {names}"))


def _stages_at_fault(used: list[Object], posters: Posters) -> list[str]:
    """Mark the shards and manifests that changed in the workspace as spoilt.

    Returns:
        Where none changed, and shards and manifest still contradict each other: the stages that made them so.
    """
    faulty = {file for file, _ in posters.faults}
    faulty |= {file.with_name(manifest.FILE) for file in faulty}
    any_spoilt, makers = False, []
    for entry in used:
        for place, use in enumerate(entry.uses):
            if use.path not in faulty or not use.path.exists():
                continue
            makers.append(use.stage)
            if objects.md5_of(use.path) != entry.md5:
                entry.copies[place], any_spoilt = "spoilt", True
    return [] if any_spoilt else list(dict.fromkeys(makers))


def _remote_options(repo: Any) -> str | None:
    """The options that make `dvc fetch` use a remote; None without one."""
    if repo.config["core"].get("remote"):
        return ""
    others = [*repo.config.get("remote", {})]
    return f" --remote {shlex.quote(others[0])}" if others else None


def _repairs(used: list[Object], stages_at_fault: list[str], remote: str | None) -> list[str]:
    """The commands that repair everything; tried with copies, hard links and symbolic links, and without a remote.

    What is wrong is deleted first: DVC replaces no object that exists, and no copy in the workspace that it takes for
    the object's. Then come a sound copy from the workspace, else the remote's, else the stage that makes it anew.

    remote: see `_remote_options`.
    """
    removed: list[Path] = []
    copied: list[str] = []
    fetched: list[Path] = []
    committed: list[Path] = []
    checked_out: list[Path] = []
    repeated: list[str] = []
    for entry in used:
        spoilt, sound = entry.paths("spoilt"), entry.paths("sound")
        removed += [entry.file] * entry.is_corrupt + spoilt
        if not entry.is_wrong:
            checked_out += spoilt
        elif not any(use.kept for use in entry.uses):
            continue  # git has it, and the run cache can do without
        elif sound and not entry.is_listing:
            copied.append(_copy_command(sound[0], entry.file))
            checked_out += spoilt
        elif remote is not None and any(use.pushed for use in entry.uses):
            fetched.append(entry.uses[0].path)
            checked_out += spoilt
        elif sound:
            committed.append(sound[0])
        else:
            repeated += [use.stage for use in entry.uses]
    return [
        *_command("rm -f", map(_relative, removed)),
        *copied,
        *_command(f"dvc fetch{remote or ''}", map(_relative, fetched)),
        *_command("dvc commit", map(_relative, committed)),
        *_command("dvc checkout", map(_relative, checked_out)),
        *_command("dvc repro", repeated),
        *_command("dvc repro --force --single-item", stages_at_fault),
    ]


def _command(verb: str, targets: Iterable[str]) -> list[str]:
    """The command for all targets, each once; none without a target."""
    unique = dict.fromkeys(targets)
    return [f"{verb} {shlex.join(unique)}"] if unique else []


def _copy_command(path: Path, file: Path) -> str:
    """The command that copies a file of the workspace into the cache, write-protected as DVC does it."""
    source, target = (shlex.quote(_relative(place)) for place in (path, file))
    make_folder = "" if file.parent.is_dir() else f"mkdir -p {shlex.quote(_relative(file.parent))} && "
    return f"{make_folder}cp {source} {target} && chmod 444 {target}"


def _describe(use: Use, entry: Object) -> str:
    return f"{_relative(use.path)} (stage {use.stage}): {_relative(entry.file)}"


def _relative(path: Path) -> str:
    """A path relative to where the command runs."""
    return os.path.relpath(path)
