"""Ends a program after wrong input: one sentence on stderr and a non-zero exit code."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn


class InputError(Exception):
    """Wrong input of a user. The message says what was received and what would be right."""


class Terminated(SystemExit):
    """Raised on SIGTERM, so that `with` and `finally` clean up as they do after Ctrl-C."""


def run(main: Callable[[], None]) -> NoReturn:
    """Run `main`, then exit.

    Exit codes: 0 after success, 1 after wrong input or a full disk, 130 after Ctrl-C, 141 after a closed pipe, 143
    after SIGTERM. Any other exception passes through.
    """
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name need not be text, and a locale may lack a character
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {printable(str(error))}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # `... | head` closed our stdout: nobody reads any further output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            sys.exit(f"error: {printable(str(error.filename))} is longer than a file's name may be")
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        sys.exit(
            f"error: {error.filename or 'the output'} could not be written: {error.strerror}; nothing was replaced"
        )
    sys.exit(0)


def printable(text: str) -> str:
    """The text with control characters escaped, which a terminal could take for commands. Line breaks stay."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def one_line(text: str) -> str:
    """The text in one line, printable: a file's name may hold line breaks."""
    return printable(text).replace("\n", "\\n")


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + signum)
