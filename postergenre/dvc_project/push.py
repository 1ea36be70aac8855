"""`postergenre push`: sending the team all that was run here."""

import logging
import shlex
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dvc.config import NoRemoteError

from postergenre import errors
from postergenre.dvc_project import objects, project
from postergenre.errors import InputError

UNSENT = "not everything was sent"


def push() -> int:
    """Send all that was run here and is still in the cache; returns how many files were sent.

    `dvc push --run-cache` is not enough: it sends the list of runs, but only the workspace's outputs, and none that git
    keeps, such as metrics. A run that lacks one of its outputs is run again by whoever gets it. What dvc.yaml marks
    `push: false` stays here, and so do the runs that made it: whoever needs it makes it again.

    Raises:
        InputError: there is no remote, or it failed. Then no run was sent whose files did not arrive.
    """
    project.require_root()
    try:
        with project.opened(UNSENT) as repo:
            _check_remote(repo)
            runs = _runs(repo)
            sent = _send_objects(repo, runs)
            _send_runs(repo, runs)
    except InputError:
        raise
    except Exception as error:  # of any of the libraries below DVC
        raise InputError(f"{UNSENT}: {errors.one_line(error)}") from None
    return sent


def _check_remote(repo: Any) -> None:
    """Refuse a folder that is gone: DVC would create it, on the local disk, and nobody would find what is in it."""
    try:
        remote = repo.cloud.get_remote()
    except NoRemoteError:
        raise InputError("no remote is set; `make team REMOTE=...` sets one") from None
    if remote.fs.protocol == "local" and not Path(remote.odb.path).is_dir():
        raise InputError(
            f"the remote, {remote.path}, holds nothing of DVC's; is it mounted? "
            f"Where it is new, `make team REMOTE={shlex.quote(remote.path)}` sets it up"
        )


def _runs(repo: Any) -> list[Path]:
    """The entries of the run cache, without those that are being written and those with outputs that stay here."""
    unsent = project.unpushed(repo)
    runs = sorted(Path(repo.stage_cache.cache_dir).glob(f"*/*/{'[0-9a-f]' * 64}"))
    return [run for run in runs if unsent.isdisjoint(_outputs(run))]


def _outputs(run: Path) -> set[str]:
    """The paths that a run wrote, relative to the project; empty for an entry that is broken, which DVC removes."""
    try:
        return {out["path"] for out in yaml.safe_load(run.read_bytes())["outs"]}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError):
        return set()


def _send_objects(repo: Any, runs: list[Path]) -> int:
    """Send what the workspace and these runs have and the remote lacks; returns how many files that was."""
    used: defaultdict[Any, set[Any]] = defaultdict(set)  # by remote, None for the team's
    run_ids = [(run.parent.name, run.name) for run in runs]
    by_workspace = [out.get_used_objs(push=True, force=True) for out in repo.index.outs if out.hash_info]
    for by_remote in (*by_workspace, repo.stage_cache.get_used_objs(run_ids, force=True)):
        for odb, hashes in by_remote.items():
            used[odb] |= hashes
    for odb, hashes in used.items():
        _check_sound(repo, repo.cloud.status(hashes, odb=odb).new)
    with _transfer_failures() as reasons:
        results = [repo.cloud.push(hashes, odb=odb) for odb, hashes in used.items()]
    sent, failed = (sum(len(result[part]) for result in results) for part in (0, 1))
    if failed:
        why = f" ({reasons[0]})" if reasons else ""
        raise InputError(
            f"{failed} of {sent + failed} files did not arrive{why}; "
            "`postergenre push` sends the others, and what was run with them, once the remote takes them"
        )
    return sent


def _check_sound(repo: Any, hashes: set[Any]) -> None:
    """Refuse to send objects that a disk has changed: DVC would send them to everybody."""
    cached = {Path(repo.cache.local.oid_to_path(object_.value)): object_.value for object_ in hashes}
    corrupt = [file for file, md5 in sorted(cached.items()) if not objects.is_sound(file, md5)]
    if corrupt:
        more = f" and {len(corrupt) - 1:,} more" if len(corrupt) > 1 else ""
        raise InputError(
            f"nothing was sent, because {corrupt[0]}{more} in the cache does not match its hash; `postergenre verify` "
            "prints how to get back what dvc.lock uses, and `rm -f` may remove anything else"
        )


@contextmanager
def _transfer_failures() -> Iterator[list[str]]:
    """The reasons why files were not transferred in the block, which DVC logs and does not return."""
    reasons: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            reasons.append(errors.one_line(record.exc_info[1]))
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
