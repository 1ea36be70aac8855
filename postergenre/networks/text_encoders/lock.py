"""The lock file of text encoders: what each one's files are, by their SHA-256, and where they come from.

It lies beside params.yaml, and git keeps it. Only this module knows its format.
"""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from postergenre import files
from postergenre.errors import InputError, one_line
from postergenre.networks.text_encoders import settings

HEADER = """\
# The text encoders that params.yaml may name, their licences, where they come from, and the SHA-256 of their files.
# `postergenre encoder NAME` adds one. A file with another SHA-256 is never used.

"""


class UnavailableError(InputError):
    """A text encoder cannot be had from this place; another may have it."""


Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Part(_Section):
    """A package that holds a zip of the model, or a part of it.

    name, version: of the package.
    sha256: of its wheel.
    file: in the wheel.
    """

    name: str
    version: str
    sha256: Digest
    file: str


class Packages(_Section):
    """Where the package index has a model.

    bytes: of all wheels.
    folder: in the zip; "" for its top.
    parts: in the order in which they make the zip.
    """

    bytes: int
    folder: str
    parts: list[Part]


class Hub(_Section):
    """Where the hub has a model. repository: as ORG/NAME; revision: a commit, or null for the newest."""

    repository: str
    revision: str | None


class File(_Section):
    """A file of a model: its size and its digest."""

    bytes: int
    sha256: Digest


class Entry(_Section):
    """A text encoder. Without packages and hub, its name is a folder.

    licence: null where its files state none.
    files: by their names in the model's folder.
    """

    licence: str | None
    packages: Packages | None = None
    hub: Hub | None = None
    files: dict[str, File]

    @field_validator("files")
    @classmethod
    def _check_names(cls, listed: dict[str, File]) -> dict[str, File]:
        if missing := [name for name in settings.NEEDED if name not in listed]:
            raise ValueError(f"{missing[0]} is missing")
        if other := [name for name in listed if name not in (*settings.NEEDED, *settings.OPTIONAL)]:
            raise ValueError(f"{other[0]} is no file of a text encoder")
        return listed

    @property
    def is_folder(self) -> bool:
        """Whether its name is a folder."""
        return not self.packages and not self.hub

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(file.bytes for file in self.files.values())


def read(file: Path) -> dict[str, Entry]:
    """The text encoders by their names; none where there is no file.

    Raises:
        InputError: it is not as this module writes it.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return {str(name): Entry.model_validate(entry) for name, entry in (content or {}).items()}
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{file} is not as `postergenre encoder` writes it: {place}: {first['msg']}") from None
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError) as error:
        raise InputError(f"{file} is not as `postergenre encoder` writes it: {one_line(error)}") from None


def add(file: Path, name: str, entry: Entry) -> None:
    """Write an entry into the lock file; the others stay."""
    entries = read(file) | {name: entry}
    content = {name: entry.model_dump(exclude_defaults=True) for name, entry in entries.items()}
    with files.atomic_write(file) as new:
        new.write_text(HEADER + yaml.safe_dump(content, sort_keys=False, width=120), encoding="utf-8")


def describe(folder: Path, names: list[str]) -> dict[str, File]:
    """Sizes and digests of files in a folder."""
    return {name: File(bytes=(folder / name).stat().st_size, sha256=files.sha256(folder / name)) for name in names}


def check(name: str, entry: Entry, folder: Path, remedy: str) -> None:
    """Compare the files in a folder with the lock.

    remedy: what to do if they differ.

    Raises:
        InputError: a file is missing or has another digest.
    """
    for path, listed in entry.files.items():
        if not (folder / path).is_file():
            raise InputError(f"the text encoder {name} has no {folder / path}, which the lock file lists; {remedy}")
        if (digest := files.sha256(folder / path)) != listed.sha256:
            raise InputError(
                f"the text encoder {name} is another one than the lock file lists: {folder / path} has the SHA-256 "
                f"{digest}, not {listed.sha256}; {remedy}"
            )
