"""Reads `params.yaml` strictly. The code has no defaults, so DVC tracks every value that it uses."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from postergenre.errors import InputError

FILE = Path("params.yaml")


class Section(BaseModel):
    """Base class of a section: every key must be given, with exactly its type, and no other key."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def load(name: str, section: type[S], file: Path = FILE) -> S:
    """Read section `name` of `file` as a `section`.

    name: such as `scrape`, or `networks.resnet` for a section in a section.

    Raises:
        InputError: the file or the section is missing, or a key is unknown, missing, of the wrong type or out of range.
    """
    value = read(file)
    for depth, key in enumerate(name.split("."), 1):
        if not isinstance(value, dict) or key not in value:
            known = ", ".join(map(str, value)) if isinstance(value, dict) else "none"
            path = ".".join(name.split(".")[:depth])
            raise InputError(f"{file} has no section {path}; there are: {known}")
        value = value[key]
    return parse(name, section, value, file)


def parse(name: str, section: type[S], value: Any, file: Path = FILE) -> S:
    """Check `value` and return it as a `section`.

    Raises:
        InputError: `value` has faults; the message lists all of them, with their keys.
    """
    try:
        return section.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{file}: " + "; ".join(_explain(name, dict(fault)) for fault in error.errors())) from None


def read(file: Path = FILE) -> dict[str, Any]:
    """All of `file`, unchecked.

    Raises:
        InputError: the file is missing, not in UTF-8 or no YAML, or holds no sections.
    """
    try:
        value = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise InputError(f"{file} holds {type(value).__name__}; it must hold sections")
    return value


def read_text(file: Path = FILE) -> str:
    """The text of `file`, byte for byte.

    Raises:
        InputError: the file is missing or not in UTF-8.
    """
    try:
        data = file.read_bytes()
        return data.decode()
    except FileNotFoundError:
        raise InputError(f"{file} is missing; run this in the project's folder") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}, line {line} is not in UTF-8; save the file in UTF-8") from None


def _explain(name: str, fault: dict[str, Any]) -> str:
    place = ".".join([name, *map(str, fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"{place} is not a known key"
    if fault["type"] == "missing":
        return f"{place} is missing"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{place} is {fault['input']!r}; it {message}" if message.startswith("should") else f"{place}: {message}"
