"""Under which name somebody works on this machine."""

import getpass
import os

from postergenre.errors import InputError


def name() -> str:
    """As the environment or the system has it, else the number: a container's user may have no name."""
    return _name() or str(os.getuid())


def check() -> None:
    """Before DVC asks for the name, and ends in a traceback where there is none.

    Raises:
        InputError: there is none.
    """
    if not _name():
        raise InputError(
            f"user {os.getuid()} has no name on this machine, and DVC asks for one; `export LOGNAME=NAME` gives it"
        )


def _name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
