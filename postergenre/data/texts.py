"""What stands on the posters: the format of `data/text/`, which the stage `read` writes.

texts.jsonl has a line of JSON for each poster, in the order of the film ids:

    {"film_id": "tt99000001", "error": null,
     "lines": [{"text": "THE LAST ORCHARD", "confidence": 0.999, "box": [...], "height": 0.117}]}

texts.json says which engine read them, and of which posters they are.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postergenre import files
from postergenre.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TABLE, DESCRIPTION = "texts.jsonl", "texts.json"
MADE_BY = "`dvc repro read`"
# The engine's name where no text is read.
NONE = "none"
# Between two lines where they become one text.
JOINER = " "
# The title's lettering: lines of at least this share of the largest height.
TITLE_SHARE = 0.6


@dataclass(frozen=True)
class Line:
    """One line of lettering.

    text: as it was read.
    confidence: of the engine, 0 to 1.
    box: x and y of the four corners, clockwise from the text's upper left, as shares of the poster's width and height.
    height: of the letters, as a share of the poster's height.
    """

    text: str
    confidence: float
    box: tuple[float, ...]
    height: float


@dataclass(frozen=True)
class PosterText:
    """What was read on one poster.

    film_id: the film.
    lines: from top to bottom, and from left to right; () for none.
    error: a sentence that says why the poster was not read; None where it was.
    """

    film_id: str
    lines: tuple[Line, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Engine:
    """What reads posters.

    name: `none` or `rapidocr`.
    version: of its package and of our way to call it, "" for none.
    settings: that change what is read.
    """

    name: str
    version: str
    settings: dict[str, Any]


class Texts:
    """The texts of all posters. They are in memory as JSON, which takes a quarter of the memory that lines take.

    engine: what read them.
    digest: SHA-256 of the table.
    """

    def __init__(self, engine: Engine, digest: str, posters_digest: str, texts: Mapping[str, str]):
        """texts: by film, its line of the table."""
        self.engine, self.digest = engine, digest
        self._posters_digest = posters_digest
        self._texts = texts

    @classmethod
    def read(cls, folder: Path) -> "Texts":
        """Read a folder that `write` made.

        Raises:
            InputError: the folder lacks a file, or its files do not belong together.
        """
        description, table = files.read_json(folder / DESCRIPTION, MADE_BY), folder / TABLE
        try:
            if not table.is_file() or files.sha256(table) != description["sha256"]:
                raise InputError(f"{table} is not the table that {DESCRIPTION} describes; {MADE_BY} writes both anew")
            with table.open(encoding="utf-8") as lines:
                texts = {_parse(line).film_id: line for line in lines}
            engine = Engine(description["engine"], description["version"], description["settings"])
            return cls(engine, description["sha256"], description["posters_sha256"], texts)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder} does not hold texts ({error!r}); {MADE_BY} writes them anew") from None

    def __len__(self) -> int:
        return len(self._texts)

    def of(self, film_id: str) -> PosterText:
        """The text of a film's poster, without lines where the engine is `none`.

        Raises:
            InputError: the film's poster is not in the table.
        """
        if self.engine.name == NONE:
            return PosterText(film_id)
        if film_id not in self._texts:
            raise InputError(f"the table of texts has no poster of {film_id}; {MADE_BY} reads it")
        return _parse(self._texts[film_id])

    def check(self, posters: Mapping[str, str]) -> None:
        """Check that these are the texts of these posters.

        posters: by film the SHA-256 of its poster, as `list_posters` gives them.

        Raises:
            InputError: they are the texts of others.
        """
        if digest_posters(posters) != self._posters_digest:
            raise InputError(
                f"these are not the texts of the {len(posters):,} posters in the manifest; {MADE_BY} writes them anew"
            )


def write(folder: Path, engine: Engine, texts: Iterable[PosterText], posters: Mapping[str, str]) -> int:
    """Write the table and its description into a folder; returns how many posters have no line.

    texts: one for each poster, in the order of the film ids; none where the engine is `none`.
    posters: by film the SHA-256 of its poster, as `list_posters` gives them.
    """
    empty = 0
    with (folder / TABLE).open("w", encoding="utf-8", newline="\n") as table:
        for text in texts:
            table.write(json.dumps(asdict(text), ensure_ascii=False) + "\n")
            empty += not text.lines
    description = {
        "engine": engine.name,
        "version": engine.version,
        "settings": engine.settings,
        "posters": len(posters),
        "posters_sha256": digest_posters(posters),
        "sha256": files.sha256(folder / TABLE),
    }
    files.write_json(folder / DESCRIPTION, description)
    return empty


def list_posters(films: "pd.DataFrame") -> dict[str, str]:
    """By film the SHA-256 of its poster, in the order of the film ids.

    films: the manifest.
    """
    rows = films[films["status"] == "ok"].sort_values("film_id", kind="stable")
    return dict(zip(rows["film_id"], rows["sha256"], strict=True))


def digest_posters(posters: Mapping[str, str]) -> str:
    """The SHA-256 over films and their posters' SHA-256, whatever their order."""
    return files.sha256_text("".join(f"{film_id} {digest}\n" for film_id, digest in sorted(posters.items())))


def whole(lines: Sequence[Line]) -> str:
    """All lines as one text, "" for none."""
    return JOINER.join(line.text for line in lines)


def title(lines: Sequence[Line]) -> str:
    """The title's lettering as one text: the lines that are nearly as high as the highest; "" for none."""
    highest = max((line.height for line in lines), default=0.0)
    return whole([line for line in lines if line.height >= TITLE_SHARE * highest])


def _parse(line: str) -> PosterText:
    value = json.loads(line)
    lines = (Line(each["text"], each["confidence"], tuple(each["box"]), each["height"]) for each in value["lines"])
    return PosterText(value["film_id"], tuple(lines), value["error"])
