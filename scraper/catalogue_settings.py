"""The values of `params.yaml` that a catalogue needs, for `postergenre use`."""

import re
import unicodedata
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import yaml

from postergenre.data.catalogue import Catalogue
from postergenre.data.catalogue_formats import MOVIES
from scraper import picture_folder, preview
from scraper.plan import ScrapeParams

# The networks whose input follows the catalogue: height and width, by the best figures on validation posters.
SAMPLE_SIZES = {"resize": (268, 182), "pretrained": (268, 182), "finetuned": (334, 226)}
REAL_SIZES = {"resize": (444, 300), "pretrained": (444, 300), "finetuned": (444, 300)}
POSTER_WIDTH = 300
# The name of the sample's split.
SAMPLE = "sample"


def for_sample(catalogue: str, networks: Container[str]) -> dict[str, Any]:
    """The values of the drawn sample, by their keys.

    networks: the names of the networks in params.yaml.
    """
    scrape = {"catalogue": catalogue, "columns": None, "source": "poster", "poster_width": None}
    return {f"scrape.{key}": value for key, value in scrape.items()} | {
        "dataset.split": SAMPLE,
        "read.engine": "none",
        **_sizes(SAMPLE_SIZES, networks),
    }


def for_catalogue(path: Path, scrape: ScrapeParams, networks: Container[str]) -> dict[str, Any]:
    """The values of any other catalogue, by their keys.

    scrape: the values so far. The source and the columns stay, unless they were those of another catalogue.
    networks: the names of the networks in params.yaml.
    """
    values: dict[str, Any] = {"scrape.catalogue": path.as_posix(), "scrape.poster_width": POSTER_WIDTH}
    table = preview.open_table(path)
    is_other = path.resolve() != Path(scrape.catalogue).resolve()
    if scrape.columns and preview.is_published(table) and (is_other or not preview.fits(path, scrape.columns)):
        values["scrape.columns"] = None
    source, earlier = picture_folder.read_source(path), picture_folder.read_source(Path(scrape.catalogue))
    if source:
        values |= {"scrape.source": source, "scrape.columns": None}
    elif (earlier and scrape.source == earlier) or (is_other and scrape.folders and _has_links(path, scrape, values)):
        # The files of that folder belong to the films of another catalogue, whose ids may be the same.
        values["scrape.source"] = "poster"
    return values | {"dataset.split": split_name(path), **_sizes(REAL_SIZES, networks)}


def _has_links(path: Path, scrape: ScrapeParams, values: Mapping[str, Any]) -> bool:
    """Whether a row of the catalogue has a link to a poster."""
    columns = values.get("scrape.columns", scrape.columns)
    return any(film.poster for film in Catalogue(path, columns, scrape.genre_names))


def split_name(path: Path) -> str:
    """A name for `dataset.split`: a catalogue's, without what YAML could read as anything but a text."""
    name = slug(path.parent.name if path.name == MOVIES and path.parent.name else path.name.split(".")[0])
    is_text = name[0].isalpha() and isinstance(yaml.safe_load(name), str) and len(name) > 1
    return name if is_text and name.lower() != SAMPLE else f"films-{name}"


def slug(text: str) -> str:
    """A name of letters, digits, - and _, at most 50 of them; `films` where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:50] or "films"


def _sizes(sizes: dict[str, tuple[int, int]], networks: Container[str]) -> dict[str, int]:
    places = {"resize": "resize"} | {
        name: f"networks.{name}.architecture.input" for name in sizes if name in networks and name != "resize"
    }
    return {
        f"{place}.{side}": pixels
        for name, place in places.items()
        for side, pixels in zip(("height", "width"), sizes[name], strict=True)
    }
