"""The `postergenre` command."""

import argparse
from collections.abc import Sequence
from typing import Any

from postergenre import account, errors
from postergenre.commands import catalogues, encoders, pipeline, predicting, runs, sharing, watching
from postergenre.commands.arguments import Command


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exits 0, 1 after an error, 2 after a wrong command line."""
    arguments = _parser().parse_args(argv)
    account.prepare()
    errors.run(lambda: arguments.command(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postergenre", description="Tell a film's genres from its poster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Command, summary: str, **options: Any) -> argparse.ArgumentParser:
        name = command.__name__.rstrip("_")  # `import` is a word of Python's
        added = commands.add_parser(name, help=summary, description=command.__doc__, **options)
        added.set_defaults(command=command)
        return added

    for group in (predicting, watching, pipeline, runs, catalogues, encoders, sharing):
        group.add_commands(add)
    return parser


if __name__ == "__main__":
    main()
