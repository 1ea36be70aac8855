"""Data and results shared in a team: one DVC remote for all, and one cache for all who work on one host.

What is the same for everyone goes into .dvc/config, which git keeps; what belongs to a person or a machine goes into
.dvc/config.local, which git ignores.
"""

import copy
import grp
import logging
import os
import re
import secrets
import shlex
import stat
import struct
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config import Config, ConfigError, NoRemoteError
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.fs import RemoteMissingDepsError, generic
from dvc.repo import Repo
from tqdm import tqdm

from postergenre.dvc_project import username
from postergenre.errors import InputError

NAME = "team"  # of the remote
SCHEMES = ("s3", "ssh")
# Where the kernel protects hard links (fs.protected_hardlinks, nearly everywhere), a teammate's files come as symbolic
# links, without a word; where a file system knows none, as copies.
LINKS = ["reflink", "hardlink", "symlink", "copy"]
GROUP = stat.S_ISGID | stat.S_IRWXG  # what is made in the folder is the group's, who may write
# The folders of a cache or a remote, by objects' and runs' hashes.
TWO = "[0-9a-f]" * 2
OWN = ("files", "files/md5", f"files/md5/{TWO}", "runs", f"runs/{TWO}", f"runs/{TWO}/*")
SECRETS = (
    "give the URL without it and keep the secret in .dvc/config.local, which git ignores: "
    f"`dvc remote add --local {NAME} URL`, then `dvc remote modify --local {NAME} password ...`, "
    "for s3 access_key_id and secret_access_key"
)


@dataclass(frozen=True)
class Shared:
    """What a team shares.

    remote: a URL or a folder, without an account. account: on the server, or None. server: the address of an S3 that is
    not Amazon's, or None. cache: None without one. group: of the cache. link: how its files come into the project.
    inherits: whether folders made later in it and in a remote that is a folder are open to the group too, whatever the
    umask of who makes them. brought: how many files came from the cache used before. rotten: those of its objects that
    are not what their hashes say, and stayed.
    """

    remote: str
    account: str | None
    server: str | None = None
    cache: Path | None = None
    group: str = ""
    link: str = ""
    inherits: bool = True
    brought: int = 0
    rotten: tuple[Path, ...] = ()


def share(remote: str, cache: str | None) -> Shared:
    """Set the team's remote, and its cache on this host, for the DVC project that we are in; both are tried out.

    remote: s3://BUCKET/PATH, ssh://[ACCOUNT@]HOST/PATH or a folder. Run again with the same, it changes nothing. Where
    AWS_ENDPOINT_URL in the environment names another S3 than Amazon's, the team's remote is there.

    Raises:
        InputError: one of them cannot be used; the configuration is as it was.
    """
    root = _root()
    for name, given in (("REMOTE", remote), ("CACHE", cache or "")):
        if not given.isprintable():
            raise InputError(f"{name} is {given!r}; it should hold no line break and no such character")
    url, account = _address(remote, root)
    folders = {"REMOTE": _folder("REMOTE", url, root)} if "://" not in url else {}
    folders |= {"CACHE": _folder("CACHE", cache, root)} if cache else {}
    _check_apart(folders)
    _check_ignored(root)
    old = _cache_dir(root)
    with _all_or_nothing(root):
        _configure(root, url, account, folders.get("CACHE"))
        with Repo(str(root)) as repo:
            _try_out("REMOTE", url, lambda: repo.cloud.get_remote(NAME).odb)
            if cache:
                _try_out("CACHE", cache, lambda: repo.cache.local)
            inherits = _open_to_group([*folders.values()])
            server = repo.config["remote"][NAME].get("endpointurl")
            if not cache:
                return Shared(url, account, server, inherits=inherits)
            brought, rotten = _bring_over(old, repo)
            return Shared(
                remote=url,
                account=account,
                server=server,
                cache=folders["CACHE"],
                group=_group(folders["CACHE"]),
                link=_link(repo),
                inherits=inherits,
                brought=brought,
                rotten=rotten,
            )


def _root() -> Path:
    """The project's folder, with a configuration that can be read."""
    username.check()
    try:
        root = Path(Repo.find_root())
        Config(str(root / ".dvc"))
    except NotDvcRepoError:
        raise InputError(f"{Path.cwd()} is in no DVC project; run this in a clone of yours") from None
    except ConfigError as error:
        raise InputError(f"DVC cannot read this project: {_reason(error)}") from None
    return root


def push() -> int:
    """Give the team all that was run here and is still in the cache; how many files were sent.

    `dvc push --run-cache` is not enough: it sends the list of runs, but only the workspace's outputs, and none that git
    keeps, such as metrics. A run that lacks one of its outputs is run again by whoever finds it.

    Raises:
        InputError: there is no remote, or it failed. Then no run was sent whose files did not arrive.
    """
    root = _root()
    try:
        with Repo(str(root)) as repo:
            _check_there(repo.cloud.get_remote())
            runs = _runs(repo)
            sent = _send_objects(repo, runs)
            _send_runs(repo, runs)
    except InputError:
        raise
    except NoRemoteError:
        raise InputError("no remote is set; `make team REMOTE=...` sets one") from None
    except Exception as error:  # of any of the libraries below DVC
        raise InputError(f"not everything was sent: {_reason(error)}") from None
    return sent


def _check_there(remote: Any) -> None:
    """Refuse a folder that is gone: DVC would make it anew, on the local disk, and nobody would find what it has."""
    if remote.fs.protocol == "local" and not Path(remote.odb.path).is_dir():
        raise InputError(
            f"the remote, {remote.path}, holds nothing of DVC's; is it mounted? "
            f"Where it is new, `make team REMOTE={shlex.quote(remote.path)}` sets it up"
        )


def _runs(repo: Any) -> list[Path]:
    """The entries of the run cache, but for those that are being written."""
    return sorted(Path(repo.stage_cache.cache_dir).glob(f"*/*/{'[0-9a-f]' * 64}"))


def _send_objects(repo: Any, runs: list[Path]) -> int:
    """Send what the workspace and these runs have and the remote lacks. How many files it was."""
    used: defaultdict[Any, set[Any]] = defaultdict(set)  # by remote, None for the team's
    tried = [(run.parent.name, run.name) for run in runs]
    here = [out.get_used_objs(push=True, force=True) for out in repo.index.outs if out.hash_info]
    for found in (*here, repo.stage_cache.get_used_objs(tried, force=True)):
        for odb, objects in found.items():
            used[odb] |= objects
    for odb, objects in used.items():
        _check_sound(repo, repo.cloud.status(objects, odb=odb).new)
    with _reasons() as reasons:
        results = [repo.cloud.push(objects, odb=odb) for odb, objects in used.items()]
    sent, failed = (sum(len(result[part]) for result in results) for part in (0, 1))
    if failed:
        why = f" ({reasons[0]})" if reasons else ""
        raise InputError(
            f"{failed} of {sent + failed} files did not arrive{why}; "
            "`postergenre push` sends the others, and what was run with them, once the remote takes them"
        )
    return sent


def _check_sound(repo: Any, objects: set[Any]) -> None:
    """Refuse to send what a disk has changed: DVC would, and everybody would have it."""
    if not objects:
        return
    from postergenre.dvc_project import integrity  # with pandas, for which a push of nothing should not wait

    files = {Path(repo.cache.local.oid_to_path(one.value)): one.value for one in objects}
    rotten = [file for file, md5 in sorted(files.items()) if not integrity.sound(file, md5)]
    if rotten:
        more = f" and {len(rotten) - 1:,} more" if len(rotten) > 1 else ""
        raise InputError(
            f"nothing was sent, for {rotten[0]}{more} in the cache is not what its hash says; `postergenre verify` "
            "tells how to get back what dvc.lock uses, and anything else `rm -f` may remove"
        )


@contextmanager
def _reasons() -> Iterator[list[str]]:
    """Why files were not transferred, which DVC logs and does not tell."""
    reasons: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            reasons.append(_reason(record.exc_info[1]))
        return record.levelno < logging.ERROR

    log = logging.getLogger("dvc_data.hashfile.transfer")
    log.addFilter(take)
    try:
        yield reasons
    finally:
        log.removeFilter(take)


def _send_runs(repo: Any, runs: list[Path]) -> None:
    """Send the entries of the run cache that the remote lacks; DVC sends all every time, and hides a failure."""
    remote = repo.cloud.get_remote_odb(hash_name="md5-dos2unix")
    fs, folder = remote.fs, remote.fs.join(remote.path, "runs")
    known = {fs.parts(file)[-2:] for file in fs.find(folder)} if fs.exists(folder) else set()
    for run in runs:
        key, value = run.parts[-2:]
        if (key, value) in known or not run.exists():  # DVC has removed those that it could not read
            continue
        parent = fs.join(folder, key[:2], key)
        remote.makedirs(parent)
        fs.put_file(str(run), fs.join(parent, value))


def _address(remote: str, root: Path) -> tuple[str, str | None]:
    """A remote's URL as everyone may read it, or its absolute folder, and the account on the server."""
    scheme, separator, rest = remote.partition("://")
    if not separator:
        if not remote or re.match(r"[^/]+:", remote):  # as scp has it
            if ":" in remote.rpartition("@")[0]:
                raise _secret("REMOTE")
            raise InputError(f"REMOTE is {remote!r}; it should be {_right()}")
        return str(_absolute(remote)), None
    host, _, path = rest.partition("/")
    account, at, host = host.rpartition("@")
    # A password may have a slash in it: what follows the colon is no port then.
    if ":" in account or not re.fullmatch(r"(\[.*\]|[^:]*)(:\d+)?", host):
        raise _secret("REMOTE")
    if scheme not in SCHEMES or not host or (scheme == "s3" and at) or (scheme == "ssh" and not path.strip("/")):
        raise InputError(f"REMOTE is {remote}; it should be {_right()}")
    return f"{scheme}://{host}/{path}".rstrip("/"), account or None


def _secret(name: str) -> InputError:
    return InputError(f"{name} holds a password, and .dvc/config, where it would go, is in git; {SECRETS}")


def _right() -> str:
    return "s3://BUCKET/PATH, ssh://[ACCOUNT@]HOST/PATH or a folder"


def _absolute(folder: str) -> Path:
    return Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100 - a mounted folder's links stay as they are


def _folder(name: str, given: str, root: Path) -> Path:
    """A folder that is there, or can be made in one that is: a share that is not mounted should not go unnoticed."""
    folder = _absolute(given)
    if folder.is_relative_to(root) or root.is_relative_to(folder):
        raise InputError(f"{name} is {folder}; it should be outside the project, {root}")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{name} is {folder}, which is a file; it should be a folder")
    if not folder.parent.is_dir():
        raise InputError(f"{name} is {folder}, but there is no {folder.parent} to make it in; is it mounted?")
    held = sorted(place.name for place in folder.iterdir()) if os.access(folder, os.R_OK) else []
    if held and {"files", "runs"}.isdisjoint(held):
        raise InputError(
            f"{name} is {folder}, which holds {held[0]} and nothing of DVC's; it should be new, empty or DVC's"
        )
    return folder


def _check_apart(folders: dict[str, Path]) -> None:
    """DVC would take what is in the cache for sent, and the only copy for one of two."""
    places = [folder.resolve() for folder in folders.values()]
    if len(places) == 2 and (places[0].is_relative_to(places[1]) or places[1].is_relative_to(places[0])):
        raise InputError(
            f"REMOTE is {folders['REMOTE']} and CACHE {folders['CACHE']}; "
            "they should be two folders, and neither in the other"
        )


def _check_ignored(root: Path) -> None:
    try:
        said = subprocess.run(
            ["git", "check-ignore", "-q", ".dvc/config.local"], cwd=root, check=False, capture_output=True
        )
    except FileNotFoundError:
        raise InputError("git is not installed, or not on PATH; a team's project needs it") from None
    if said.returncode == 1:
        raise InputError(
            "git does not ignore .dvc/config.local, where secrets go; add /config.local to .dvc/.gitignore"
        )


def _open_to_group(folders: list[Path]) -> bool:
    """Make folders, and DVC's own in them, writable for their groups; whether what is made in them later will be too.

    Others' folders in them stay as they are, and all do should one of DVC's belong to somebody who left it closed.
    """
    places = {place: folder for folder in folders for place in _own(folder)}
    before: dict[Path, os.stat_result] = {}
    try:
        for place, folder in places.items():
            group, found = folder.stat().st_gid, place.stat()
            if found.st_gid == group and found.st_mode & GROUP == GROUP:
                continue
            before[place] = found
            if found.st_gid != group:
                os.chown(place, -1, group)
            place.chmod(stat.S_IMODE(found.st_mode) | GROUP)
    except OSError as error:
        for changed, found in before.items():
            with suppress(OSError):  # the one that could not be changed
                os.chown(changed, -1, found.st_gid)
                changed.chmod(stat.S_IMODE(found.st_mode))
        top = folder.joinpath(*place.relative_to(folder).parts[:1])
        every = f"find {top} -maxdepth {0 if top == folder else 2} -type d -exec"
        raise InputError(
            f"{place} cannot be opened to the group ({error.strerror}); its owner can: "
            f"`{every} chgrp GROUP {{}} +` and `{every} chmod g+rwxs {{}} +`"
        ) from None
    return min([_inherit(place) for place in places], default=True)


def _own(folder: Path) -> list[Path]:
    """A folder that is a cache or a remote, and what DVC makes in it."""
    return [folder, *(place for pattern in OWN for place in sorted(folder.glob(pattern)) if place.is_dir())]


def _inherit(place: Path) -> bool:
    """Give a folder a default ACL, so that the group may write whatever the umask is of who makes something in it.

    DVC itself opens most folders to the group, but not those of a run cache that was pulled or pushed.
    """
    everyone = 0xFFFFFFFF  # where an entry could name one user
    entries = ((0x01, 7), (0x04, 7), (0x20, place.stat().st_mode & 7))  # owner, group, others: rwx
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, may, everyone) for tag, may in entries)
    name = "system.posix_acl_default"
    try:
        if name not in os.listxattr(place):  # what a person set stays
            os.setxattr(place, name, acl)
    except (AttributeError, OSError):  # no Linux; no such thing on this file system; a teammate's folder, which has one
        return False
    return True


def _cache_dir(root: Path) -> Path:
    with Repo(str(root)) as repo:
        return Path(repo.cache.local_cache_dir)


@contextmanager
def _all_or_nothing(root: Path) -> Iterator[None]:
    """The configuration as it was, should the block raise."""
    config = Config(str(root / ".dvc"))
    before = {file: file.read_bytes() if file.exists() else None for file in map(Path, config.files.values())}
    try:
        yield
    except BaseException as error:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            elif file.read_bytes() != content:
                file.write_bytes(content)
        if isinstance(error, DvcException):
            raise InputError(f"DVC refuses: {_reason(error)}") from None
        raise


def _configure(root: Path, url: str, account: str | None, cache: Path | None) -> None:
    config = Config(str(root / ".dvc"))
    known = config["remote"].get(NAME, {})
    # What comes from there is read and compared with its hash: DVC would believe it.
    settings = {"verify": "true"} | (_server(url) if "://" in url else {"shared": "group"})
    moved = known | {"url": url} | _server(url) != known

    def everyone(conf: dict[str, Any]) -> None:
        conf["core"]["remote"] = NAME
        kept = {} if moved else conf["remote"].get(NAME, {})
        conf["remote"][NAME] = kept | {"url": url} | settings

    def mine(conf: dict[str, Any]) -> None:
        conf["core"].pop("remote", None)  # it would hide the team's
        kept = conf["remote"].pop(NAME, {}) | ({"user": account} if account else {})
        kept.pop("url", None)  # as this would
        if kept:
            conf["remote"][NAME] = kept
        if cache:
            conf["cache"] |= {"dir": str(cache), "shared": "group", "type": ",".join(LINKS)}
            conf["core"]["site_cache_dir"] = str(_own_folder())

    if moved:  # what belongs to another address, a password above all, must not reach this one
        _edit(config, "local", lambda conf: conf["remote"].pop(NAME, None))
    _edit(config, "repo", everyone)
    _edit(config, "local", mine)


def _server(url: str) -> dict[str, str]:
    """Where an S3 is that is not Amazon's, as its own programs are told; teammates learn it from .dvc/config."""
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not address or not url.startswith("s3://"):
        return {}
    if "@" in address:
        raise _secret("AWS_ENDPOINT_URL")
    return {"endpointurl": address}


def _edit(config: Config, level: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a level of the configuration; its file is not touched where that changes nothing."""
    before = config.load_one(level)
    after = copy.deepcopy(before)
    change(after)
    if after != before:
        with config.edit(level) as conf:
            change(conf)


def _own_folder() -> Path:
    """A folder of our own for DVC's databases, which it else keeps in one that the host's first user has made.

    On a local disk: homes are often on NFS, where SQLite's locks are not to be trusted.
    """
    folder = Path("/var/tmp", f"dvc-{username.name()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise InputError(f"{folder}, where DVC should keep your databases, belongs to somebody else; remove it")
    return folder


def _try_out(name: str, given: str, place: Callable[[], Any]) -> None:
    """Write a small file where DVC keeps its objects, read it and remove it."""
    try:
        odb = place()
        file = odb.fs.join(odb.path, f"probe-{secrets.token_hex(8)}")
        content = secrets.token_bytes(64)
        if not odb.fs.exists(odb.path):  # else DVC would open it to the group
            odb.makedirs(odb.path)
        try:
            odb.fs.pipe_file(file, content)
            read = odb.fs.cat_file(file)
        finally:
            with suppress(FileNotFoundError):
                odb.fs.remove(file)
    except (ImportError, RemoteMissingDepsError):
        scheme = given.partition("://")[0]
        raise InputError(
            f"{scheme}:// needs the package dvc-{scheme}; `uv pip install --editable '.[{scheme}]'` installs it"
        ) from None
    except Exception as error:  # of any of the libraries below DVC
        raise InputError(f"{name} is {given}, which cannot be written to and read from: {_reason(error)}") from None
    if read != content:
        raise InputError(f"{name} is {given}, which does not give back what was written to it")


def _reason(error: BaseException) -> str:
    first, *others = str(error).strip().split("\n")
    if first.endswith(":") and others:  # it only announces what follows
        first = f"{first} {others[0].strip()}"
    return first or type(error).__name__


def _group(folder: Path) -> str:
    number = folder.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _link(repo: Repo) -> str:
    """The first kind of link that works between cache and project."""
    odb = repo.cache.local
    return str(generic.test_links(LINKS, odb.fs, odb.path, odb.fs, str(Path(repo.tmp_dir, "link")))[0])


def _bring_over(old: Path, repo: Repo) -> tuple[int, tuple[Path, ...]]:
    """Link or copy into the shared cache what the one before has and it lacks; how many files, and those that rotted.

    DVC would take over what a disk has changed, and give it to everybody.
    """
    if old == Path(repo.cache.local_cache_dir) or not old.exists():
        return 0, ()
    from postergenre.dvc_project import integrity  # with pandas, for which a push should not wait

    with Repo(repo.root_dir, config={"cache": {"dir": str(old)}}) as before:
        source, target = before.cache.local, repo.cache.local
        lacking = {oid: Path(source.oid_to_path(oid)) for oid in source.all() if not target.exists(oid)}
        checked = tqdm(lacking.items(), unit="file", desc="cache", disable=None)
        sound = {oid: str(file) for oid, file in checked if integrity.sound(file, oid)}
        target.add([*sound.values()], source.fs, [*sound], hardlink=True)
        runs = repo.stage_cache.transfer(before.cache.legacy, repo.cache.legacy, force=False)
    return len(sound) + len(runs), tuple(file for oid, file in lacking.items() if oid not in sound)
