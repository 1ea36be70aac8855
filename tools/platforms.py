"""Check that each kind of machine in docs/install.md has wheels of all packages in requirements.lock.

`make check` runs it. uv resolves the lock for the machine's platform, by dry runs at the oldest and at the newest
Python. Nothing is installed. Where no index has the lock, nothing is checked; CI fails there.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import setup

TABLE = setup.ROOT / "docs/install.md"
VERSIONS = (setup.FITS[0], setup.FITS[-1])
SOURCE_ONLY = ("antlr4-python3-runtime",)  # pure Python, which builds anywhere
NO_SOLUTION = 1  # uv's exit code where an index was asked and lacks a wheel; 2 where uv itself failed
ROW = re.compile(r"^\| [^|]+ \| `([\w-]+)` \| (all|not all) \|", re.MULTILINE)  # its platform for uv, its wheels


def main() -> None:
    """Compare the table with the index; exit with the rows that are wrong."""
    rows = ROW.findall(TABLE.read_text(encoding="utf-8"))
    if not rows:
        setup.fail(f"{TABLE} has no rows that name a platform")
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder, "requirements.txt")
        lock.write_text(_with_wheels(setup.LOCK.read_text(encoding="utf-8")), encoding="utf-8")
        _, here = _resolve(lock)
        if here:
            sentence = f"wheels for other machines: not checked, for no index here has the lock ({here})"
            if os.environ.get("CI"):
                setup.fail(sentence)
            print(sentence)
            return
        checks = [(lock, platform, version, wheels == "all") for platform, wheels in rows for version in VERSIONS]
        with ThreadPoolExecutor() as pool:
            wrong = [error for error in pool.map(_check, *zip(*checks)) if error]
    if wrong:
        setup.fail(f"docs/install.md is wrong: {'; '.join(wrong)}")
    print(f"wheels for other machines: as docs/install.md says, for {len(rows)} platforms")


def _check(lock: Path, platform: str, version: str, expected: bool) -> str:
    """What is wrong with a row of the table at this version of Python; "" for nothing."""
    code, missing = _resolve(lock, "--python-platform", platform, "--python-version", version)
    if code not in (0, NO_SOLUTION):
        setup.fail(f"wheels for other machines: uv failed for {platform}, Python {version} ({missing})")
    if expected != bool(missing):
        return ""
    return f"{platform}, Python {version}: {missing or 'every package has a wheel'}"


@functools.cache
def _settings() -> tuple[list[str], dict[str, str]]:
    """uv's options and its environment, by what pip knows."""
    known = setup.pip_settings(Path(sys.executable), "install")
    # uv assumes macOS 13; onnxruntime's wheels begin at 14.
    settings = {"UV_HTTP_RETRIES": "1", **setup.uv_settings(known), "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    return setup.no_index(known), settings


def _resolve(lock: Path, *options: str) -> tuple[int, str]:
    """Resolve the lock by wheels alone; uv's exit code, and why it failed in uv's words, or ""."""
    no_index, environment = _settings()
    target = ("--target", str(lock.parent / "target"))  # or what .venv has would count
    wheels = ("--dry-run", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(lock))
    command = [str(setup.VENV / "bin/uv"), "pip", "install", *no_index, *wheels, *target, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.split(os.linesep) if re.match(r"\W*(cause|Caused by|Because)\b|error:", line)]
    reason = "" if done.returncode == 0 else " ".join((lines or ["error: no reason given"])[-1].split())
    return done.returncode, reason


def _with_wheels(lock: str) -> str:
    """The lock without the packages that have no wheels at all."""
    entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    return "".join(entry for entry in entries if not entry.startswith(tuple(f"{name}==" for name in SOURCE_ONLY)))


if __name__ == "__main__":
    main()
