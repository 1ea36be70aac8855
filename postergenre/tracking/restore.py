"""The workspace as it was after a run in MLflow: params.yaml, dvc.lock, reports, data and model.

Code is git's: the run names its commit, and what is other code here than it had is named too.
"""

import hashlib
import json
import logging
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dvc.config import NoRemoteError
from dvc.exceptions import CheckoutError, DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

from postergenre import files, params
from postergenre.dvc_project import lockfile, username
from postergenre.errors import InputError
from postergenre.tracking import mlflow_store

NOTHING = "nothing was restored"
PARAMS = str(params.FILE)


@dataclass(frozen=True)
class Output:
    """What a stage made. cached: DVC keeps it, else git does."""

    path: str
    md5: str
    stage: str
    cached: bool


@dataclass(frozen=True)
class Past:
    """What a run left. texts: by path, the files that git keeps, params.yaml and dvc.lock among them."""

    run_id: str
    tags: dict[str, str]
    outputs: list[Output]
    texts: dict[str, bytes]


@dataclass(frozen=True)
class Restored:
    """What was done.

    changed: the files of git's that are others now. created: those of them that were not there before. replaced: the
    outputs that are others now. without: stages that had not run. differing: what the run's stages had and was not
    restored, which is code.
    """

    past: Past
    changed: list[str]
    created: list[str]
    replaced: list[str]
    without: list[str]
    differing: list[str]

    def __str__(self) -> str:
        commit = self.past.tags.get("git.commit")
        dirty = ", with changes that were not committed" if self.past.tags.get("git.dirty") == "true" else ""
        outputs = [output.path for output in self.past.outputs if output.path not in self.past.texts]
        lines = [
            f"run     {self.past.run_id} is restored: {' '.join([*self.past.texts, *outputs])}",
            *(f"        it has no outputs of {stage}; `dvc repro` makes them" for stage in self.without),
            f"commit  {commit}{dirty}" if commit else "commit  none; the run was made outside of git",
        ]
        if self.differing:
            lines.append(f"        other code here than in the run: {' '.join(self.differing)}")
        if self.differing and commit:
            again = f"git checkout {commit} && postergenre checkout {self.past.run_id}"
            lines.append(f"        for the run's code: go back first, then `{again}`")
        return "\n".join([*lines, f"back    {self._back()}"])

    def _back(self) -> str:
        if not self.changed:
            return (
                f"dvc.lock was the run's; new is only {' '.join(self.replaced)}" if self.replaced else "nothing changed"
            )
        tracked = [name for name in self.changed if name not in self.created]
        steps = [f"git checkout {shlex.join(tracked)}"] if tracked else []
        steps += [f"rm {shlex.join(self.created)}"] if self.created else []
        return " && ".join([*steps, "dvc checkout"])


def checkout(given: str, models: Path) -> Restored:
    """Go back to a run of MLflow's.

    Args:
        given: its id, or models:/NAME@ALIAS or models:/NAME/VERSION.
        models: where the train stage writes.

    Raises:
        InputError: there is no such run; it was not made by `dvc repro`; neither cache nor remote has its outputs; or
            something here would be lost, that is in no commit or not in the cache. Then all is as it was.
    """
    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # what fails comes as an exception, too
    with _project() as repo:
        past = _past(repo, given, models)
        changed = [name for name, text in past.texts.items() if _read(Path(name)) != text]
        _check_committed(changed)
    created = [name for name in changed if not Path(name).exists()]
    with _all_or_nothing(changed, past):
        for name in changed:
            with files.atomic_write(Path(name)) as new:
                new.write_bytes(past.texts[name])
        replaced = _check_out(past)
    with _project() as repo:
        without, differing = _status(repo, past)
    return Restored(past, changed, created, replaced, without, differing)


@contextmanager
def _project() -> Iterator[Any]:
    """The DVC project in this folder, as it is now; what fails in it becomes an `InputError`."""
    username.check()
    try:
        with Repo() as repo:
            if Path(repo.root_dir) != Path.cwd():
                raise InputError(f"{Path.cwd()} is not the project's folder; run this in {repo.root_dir}")
            yield repo
    except NotDvcRepoError:
        raise InputError(f"{Path.cwd()} is in no DVC project; run this in a clone of yours") from None
    except DvcException as error:
        raise InputError(f"{NOTHING}: DVC says {_first_line(error)}") from None


def _past(repo: Any, given: str, models: Path) -> Past:
    """A run with all that it left, fetched from where it is.

    Raises:
        InputError: something of it is nowhere, or its dvc.lock is of another training.
    """
    with mlflow_store.asking(NOTHING) as client, tempfile.TemporaryDirectory() as folder:
        run = mlflow_store.finished(_run_id(client, given))
        run_id, tags = run.info.run_id, run.data.tags
        logged = _Logged(client, run_id, folder)
        found = {name: logged(name) for name in (PARAMS, lockfile.FILE)}
        lock = found[lockfile.FILE]
        if not lock or not found[PARAMS]:
            raise InputError(_unknown(run_id))
        about = logged("models/run.json")
        outputs = _outputs(repo, lock, tags)
        for output in outputs:
            if not output.cached:
                found[output.path] = _sound(repo, output, logged(output.path))
    lost = {*_lost(repo, outputs)} | {output for output in outputs if found.get(output.path, b"") is None}
    if lost:
        names = ", ".join(f"{output.path} (stage {output.stage})" for output in outputs if output in lost)
        raise InputError(
            f"{NOTHING}: neither DVC's cache nor a remote nor MLflow has {names} of run {run_id}; "
            "`postergenre push` where it was made sends that"
        )
    model = next((output for output in outputs if Path(output.path) == models), None)
    # Runs once logged dvc.lock before DVC had written their own entry.
    if not about or not model or (_listed(repo, model) or {}).get("run.json") != _md5(about):
        raise InputError(_unknown(run_id))
    return Past(run_id, tags, outputs, {name: text for name, text in found.items() if text is not None})


def _run_id(client: Any, given: str) -> str:
    if given.strip() and not given.startswith("models:"):
        return given
    found = re.fullmatch(r"models:/([^/]+?)(?:@([^/@]+)|/([0-9]+))", given)
    if not found:
        raise InputError(
            f"{NOTHING}: {given!r} should be a run's id, models:/NAME@ALIAS or models:/NAME/VERSION, a number"
        )
    name, alias, version = found.groups()
    asked = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)
    return str(asked.run_id)


class _Logged:
    """The files of a run, fetched into `folder`; each folder of the run is listed once."""

    def __init__(self, client: Any, run_id: str, folder: str):
        self.client, self.run_id, self.folder = client, run_id, folder
        self.listed: dict[str, set[str]] = {}

    def __call__(self, path: str) -> bytes | None:
        """A file; None where the run has no such file."""
        parent = str(Path(path).parent)
        if parent not in self.listed:
            found = self.client.list_artifacts(self.run_id, None if parent == "." else parent)
            self.listed[parent] = {file.path for file in found}
        if path not in self.listed[parent]:
            return None
        return Path(self.client.download_artifacts(self.run_id, path, self.folder)).read_bytes()


def _unknown(run_id: str) -> str:
    return (
        f"{NOTHING}: run {run_id} does not know the {lockfile.FILE} of its training; "
        "runs of `dvc repro` and `dvc exp run` do, since `postergenre checkout` exists"
    )


def _outputs(repo: Any, lock: bytes, tags: dict[str, str]) -> list[Output]:
    """What the stages in a run's dvc.lock made; dvc.yaml tells what of it DVC keeps."""
    cached = {out.def_path: out.use_cache for out in repo.index.outs}
    made = [(out, name) for name, stage in yaml.safe_load(lock)["stages"].items() for out in stage.get("outs", [])]
    foreign = [out["path"] for out, _ in made if out["path"] not in cached]
    if foreign:
        raise InputError(
            f"{NOTHING}: the run has {', '.join(foreign)}, which no stage of dvc.yaml makes here; "
            f"first go to its commit, `git checkout {tags.get('git.commit', 'COMMIT')}`"
        )
    return [Output(out["path"], out["md5"], name, cached[out["path"]]) for out, name in made]


def _sound(repo: Any, output: Output, logged: bytes | None) -> bytes | None:
    """The file that a stage made: as it was logged, as the run cache has it or as it is here; None if none is that."""
    cached = _read(Path(repo.cache.local.oid_to_path(output.md5)))
    texts = (text for text in (logged, cached, _read(Path(output.path))) if text is not None)
    return next((text for text in texts if _md5(text) == output.md5), None)


def _lost(repo: Any, outputs: Iterable[Output]) -> list[Output]:
    """The outputs that the cache lacks and the remote does too; what only the remote has comes into the cache."""
    lacking = [output for output in outputs if output.cached and not _here(repo, output)]
    if lacking:
        try:
            _pull(repo, {output.md5 for output in lacking})
            _pull(repo, {md5 for output in lacking for md5 in (_listed(repo, output) or {}).values()})
        except NoRemoteError:
            return lacking
    return [output for output in lacking if not _here(repo, output)]


def _pull(repo: Any, objects: set[str]) -> None:
    try:
        repo.cloud.pull({HashInfo("md5", md5) for md5 in objects})
    except NoRemoteError:
        raise
    except Exception as error:  # of any of the libraries below DVC
        raise InputError(f"{NOTHING}: DVC's remote failed ({_first_line(error)})") from None


def _here(repo: Any, output: Output) -> bool:
    """Whether the cache has an output, of a folder each file."""
    cache, listed = repo.cache.local, _listed(repo, output)
    return listed is not None and all(map(cache.exists, [output.md5, *listed.values()]))


def _listed(repo: Any, output: Output) -> dict[str, str] | None:
    """MD5 by name of a folder's files; None where the cache has no list of them, empty where the output is a file."""
    if not output.md5.endswith(".dir"):
        return {}
    text = _read(Path(repo.cache.local.oid_to_path(output.md5)))
    try:
        return None if text is None else {entry["relpath"]: entry["md5"] for entry in json.loads(text)}
    except ValueError:
        raise InputError(
            f"{NOTHING}: in DVC's cache the list of the files in {output.path} is corrupt, object {output.md5}"
        ) from None


def _check_committed(names: list[str]) -> None:
    """Refuse to overwrite what is in no commit."""
    if not names:
        return
    command = ["git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored", "--", *names]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError(f"{NOTHING}: git is not installed, or not on PATH, to say what is committed here") from None
    if said.returncode:
        raise InputError(f"{NOTHING}: git cannot say whether all is committed here ({said.stderr.strip()})")
    dirty = [entry[3:] for entry in said.stdout.split("\0") if entry]
    if dirty:
        raise InputError(
            f"{NOTHING}: {', '.join(dirty)} would be overwritten and {'is' if len(dirty) == 1 else 'are'} not "
            f"committed; commit first, or go back with `git checkout {shlex.join(dirty)} && dvc checkout`"
        )


@contextmanager
def _all_or_nothing(names: list[str], past: Past) -> Iterator[None]:
    """These files, and the outputs, as they were, should the block raise."""
    before = {name: _read(Path(name)) for name in names}
    try:
        yield
    except BaseException as error:
        for name, text in before.items():
            if text is None:
                files.remove(Path(name))
            else:
                Path(name).write_bytes(text)
        if not isinstance(error, InputError):  # after that one no output has been touched
            with suppress(DvcException), Repo() as repo:  # what it cannot put back either, it names in `dvc status`
                repo.checkout([output.path for output in past.outputs if output.cached], allow_missing=True)
        if isinstance(error, CheckoutError):
            raise InputError(f"{NOTHING}: DVC says {_first_line(error)}") from None
        raise


def _check_out(past: Past) -> list[str]:
    """The outputs as dvc.lock names them now; those that were not so.

    Raises:
        InputError: there are files in their place which the cache has not; no output was touched.
        CheckoutError: it ended half-way.
    """
    with Repo() as repo:
        try:
            done = repo.checkout([output.path for output in past.outputs if output.cached])
            return [path for kind in ("added", "modified", "deleted") for path in done[kind]]
        except CheckoutError:
            raise
        except DvcException as error:
            said, *paths = str(error).split("\n")
            names = ", ".join(str(Path(path).relative_to(Path.cwd())) for path in paths)
            what = f"{names} would be overwritten; `dvc commit` keeps what is in dvc.yaml's outputs" if names else said
            raise InputError(f"{NOTHING}: {what}") from None


def _status(repo: Any, past: Past) -> tuple[list[str], list[str]]:
    """The stages that the run does not know, and what the others had that is not so here."""
    known = {output.stage for output in past.outputs}
    without = [stage.name for stage in repo.index.stages if stage.name not in known]
    changes = [change for stage, found in repo.status().items() if stage in known for change in found]
    names = [name for change in changes for name in _names(change)]
    return without, list(dict.fromkeys(names))


def _names(change: str | dict[str, Any]) -> list[str]:
    """Of a change that `dvc status` tells: a word, such as of a command, or paths by a word for what they are."""
    return [change] if isinstance(change, str) else [path for paths in change.values() for path in paths]


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _md5(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
