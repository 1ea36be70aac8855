"""The posters of a project whose data is here: which film a picture is of, its title, its split and a thumbnail."""

import io
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from postergenre.errors import InputError

if TYPE_CHECKING:
    from postergenre.data.store import Store

SPLITS = ("train", "val", "test")
# Pixels; a larger poster is made smaller.
WIDTH = 200
QUALITY = 85


class KnownPosters:
    """The posters of the project in a folder; threads may share it.

    titles: by film id.
    splits: by film id, `train`, `val` or `test`.

    Raises:
        InputError: the project's data is not here, or damaged.
    """

    def __init__(self, project: Path):
        from postergenre.data import manifest, split_tables

        data = project / "data"
        table = manifest.read(data / "posters" / manifest.FILE)
        table = table[table["status"] == "ok"]
        self.titles: dict[str, str] = dict(zip(table["film_id"], table["title"], strict=True))
        self._film_of: dict[str, str] = dict(zip(table["sha256"], table["film_id"], strict=True))
        self.splits: dict[str, str] = {}
        for name in SPLITS:
            split = split_tables.read_split(data / "dataset" / f"{name}.csv")
            self.splits |= dict.fromkeys(split.film_ids, name)
        self._resized = data / "resized"

    def film_of(self, sha256: str) -> str | None:
        """The film with the poster whose bytes have this SHA-256, in hexadecimal."""
        return self._film_of.get(sha256)

    def split_of(self, sha256: str) -> str | None:
        """In which split the poster with this SHA-256 is; None for one that is in none."""
        film_id = self._film_of.get(sha256)
        return None if film_id is None else self.splits.get(film_id)

    def has_thumbnail(self, film_id: str) -> bool:
        """Whether there is one: `data/resized` may be missing, for it is not shared."""
        return film_id in self._rows

    def thumbnail(self, film_id: str) -> bytes | None:
        """The film's poster as a JPEG, at most 200 pixels wide; None where it is not here."""
        if self._store is None or film_id not in self._rows:
            return None
        image = Image.fromarray(self._store[[self._rows[film_id]]][0])
        if image.width > WIDTH:
            image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=QUALITY)
        return stream.getvalue()

    @cached_property
    def _store(self) -> "Store | None":
        from postergenre.data.store import Store

        try:
            return Store(self._resized)
        except InputError:
            return None

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {} if self._store is None else {film_id: row for row, film_id in enumerate(self._store.film_ids)}
