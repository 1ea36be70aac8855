"""What commands share: how each is added to the parser, and types of their arguments."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

Command = Callable[[argparse.Namespace], None]


class Add(Protocol):
    """Adds a command to the parser: the function, a summary for `--help`, and options of `ArgumentParser`.

    The command has the function's name without a final underscore, and the docstring describes it.
    """

    def __call__(self, command: Command, summary: str, **options: Any) -> argparse.ArgumentParser: ...


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 upwards")
    return int(text)


def reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; it should say why")
    return text.strip()


def named(text: str) -> str:
    if not text:  # in a script, a variable is unset
        raise argparse.ArgumentTypeError("it is empty; it should name something")
    return text


def path(text: str) -> Path:
    return Path(named(text))
