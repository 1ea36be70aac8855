"""The DVC project around here: DVC is opened in this module alone, and its exceptions become one sentence."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.config import Config, ConfigError
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc.scm import SCMError

from postergenre import errors
from postergenre.errors import InputError

UNREADABLE = "DVC cannot read this project"
NO_GIT = "is not a git repository"  # DVC's words


@contextmanager
def opened(purpose: str = UNREADABLE, cache: Path | None = None) -> Iterator[Any]:
    """DVC's `Repo` of the project around here.

    purpose: how the message begins where DVC fails in the block.
    cache: another cache than the configured one.

    Raises:
        InputError: there is no project here, or DVC fails in it.
    """
    try:
        with Repo(config={"cache": {"dir": str(cache)}} if cache else None) as repo:
            yield repo
    except NotDvcRepoError:
        raise InputError(f"{Path.cwd()} is in no DVC project; run this in a clone of yours") from None
    except SCMError as error:
        raise InputError(f"{purpose}: {without_git() if NO_GIT in str(error) else errors.one_line(error)}") from None
    except DvcException as error:
        raise InputError(f"{purpose}: {errors.one_line(error)}") from None


def without_git() -> str:
    """What to do where the project is in no git repository, which DVC asks for."""
    return (
        f"{Path.cwd()} {NO_GIT}, as an unpacked ZIP is none; `git init && git add .` makes it one, and "
        "`dvc config --local core.no_scm true` lets DVC work without git"
    )


def find_root() -> Path | None:
    """The folder of the project around here; None where there is none."""
    try:
        return Path(Repo.find_root())
    except NotDvcRepoError:
        return None


def require_root() -> Path:
    """The folder of the project around here, which must have a configuration that DVC can read.

    Raises:
        InputError: there is no project here, or its configuration is broken.
    """
    root = find_root()
    if root is None:
        raise InputError(f"{Path.cwd()} is in no DVC project; run this in a clone of yours")
    try:
        Config(str(root / ".dvc"))
    except ConfigError as error:
        raise InputError(f"{UNREADABLE}: {errors.one_line(error)}") from None
    return root


def unpushed(repo: Any) -> set[str]:
    """The paths of the outputs that dvc.yaml marks `push: false`: they stay where they are made."""
    return {out.def_path for out in repo.index.outs if not out.can_push}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence DVC's log in the block: what fails also comes as an exception."""
    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def all_or_nothing(names: Iterable[Path]) -> Iterator[None]:
    """Give these files their old content back, should the block raise; delete those that did not exist."""
    before = {file: file.read_bytes() if file.is_file() else None for file in names}
    try:
        yield
    except BaseException:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            elif not file.is_file() or file.read_bytes() != content:
                file.write_bytes(content)
        raise
