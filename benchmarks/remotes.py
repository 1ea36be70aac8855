"""Seconds of `dvc pull` of the posters, the arrays and the tables, from a folder, by ssh and from S3, and of a repro.

    python -m benchmarks.remotes

All three remotes are on this machine: Debian's `openssh-server`, and moto, a server for tests, for an S3. What the
last commit's dvc.lock names must be in the cache. Each time it is pulled into a new clone with a cache of its own, in
which no stage has anything to do then.
"""

import getpass
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo

from tests.team import servers

STAGES = ("scrape", "resize", "dataset")


def timed(*command: str, cwd: Path) -> float:
    """Seconds of a command.

    Raises:
        SystemExit: it failed.
    """
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - started


def clone(folder: Path, remote: str) -> Path:
    timed("git", "clone", "-q", ".", str(folder), cwd=Path.cwd())
    timed(sys.executable, "-m", "postergenre.cli", "team", remote, cwd=folder)
    return folder


def measured(folder: Path, remote: str) -> list[float]:
    """Seconds of the push, of the pull into another clone, and of the repro there."""
    mine, theirs = clone(folder / "mine", remote), clone(folder / "theirs", remote)
    with Repo() as repo:
        timed("dvc", "config", "--local", "cache.dir", repo.cache.local_cache_dir, cwd=mine)
    verbs: Sequence[Sequence[str]] = (("push", *STAGES), ("pull", *STAGES), ("repro", STAGES[-1]))
    return [timed("dvc", *verb, cwd=mine if verb[0] == "push" else theirs) for verb in verbs]


@contextmanager
def remotes(folder: Path) -> Iterator[dict[str, str]]:
    with servers.sshd(folder / "sshd", folder / "home") as port, servers.s3("films") as address:
        os.environ |= servers.CREDENTIALS | {"AWS_ENDPOINT_URL": address, "HOME": str(folder / "home")}
        os.environ.pop("SSH_AUTH_SOCK", None)
        places = {name: folder / name for name in ("a folder", "ssh")}
        for place in places.values():
            place.mkdir()
        ssh = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{places['ssh']}"
        yield {"a folder": str(places["a folder"]), "ssh": ssh, "S3": "s3://films/posters"}


def main() -> None:
    lines = []
    with tempfile.TemporaryDirectory() as scratch, remotes(Path(scratch)) as places:
        for name, remote in places.items():
            (here := Path(scratch, f"from {name}")).mkdir()
            lines.append(f"| {name} | " + " | ".join(f"{seconds:.1f}" for seconds in measured(here, remote)) + " |")
    print("\n| from | push | pull | no-op repro |\n|---|--:|--:|--:|", *lines, sep="\n")


if __name__ == "__main__":
    main()
