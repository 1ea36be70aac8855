"""Posters that lie in a folder, `folder:PATH/{id}.jpg`: through the checks of fetched ones, into the same downloads."""

import filecmp
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from postergenre.data import images
from postergenre.errors import InputError
from scraper.downloads import TOO_LARGE, Downloads, Miss, Poster, sha256
from scraper.tasks import Status

PREFIX = "folder:"
ANY_SUFFIX = ".*"
PLACEHOLDER = re.compile(r"\{(?:imdb_)?id\}")
# Where a template may have stars.
STARS = re.compile(r"[^*]*(?:/\*\*/[^/*]*)?(?:\.\*)?")
IMDB_ID = re.compile(r"tt\d{7,}")
# Ids that are names of folders.
NO_NAMES = (".", "..")


class NoFileError(Exception):
    """There is no file to read; status and reason are the manifest's."""

    def __init__(self, status: Status, reason: str):
        super().__init__(reason)
        self.status, self.reason = status, reason


def fill(template: str, film_id: str) -> str:
    """A template with a film's id in it, "" where it asks for an IMDb id and the film has none."""
    if "{imdb_id}" in template and not IMDB_ID.fullmatch(film_id):
        return ""
    return PLACEHOLDER.sub(film_id, template)


def check_template(template: str) -> None:
    """Check a template.

    Raises:
        ValueError: it cannot be filled in.
    """
    rest = PLACEHOLDER.sub("", template)
    if rest == template or set(rest) & set("{}"):
        raise ValueError(f"{template!r} should have {{id}} or {{imdb_id}} in it, and no other braces")
    if template.startswith(f"{PREFIX}~") or (template.startswith(PREFIX) and "\\" in template):
        raise ValueError(
            f"{template!r} should have a whole path, with / between its folders: \\ and ~ are not understood"
        )
    if template.startswith(PREFIX) and not STARS.fullmatch(rest):
        raise ValueError(
            f"{template!r} may have .* at its end, for any suffix, and /**/ before the name, for subfolders"
        )


def are_equal(files: Sequence[Path]) -> bool:
    """Whether all these files have the same bytes. One that cannot be read is equal to no other."""
    try:
        return all(filecmp.cmp(files[0], file, shallow=False) for file in files[1:])
    except OSError:
        return False


class Folder:
    """The folder of a template, and the posters in it.

    template: checked; its path is absolute or relative to the project.
    max_bytes: of a poster.
    """

    def __init__(self, template: str, max_bytes: int):
        self.template, self._max_bytes = template, max_bytes
        parts = PurePosixPath(template.removeprefix(PREFIX)).parts
        fixed = next(k for k, part in enumerate(parts) if "{" in part or part == "**")
        self._written = PurePosixPath(*parts[:fixed])
        # `dvc exp run --temp` runs in a copy of the project, without what git and DVC lack; $DVC_ROOT leads back.
        self.root = Path(os.environ.get("DVC_ROOT", ""), self._written)
        self._pattern = [part for part in parts[fixed:] if part != "**"]
        self._in_subfolders = "**" in parts
        self._listed: tuple[Path, dict[str, list[Path]]] | None = None

    def check(self) -> None:
        """Check that the folder is here; else a film would seem to have no poster.

        Raises:
            InputError: it is not.
        """
        if not self.root.is_dir():
            raise InputError(f"scrape.source has {self.template}, but {self.root} is no folder; it should hold posters")

    def store(self, film_id: str, downloads: Downloads) -> None:
        """Bring the downloads up to date with a film's file: what they hold of it, or why it is no poster."""
        key = fill(self.template, film_id)
        if not key:
            return
        try:
            file, body = self.read(film_id)
            # As the template has it: the manifest is shared, and this machine's paths are nobody else's.
            url = f"{PREFIX}{self._written.joinpath(file.relative_to(self.root).as_posix())}"
            stored = downloads.get_manifest_fields(key)
            if stored and (stored["sha256"], stored["url"]) == (sha256(body), url):
                return
            extension, width, height = images.identify(body)
            downloads.put(key, Poster(url, 0, 1, extension, width, height, "", "", sha256(body), body))
        except (NoFileError, images.ImageError) as error:
            status: Status = error.status if isinstance(error, NoFileError) else "not-a-poster"
            downloads.drop(key)
            downloads.record_miss(key, Miss(status, key, str(error), attempts=1))

    def find(self, film_id: str) -> Path:
        """A film's file. Of files with the same bytes, as in the folders of two genres, the first by its path.

        Raises:
            NoFileError: there is none that may be read, or several that differ.
        """
        if film_id in NO_NAMES:
            raise NoFileError("refused", "the id is no file's name")
        *folders, name = (PLACEHOLDER.sub(film_id, part) for part in self._pattern)
        parent = self.root.joinpath(*folders)
        is_listed = self._in_subfolders or name.endswith(ANY_SUFFIX)
        files = self._list(parent).get(name, []) if is_listed else [parent / name]
        if not are_equal(files):
            names = ", ".join(file.relative_to(parent).as_posix() for file in files)
            raise NoFileError("failed", f"{len(files)} files fit and differ: {names}")
        if not files or not os.path.lexists(files[0]):
            raise NoFileError("gone", "no such file")
        if not files[0].exists():
            raise NoFileError("gone", "its link leads nowhere")
        if not files[0].resolve().is_relative_to(self.root.resolve()):
            raise NoFileError("refused", "it leads out of the folder")
        if not files[0].is_file():
            raise NoFileError("not-a-poster", "it is no file")
        return files[0]

    def read(self, film_id: str) -> tuple[Path, bytes]:
        """A film's file and its bytes.

        Raises:
            NoFileError: as `find`, or the file is too large or cannot be read.
        """
        file = self.find(film_id)
        try:
            if file.stat().st_size > self._max_bytes:
                raise NoFileError("failed", TOO_LARGE)
            return file, file.read_bytes()
        except OSError as error:
            raise NoFileError("failed", f"it cannot be read ({error.strerror})") from None

    def list_pictures(self) -> dict[str, list[Path]]:
        """Of a template such as PATH/**/{id}.*, the files in the folder by their names without suffix."""
        return {name.removesuffix(ANY_SUFFIX): paths for name, paths in self._list(self.root).items()}

    def _list(self, parent: Path) -> dict[str, list[Path]]:
        """The files in a folder by the names that find them: read once for all films that lie in it."""
        if not self._listed or self._listed[0] != parent:
            names: dict[str, list[Path]] = {}
            any_suffix = self._pattern[-1].endswith(ANY_SUFFIX)
            for file in sorted(parent.rglob("*") if self._in_subfolders else parent.glob("*")):
                is_hidden = any(part.startswith(".") for part in file.relative_to(parent).parts)
                # Beside pictures, people keep notes and tables of the same name.
                if not is_hidden and (not any_suffix or file.suffix.lower() in images.SUFFIXES):
                    names.setdefault(f"{file.stem}{ANY_SUFFIX}" if any_suffix else file.name, []).append(file)
            self._listed = parent, names
        return self._listed[1]
