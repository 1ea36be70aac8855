"""Ends a program after wrong input: one sentence on stderr and a non-zero exit code."""

import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

LONGEST_END = 500  # characters
COLOUR = re.compile(r"\x1b\[[\d;]*m")  # as a terminal reads it
# What to say of a file or folder that cannot be used, by the system's error.
FULL = "could not be written: {reason}; nothing was replaced"
CLOSED = "cannot be used: {reason}; whoever runs this must be able to read and to write it"
OTHER_KIND = "cannot be used: {reason}; a file lies where a folder should be, or a folder where a file should be"
UNUSABLE = (
    dict.fromkeys([errno.ENOSPC, errno.EDQUOT, errno.EFBIG], FULL)
    | dict.fromkeys([errno.EACCES, errno.EPERM, errno.EROFS], CLOSED)
    | dict.fromkeys([errno.EEXIST, errno.ENOTDIR, errno.EISDIR], OTHER_KIND)
    | {errno.ENAMETOOLONG: "is longer than a file's name may be"}
)


class InputError(Exception):
    """Wrong input of a user. The message says what was received and what would be right."""


class Terminated(SystemExit):
    """Raised on SIGTERM, so that `with` and `finally` clean up as they do after Ctrl-C."""


def run(main: Callable[[], None]) -> NoReturn:
    """Run `main`, then exit.

    Exit codes: 0 after success, 1 after wrong input, where a file cannot be used, and under a locale without UTF-8, 130
    after Ctrl-C, 141 after a closed pipe, 143 after SIGTERM. Any other exception passes through.
    """
    if (encoding := sys.getfilesystemencoding()) != "utf-8":
        sys.exit(
            f"error: this locale's encoding is {encoding}; UTF-8 is needed: export LC_ALL=C.UTF-8, or PYTHONUTF8=1"
        )
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
        if error.errno not in UNUSABLE:
            raise
        what = UNUSABLE[error.errno].format(reason=error.strerror)
        sys.exit(f"error: {printable(str(error.filename or 'a file'))} {what}")
    sys.exit(0)


def printable(text: str) -> str:
    """The text with control characters escaped, which a terminal could take for commands. Line breaks stay."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def one_line(error: BaseException) -> str:
    """Another library's message in one line, without colours.

    It is whole, because a remedy often stands at its end; of a page that a server sent, the middle is left out.
    """
    text = " ".join(COLOUR.sub("", str(error)).split())
    if len(text) > 2 * LONGEST_END:
        text = f"{text[:LONGEST_END]} ... {text[-LONGEST_END:]}"
    return text or type(error).__name__


def printable_line(text: str) -> str:
    """The text in one line, printable: a file's name may hold line breaks."""
    return printable(text).replace("\n", "\\n")


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + signum)
