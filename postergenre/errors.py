"""How a wrong input ends a program: one sentence on stderr and a non-zero exit."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn


class InputError(Exception):
    """Something a person gave is wrong; the message says what was received and what would be right."""


class Terminated(SystemExit):
    """SIGTERM arrived. An exception, so that `with` blocks and `finally` clean up as they do after Ctrl-C."""


def run(main: Callable[[], None]) -> NoReturn:
    """Run `main` and exit: with 1 after wrong input or a full disk, 130 after Ctrl-C, 143 after SIGTERM, else 0."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {shown(str(error))}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # `... | head` closed our stdout: not our failure, but nothing more can be said there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            sys.exit(f"error: {shown(str(error.filename))} is longer than a file's name may be")
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        sys.exit(
            f"error: {error.filename or 'the output'} could not be written: {error.strerror}; nothing was replaced"
        )
    sys.exit(0)


def shown(text: str) -> str:
    """The text without what a terminal would take for a command, such as a colour; lines stay lines."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + signum)
