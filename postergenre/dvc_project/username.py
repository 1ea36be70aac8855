"""The name of the user on this machine."""

import getpass
import os

from postergenre.errors import InputError


def name() -> str:
    """The user's name from the environment or the system, else the number: a container's user may have no name."""
    return _name() or str(os.getuid())


def check() -> None:
    """Refuse to go on without a name, for DVC asks for it and would end in a traceback.

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
