"""Commands for a team, and for the bytes that DVC keeps."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from postergenre.commands.arguments import Add

if TYPE_CHECKING:
    from postergenre.dvc_project.team import Shared


def add_commands(add: Add) -> None:
    """Add these commands to the parser."""
    _take_places(add(team, "share data and results in a team"))
    add(push, "send the team what was run here")
    add(verify, "compare what DVC keeps with its hashes")


def team(arguments: argparse.Namespace) -> None:
    """Share data and results: the same DVC remote for everyone, and one cache for all on this host."""
    from postergenre.dvc_project import team

    shared = team.share(arguments.remote, arguments.cache)
    server = f" at {shared.server}" if shared.server else ""
    print(f"remote  {shared.remote}{server}\n        in .dvc/config, for everyone: `git commit .dvc/config`")
    if shared.cache:
        print(f"cache   {shared.cache}, of the group {shared.group}, files come by {shared.link}")
        print("        in .dvc/config.local, for you on this machine")
    if shared.brought:
        print(f"        {shared.brought} files of the cache used before are in it now")
    for file in shared.corrupt:
        print(f"        left out, because it does not match its hash: {file}")
    if shared.corrupt:
        print("        `postergenre verify` prints what brings back those that are used")
    if not shared.inherits:
        print("        this file system has no default ACLs: everyone should work with `umask 002`")
    print("        a file was written, read and removed\n")
    print(_for_teammates(shared))


def push(arguments: argparse.Namespace) -> None:
    """Send the team what was run here: data, models, reports, and every experiment that is still in the cache."""
    from postergenre.dvc_project import push

    print(f"{push.push()} files sent")


def verify(arguments: argparse.Namespace) -> None:
    """Read all that DVC keeps of this project, and every poster, and compare it with its hash.

    Exits with 1 where something is corrupt or lost, and prints how to get it back.
    """
    from postergenre.dvc_project import integrity

    report = integrity.verify(Path("data/posters"))
    print(report)
    if not report.is_sound:
        sys.exit(1)


def _take_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("remote", metavar="REMOTE", help="s3://BUCKET/PATH, ssh://[ACCOUNT@]HOST/PATH or a folder")
    parser.add_argument("--cache", metavar="DIR", help="a folder on this host for all who work on it")


def _for_teammates(shared: "Shared") -> str:
    remote = shared.remote.replace("://", "://YOU@") if shared.account else shared.remote
    once = [f"make team REMOTE={remote}" + (f" CACHE={shared.cache}" if shared.cache else "")]
    lines = [
        "Teammates type once, after `git pull`:",
        *(f"    {line}" for line in once if shared.cache or shared.account),
        "    dvc pull --allow-missing                    # the posters, the model and the reports",
        "and from then on:",
        "    postergenre repro --pull --allow-missing    # runs only what nobody has run",
        "    postergenre push                            # what you ran, for the others",
    ]
    return "\n".join(lines)
