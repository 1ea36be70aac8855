"""Fetches a text encoder from the hub, https://huggingface.co or what HF_ENDPOINT names."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postergenre.errors import InputError, one_line
from postergenre.networks.text_encoders import settings
from postergenre.networks.text_encoders.lock import UnavailableError


@dataclass(frozen=True)
class HubModel:
    """A model on the hub.

    address: for people.
    revision: the newest commit.
    licence: None where the hub states none.
    bytes: of the files.
    files: those that are needed.
    """

    repository: str
    address: str
    revision: str
    licence: str | None
    bytes: int
    files: list[str]


def look_up(repository: str) -> HubModel:
    """What the hub says of a model. repository: as ORG/NAME.

    Raises:
        InputError: huggingface_hub is missing, the hub does not answer or has no such model, or a file is missing.
    """
    library = _library()
    try:
        info = library.HfApi(endpoint=_endpoint()).model_info(repository, files_metadata=True)
    except Exception as error:  # those of huggingface_hub and of its HTTP client have no common class
        raise InputError(f"the hub gives no model {repository}: {one_line(error)}") from None
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or []}
    if missing := [name for name in settings.NEEDED if name not in sizes]:
        raise InputError(
            f"{repository} on the hub has no {missing[0]}; a text encoder has {', '.join(settings.NEEDED)}"
        )
    names = [name for name in (*settings.NEEDED, *settings.OPTIONAL) if name in sizes]
    licence = (info.card_data or {}).get("license")
    size = sum(sizes[name] for name in names)
    return HubModel(
        repository, f"{_endpoint() or 'https://huggingface.co'}/{repository}", info.sha, licence, size, names
    )


def fetch(repository: str, revision: str | None, names: list[str], folder: Path) -> None:
    """Write files of a model into a folder. What an interrupted call left there is used.

    Raises:
        UnavailableError: huggingface_hub is missing, or the hub does not give a file.
    """
    library = _library()
    for name in names:
        try:
            library.hf_hub_download(repository, name, revision=revision, local_dir=folder, endpoint=_endpoint())
        except Exception as error:  # as above
            raise UnavailableError(f"the hub does not give {name} of {repository}: {one_line(error)}") from None


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UnavailableError("the hub needs the package huggingface_hub; pip install 'postergenre[text]'") from None
    return huggingface_hub
