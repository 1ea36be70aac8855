"""Data and results shared in a team: one DVC remote for all, and one cache for all who work on one host.

What is the same for everyone goes into .dvc/config, which git keeps; what belongs to a person or a machine goes into
.dvc/config.local, which git ignores.
"""

import copy
import os
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.fs import RemoteMissingDepsError, generic
from tqdm import tqdm

from postergenre import account, errors
from postergenre.dvc_project import objects, project, shared_folders
from postergenre.errors import InputError

NAME = "team"  # of the remote
SCHEMES = ("s3", "ssh")
# Where the kernel protects hard links (fs.protected_hardlinks, nearly everywhere), DVC silently uses symbolic links for
# a teammate's files; where a file system has none, copies.
LINKS = ["reflink", "hardlink", "symlink", "copy"]
REFUSED = "DVC refuses"
SECRETS = (
    "give the URL without it and keep the secret in .dvc/config.local, which git ignores: "
    f"`dvc remote add --local {NAME} URL`, then `dvc remote modify --local {NAME} password ...`, "
    "for s3 access_key_id and secret_access_key"
)


@dataclass(frozen=True)
class Shared:
    """What a team shares.

    remote: a URL or a folder, without an account.
    account: on the server, or None.
    server: the address of an S3 that is not Amazon's, or None.
    cache: the shared cache, or None.
    group: the group of the cache.
    link: how files of the cache come into the project: reflink, hardlink, symlink or copy.
    inherits: the group may also write in what is made later in shared folders, whatever the umask of its maker.
    brought: how many files came from the cache used before.
    corrupt: objects of that cache that do not match their hashes, and were left out.
    """

    remote: str
    account: str | None
    server: str | None = None
    cache: Path | None = None
    group: str = ""
    link: str = ""
    inherits: bool = True
    brought: int = 0
    corrupt: tuple[Path, ...] = ()


def share(remote: str, cache: str | None) -> Shared:
    """Set the team's remote, and its cache on this host, for the project around here, after trying both out.

    A second call with the same changes nothing. Where AWS_ENDPOINT_URL in the environment names another S3 than
    Amazon's, the team's remote is there.

    Args:
        remote: s3://BUCKET/PATH, ssh://[ACCOUNT@]HOST/PATH or a folder.
        cache: a folder.

    Raises:
        InputError: one of them cannot be used; the configuration is as it was.
    """
    root = project.require_root()
    for name, given in (("REMOTE", remote), ("CACHE", cache or "")):
        if not given.isprintable():
            raise InputError(f"{name} is {given!r}; it should hold no line break and no such character")
    url, account = _address(remote)
    folders = {"REMOTE": _folder("REMOTE", url, root)} if "://" not in url else {}
    folders |= {"CACHE": _folder("CACHE", cache, root)} if cache else {}
    _check_apart(folders)
    _check_ignored(root)
    with project.opened() as repo:
        old_cache = Path(repo.cache.local_cache_dir)
    with _configuration_as_before(root):
        _configure(root, url, account, folders.get("CACHE"))
        with project.opened(REFUSED) as repo:
            _try_out("REMOTE", url, lambda: repo.cloud.get_remote(NAME).odb)
            if cache:
                _try_out("CACHE", cache, lambda: repo.cache.local)
            inherits = shared_folders.open_to_group([*folders.values()])
            server = repo.config["remote"][NAME].get("endpointurl")
            if not cache:
                return Shared(url, account, server, inherits=inherits)
            brought, corrupt = _bring_over(old_cache, repo)
            return Shared(
                remote=url,
                account=account,
                server=server,
                cache=folders["CACHE"],
                group=shared_folders.group_of(folders["CACHE"]),
                link=_link(repo),
                inherits=inherits,
                brought=brought,
                corrupt=corrupt,
            )


def _address(remote: str) -> tuple[str, str | None]:
    """A remote's URL without an account, or its absolute folder; and the account on the server."""
    scheme, separator, rest = remote.partition("://")
    if not separator:
        if not remote or re.match(r"[^/]+:", remote):  # HOST:PATH, as scp has it
            if ":" in remote.rpartition("@")[0]:
                raise _password_error("REMOTE")
            raise InputError(f"REMOTE is {remote!r}; it should be {_valid_remotes()}")
        return str(_absolute(remote)), None
    host, _, path = rest.partition("/")
    account, at, host = host.rpartition("@")
    # A password may have a slash in it: what follows the colon is no port then.
    if ":" in account or not re.fullmatch(r"(\[.*\]|[^:]*)(:\d+)?", host):
        raise _password_error("REMOTE")
    if scheme not in SCHEMES or not host or (scheme == "s3" and at) or (scheme == "ssh" and not path.strip("/")):
        raise InputError(f"REMOTE is {remote}; it should be {_valid_remotes()}")
    return f"{scheme}://{host}/{path}".rstrip("/"), account or None


def _password_error(name: str) -> InputError:
    return InputError(f"{name} holds a password, and .dvc/config, where it would go, is in git; {SECRETS}")


def _valid_remotes() -> str:
    return "s3://BUCKET/PATH, ssh://[ACCOUNT@]HOST/PATH or a folder"


def _absolute(folder: str) -> Path:
    return Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100 - a mounted folder's links stay as they are


def _folder(name: str, given: str, root: Path) -> Path:
    """A folder that exists, or whose parent does: else a share may not be mounted, and that should be noticed."""
    folder = _absolute(given)
    if folder.is_relative_to(root) or root.is_relative_to(folder):
        raise InputError(f"{name} is {folder}; it should be outside the project, {root}")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{name} is {folder}, which is a file; it should be a folder")
    if not folder.parent.is_dir():
        raise InputError(f"{name} is {folder}, but there is no {folder.parent} to make it in; is it mounted?")
    names = sorted(place.name for place in folder.iterdir()) if os.access(folder, os.R_OK) else []
    if names and {"files", "runs"}.isdisjoint(names):
        raise InputError(
            f"{name} is {folder}, which holds {names[0]} and nothing of DVC's; it should be new, empty or DVC's"
        )
    return folder


def _check_apart(folders: dict[str, Path]) -> None:
    """Refuse a cache in the remote: DVC would believe that what is in the cache was sent."""
    places = [folder.resolve() for folder in folders.values()]
    if len(places) == 2 and (places[0].is_relative_to(places[1]) or places[1].is_relative_to(places[0])):
        raise InputError(
            f"REMOTE is {folders['REMOTE']} and CACHE {folders['CACHE']}; "
            "they should be two folders, and neither in the other"
        )


def _check_ignored(root: Path) -> None:
    try:
        ignored = subprocess.run(
            ["git", "check-ignore", "-q", ".dvc/config.local"], cwd=root, check=False, capture_output=True
        )
    except FileNotFoundError:
        raise InputError("git is not installed, or not on PATH; a team's project needs it") from None
    if ignored.returncode == 1:
        raise InputError(
            "git does not ignore .dvc/config.local, where secrets go; add /config.local to .dvc/.gitignore"
        )


@contextmanager
def _configuration_as_before(root: Path) -> Iterator[None]:
    """The configuration as it was, should the block raise."""
    try:
        with project.all_or_nothing(map(Path, Config(str(root / ".dvc")).files.values())):
            yield
    except DvcException as error:
        raise InputError(f"{REFUSED}: {errors.one_line(error)}") from None


def _configure(root: Path, url: str, account: str | None, cache: Path | None) -> None:
    config = Config(str(root / ".dvc"))
    known = config["remote"].get(NAME, {})
    # `verify` compares what comes from there with its hash, which DVC does not do by itself.
    settings = {"verify": "true"} | (_server(url) if "://" in url else {"shared": "group"})
    moved = known | {"url": url} | _server(url) != known

    def everyone(conf: dict[str, Any]) -> None:
        conf["core"]["remote"] = NAME
        options = {} if moved else conf["remote"].get(NAME, {})
        conf["remote"][NAME] = options | {"url": url} | settings

    def mine(conf: dict[str, Any]) -> None:
        conf["core"].pop("remote", None)  # it would hide the team's
        options = conf["remote"].pop(NAME, {}) | ({"user": account} if account else {})
        options.pop("url", None)  # as this would
        if options:
            conf["remote"][NAME] = options
        if cache:
            conf["cache"] |= {"dir": str(cache), "shared": "group", "type": ",".join(LINKS)}
            conf["core"]["site_cache_dir"] = str(_database_folder())

    if moved:  # what belongs to another address, a password above all, must not reach this one
        _edit(config, "local", lambda conf: conf["remote"].pop(NAME, None))
    _edit(config, "repo", everyone)
    _edit(config, "local", mine)


def _server(url: str) -> dict[str, str]:
    """The option for an S3 that is not Amazon's, from the variable that Amazon's programs read too."""
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not address or not url.startswith("s3://"):
        return {}
    if "@" in address:
        raise _password_error("AWS_ENDPOINT_URL")
    return {"endpointurl": address}


def _edit(config: Config, level: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a level of the configuration; its file is not touched where that changes nothing."""
    before = config.load_one(level)
    after = copy.deepcopy(before)
    change(after)
    if after != before:
        with config.edit(level) as conf:
            change(conf)


def _database_folder() -> Path:
    """A folder of one's own for DVC's databases; else all users of the host share one that the first of them created.

    On a local disk: homes are often on NFS, where SQLite's locks are not to be trusted.
    """
    folder = Path("/var/tmp", f"dvc-{account.name()}")
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
        if not odb.fs.exists(odb.path):  # DVC opens an existing one to the group, which is too early here
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
        raise InputError(
            f"{name} is {given}, which cannot be written to and read from: {errors.one_line(error)}"
        ) from None
    if read != content:
        raise InputError(f"{name} is {given}, which does not give back what was written to it")


def _link(repo: Any) -> str:
    """The first kind of link that works between cache and project."""
    odb = repo.cache.local
    return str(generic.test_links(LINKS, odb.fs, odb.path, odb.fs, str(Path(repo.tmp_dir, "link")))[0])


def _bring_over(old_cache: Path, repo: Any) -> tuple[int, tuple[Path, ...]]:
    """Link or copy into the shared cache what it lacks of the one before.

    Returns:
        How many files came, and the objects that do not match their hashes: DVC would give them to everybody.
    """
    if old_cache == Path(repo.cache.local_cache_dir) or not old_cache.exists():
        return 0, ()
    with project.opened(cache=old_cache) as before:
        source, target = before.cache.local, repo.cache.local
        missing = {md5: Path(source.oid_to_path(md5)) for md5 in source.all() if not target.exists(md5)}
        checked = tqdm(missing.items(), unit="file", desc="cache", disable=None)
        sound = {md5: str(file) for md5, file in checked if objects.is_sound(file, md5)}
        target.add([*sound.values()], source.fs, [*sound], hardlink=True)
        runs = repo.stage_cache.transfer(before.cache.legacy, repo.cache.legacy, force=False)
    return len(sound) + len(runs), tuple(file for md5, file in missing.items() if md5 not in sound)
