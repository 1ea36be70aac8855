"""Seconds of `dvc push`, `dvc pull` and `dvc repro` of the posters, with a folder, ssh and S3 as the remote.

    python -m benchmarks.remotes

All three remotes are on this machine: Debian's `openssh-server` for ssh, and moto, a test server, for S3. The outputs
in the last commit's dvc.lock must be in the cache. Each remote is pulled into a new clone with a cache of its own,
where the repro then makes `data/resized`, which is never pushed.
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

from benchmarks import servers

STAGES = ("scrape", "resize", "dataset")


def seconds(*command: str, cwd: Path) -> float:
    """Run a command; returns its seconds.

    Raises:
        SystemExit: the command failed.
    """
    started = time.monotonic()
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed: {process.stdout[-2000:]}{process.stderr[-2000:]}")
    return time.monotonic() - started


def clone(folder: Path, remote: str) -> Path:
    """Clone the project into a folder and set its remote."""
    seconds("git", "clone", "-q", ".", str(folder), cwd=Path.cwd())
    seconds(sys.executable, "-m", "postergenre.cli", "team", remote, cwd=folder)
    return folder


def measure(folder: Path, remote: str) -> list[float]:
    """The seconds of a push, of a pull into another clone, and of a repro there."""
    mine, theirs = clone(folder / "mine", remote), clone(folder / "theirs", remote)
    cache = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    seconds("dvc", "config", "--local", "cache.dir", cache, cwd=mine)
    commands: Sequence[Sequence[str]] = (("push", *STAGES), ("pull", "--allow-missing", *STAGES), ("repro", STAGES[-1]))
    return [seconds("dvc", *command, cwd=mine if command[0] == "push" else theirs) for command in commands]


@contextmanager
def remotes(folder: Path) -> Iterator[dict[str, str]]:
    """Start the servers; gives the address of each remote by its name."""
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
            lines.append(f"| {name} | " + " | ".join(f"{each:.1f}" for each in measure(here, remote)) + " |")
    print("\n| from | push | pull | no-op repro |\n|---|--:|--:|--:|", *lines, sep="\n")


if __name__ == "__main__":
    main()
