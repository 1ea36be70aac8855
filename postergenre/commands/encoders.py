"""`postergenre encoder`."""

import argparse
from pathlib import Path

from postergenre.commands.arguments import Add, named


def add_commands(add: Add) -> None:
    """Add these commands to the parser."""
    _take_encoder(add(encoder, "fetch and check a text encoder"))


def encoder(arguments: argparse.Namespace) -> None:
    """Fetch a text encoder, check its files, and add it to text_encoders.lock if that does not have it.

    NAME is one of the lock file, such as minilm or mpnet, hf:ORG/NAME for a model of the hub, or a folder. Its size and
    its licence are printed before anything is fetched.
    """
    from postergenre.networks.text_encoders import finding

    found = finding.add(arguments.name, Path("text_encoders.lock"))
    print(f"{found.name} is in {found.folder}: {found.bytes / 1e6:,.0f} MB, licence {found.licence or 'not stated'}")
    print("its files are those that text_encoders.lock lists")


def _take_encoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=named, metavar="NAME", help="minilm, mpnet, hf:ORG/NAME or a folder")
