"""`params.yaml`, read strictly: what DVC tracks is what the code sees, no default hides in between."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from postergenre.errors import InputError

FILE = Path("params.yaml")


class Section(BaseModel):
    """Base of a section's class: every key is given, of exactly its type, and none besides."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def load(name: str, section: type[S], file: Path = FILE) -> S:
    """Section `name` of `file` as a `section`; `networks.resnet` names one inside another.

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
    """`value` as a `section`; every fault of it in one `InputError` that says where it stands."""
    try:
        return section.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{file}: " + "; ".join(_explain(name, dict(fault)) for fault in error.errors())) from None


def read(file: Path = FILE) -> dict[str, Any]:
    """All of `file`, unchecked."""
    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file} is missing; run this in the project's folder") from None
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise InputError(f"{file} holds {type(value).__name__}; it must hold sections")
    return value


def _explain(name: str, fault: dict[str, Any]) -> str:
    place = ".".join([name, *map(str, fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"{place} is not a known key"
    if fault["type"] == "missing":
        return f"{place} is missing"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{place} is {fault['input']!r}; it {message}" if message.startswith("should") else f"{place}: {message}"
