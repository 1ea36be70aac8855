"""The workspace as an earlier dvc.lock describes it: what DVC and git keep, brought back without overwriting work.

`dvc exp apply` is no substitute: it takes commits and experiments of this clone, and overwrites what is here.
"""

import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dvc.config import NoRemoteError
from dvc.exceptions import CheckoutError, DvcException
from dvc_data.hashfile.hash_info import HashInfo

from postergenre import errors, files
from postergenre.dvc_project import lockfile, objects, project
from postergenre.errors import InputError

NOTHING = "nothing was restored"


class HalfDoneError(InputError):
    """DVC's checkout failed after it had replaced outputs."""


@dataclass(frozen=True)
class Output:
    """What a stage made.

    path: in the project.
    md5: as dvc.lock has it.
    stage: its name.
    cached: DVC keeps it; else git does.
    listing: of a folder, the MD5 of its files by their paths.
    """

    path: str
    md5: str
    stage: str
    cached: bool
    listing: dict[str, str]


@dataclass(frozen=True)
class State:
    """An earlier state of the workspace, at hand.

    outputs: what the stages had made.
    texts: by path, the files that git keeps, params.yaml and dvc.lock among them.
    absent: outputs that are nowhere, because they are never pushed; their stages make them again.
    """

    outputs: list[Output]
    texts: dict[str, bytes]
    absent: list[Output]


@dataclass(frozen=True)
class Changes:
    """What `restore` changed.

    changed: files that git keeps.
    created: those of them that did not exist.
    replaced: outputs that DVC keeps.
    """

    changed: list[str]
    created: list[str]
    replaced: list[str]


def check_here() -> None:
    """Refuse to work anywhere but in the project's folder.

    Raises:
        InputError: this is another folder, or DVC cannot read the project.
    """
    with project.opened(NOTHING) as repo:
        if Path(repo.root_dir) != Path.cwd():
            raise InputError(f"{Path.cwd()} is not the project's folder; run this in {repo.root_dir}")


def collect(texts: dict[str, bytes], logged: Callable[[str], bytes | None], run: str, commit: str) -> State:
    """Bring all of an earlier state into reach; what only the remote has comes into the cache.

    Args:
        texts: params.yaml and dvc.lock of that state, by path.
        logged: a file of the run by its path, None where the run has no such file.
        run: the run's name in a sentence.
        commit: of its code, which a sentence names.

    Raises:
        InputError: a part is nowhere, or no stage of dvc.yaml makes it here.
    """
    with project.opened(NOTHING) as repo:
        outputs = _outputs(repo, texts[lockfile.FILE], commit)
        tracked = {output.path: _find_text(repo, output, logged) for output in outputs if not output.cached}
        lost = {output.path for output in _fetch([output for output in outputs if output.cached], repo)}
        lost |= {path for path, text in tracked.items() if text is None}
        unpushed = lost & project.unpushed(repo)
        lost -= unpushed
        if lost:
            names = ", ".join(f"{output.path} (stage {output.stage})" for output in outputs if output.path in lost)
            raise InputError(
                f"{NOTHING}: neither DVC's cache nor a remote nor MLflow has {names} of {run}; "
                "`postergenre push` where it was made sends that"
            )
        here = [output for output in outputs if output.path not in unpushed]
        listed = [Output(o.path, o.md5, o.stage, o.cached, _listing(repo, o.path, o.md5) or {}) for o in here]
    absent = [output for output in outputs if output.path in unpushed]
    return State(listed, texts | {path: text for path, text in tracked.items() if text is not None}, absent)


def restore(state: State) -> Changes:
    """Bring the workspace into a state.

    Raises:
        InputError: something here would be lost that is in no commit or not in the cache, or DVC fails. Then all is as
            it was.
    """
    changed = [name for name, text in state.texts.items() if _read(Path(name)) != text]
    _check_committed(changed)
    created = [name for name in changed if not Path(name).exists()]
    cached = [output.path for output in state.outputs if output.cached]
    # The files are put back first, then the outputs that dvc.lock names again.
    with _undo_checkout(cached), project.all_or_nothing(map(Path, changed)):
        for name in changed:
            with files.atomic_write(Path(name)) as new:
                new.write_bytes(state.texts[name])
        replaced = _check_out(cached)
    return Changes(changed, created, replaced)


def compare(state: State) -> tuple[list[str], list[str]]:
    """The stages that have no outputs in a state, and the files that its stages depend on and that differ here."""
    known = {output.stage for output in (*state.outputs, *state.absent)}
    with project.opened(NOTHING) as repo:
        missing = [stage.name for stage in repo.index.stages if stage.name not in known]
        changes = [change for stage, found in repo.status().items() if stage in known for change in found]
    return missing, list(dict.fromkeys(name for change in changes for name in _names(change)))


def _outputs(repo: Any, lock: bytes, commit: str) -> list[Output]:
    """What the stages in a dvc.lock made, without listings; dvc.yaml tells what of it DVC keeps."""
    cached = {out.def_path: out.use_cache for out in repo.index.outs}
    outs = [(out, name) for name, stage in yaml.safe_load(lock)["stages"].items() for out in stage.get("outs", [])]
    foreign = [out["path"] for out, _ in outs if out["path"] not in cached]
    if foreign:
        raise InputError(
            f"{NOTHING}: the run has {', '.join(foreign)}, which no stage of dvc.yaml makes here; "
            f"first go to its commit, `git checkout {commit}`"
        )
    return [Output(out["path"], out["md5"], name, cached[out["path"]], {}) for out, name in outs]


def _find_text(repo: Any, output: Output, logged: Callable[[str], bytes | None]) -> bytes | None:
    """A file that git keeps, from the run, the run cache or the workspace; None where none of them has it as it was."""
    cached = _read(Path(repo.cache.local.oid_to_path(output.md5)))
    texts = (text for text in (logged(output.path), cached, _read(Path(output.path))) if text is not None)
    return next((text for text in texts if objects.md5_of_bytes(text) == output.md5), None)


def _fetch(outputs: list[Output], repo: Any) -> list[Output]:
    """Fetch what the cache lacks; returns the outputs that the remote lacks too."""
    missing = [output for output in outputs if not _is_cached(repo, output)]
    if missing:
        try:
            _pull(repo, {output.md5 for output in missing})
            _pull(repo, {md5 for output in missing for md5 in (_listing(repo, output.path, output.md5) or {}).values()})
        except NoRemoteError:
            return missing
    return [output for output in missing if not _is_cached(repo, output)]


def _pull(repo: Any, hashes: set[str]) -> None:
    try:
        repo.cloud.pull({HashInfo("md5", md5) for md5 in hashes})
    except NoRemoteError:
        raise
    except Exception as error:  # of any of the libraries below DVC
        raise InputError(f"{NOTHING}: DVC's remote failed ({errors.one_line(error)})") from None


def _is_cached(repo: Any, output: Output) -> bool:
    """Whether the cache has an output; of a folder, each file."""
    cache, listing = repo.cache.local, _listing(repo, output.path, output.md5)
    return listing is not None and all(map(cache.exists, [output.md5, *listing.values()]))


def _listing(repo: Any, path: str, md5: str) -> dict[str, str] | None:
    """A folder's files and their MD5; None where the cache lacks the listing, empty where the output is a file."""
    if not md5.endswith(objects.LISTING):
        return {}
    text = _read(Path(repo.cache.local.oid_to_path(md5)))
    try:
        return None if text is None else objects.read_listing(text)
    except ValueError:
        raise InputError(
            f"{NOTHING}: in DVC's cache the list of the files in {path} is corrupt, object {md5}"
        ) from None


def _check_committed(names: list[str]) -> None:
    """Refuse to overwrite what is in no commit."""
    if not names:
        return
    command = ["git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored", "--", *names]
    try:
        status = subprocess.run(command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False)
    except FileNotFoundError:
        raise InputError(f"{NOTHING}: git is not installed, or not on PATH, to tell what is committed here") from None
    if status.returncode:
        raise InputError(f"{NOTHING}: git cannot tell whether all is committed here ({status.stderr.strip()})")
    dirty = [entry[3:] for entry in status.stdout.split("\0") if entry]
    if dirty:
        raise InputError(
            f"{NOTHING}: {', '.join(dirty)} would be overwritten and {'is' if len(dirty) == 1 else 'are'} not "
            f"committed; commit first, or go back with `git checkout {shlex.join(dirty)} && dvc checkout`"
        )


@contextmanager
def _undo_checkout(paths: Iterable[str]) -> Iterator[None]:
    """Check these outputs out again, as dvc.lock names them then, should the block raise after it replaced some."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, InputError) or isinstance(error, HalfDoneError):
            # `dvc status` names what cannot be put back either.
            with suppress(DvcException, InputError), project.opened(NOTHING) as repo:
                repo.checkout([*paths], allow_missing=True)
        raise


def _check_out(paths: list[str]) -> list[str]:
    """Check outputs out as dvc.lock names them now; returns those that were different.

    Raises:
        HalfDoneError: it failed after it had replaced some.
        InputError: there are files in their place that the cache lacks; no output was touched.
    """
    with project.opened(NOTHING) as repo:
        try:
            done = repo.checkout(paths)
        except CheckoutError as error:
            raise HalfDoneError(f"{NOTHING}: {errors.one_line(error)}") from None
        except DvcException as error:
            message, *files_there = str(error).split("\n")
            names = ", ".join(str(Path(path).relative_to(Path.cwd())) for path in files_there)
            what = f"{names} would be overwritten; `dvc commit` keeps what is in dvc.yaml's outputs"
            raise InputError(f"{NOTHING}: {what if names else message}") from None
    return [path for kind in ("added", "modified", "deleted") for path in done[kind]]


def _names(change: str | dict[str, Any]) -> list[str]:
    """The files of a change in `dvc status`: a word, such as of a command, or paths by what became of them."""
    return [change] if isinstance(change, str) else [path for paths in change.values() for path in paths]


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
