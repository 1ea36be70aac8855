"""Makes a catalogue of a folder of pictures: subfolders are genres, or a table has the labels.

A picture's name without its suffix is its film's id. The pictures stay where they are: the catalogue names their folder
as its source, `folder:PATH/**/{id}.*`.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from operator import eq
from pathlib import Path, PurePosixPath
from typing import Any

from postergenre import files
from postergenre.data import catalogue_formats, film_ids, images, tables
from postergenre.data.catalogue import Catalogue
from postergenre.data.catalogue_formats import IMPORTED, IMPORTED_COLUMNS
from postergenre.data.genre_cells import GenreCells
from postergenre.errors import InputError
from scraper import proposed_columns
from scraper.folder import PREFIX, Folder, NoFileError, are_equal, check_template

# The pictures of each film by its id, as paths in the folder.
Pictures = Mapping[str, list[PurePosixPath]]
# So many cells of a column tell whether it names pictures.
CELLS = 200


@dataclass
class PictureFolder:
    """A catalogue in the making.

    source: `scrape.source` for it.
    genres: of each film, by id.
    titles: of the films that have one, by id.
    left_out: how often and by what example something was left out, by the reason.
    """

    source: str
    genres: dict[str, set[str]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)

    def leave_out(self, reason: str, example: object) -> None:
        """Count what is left out."""
        times, first = self.left_out.get(reason, (0, str(example)))
        self.left_out[reason] = times + 1, first

    def __str__(self) -> str:
        labelled = sum(bool(genres) for genres in self.genres.values())
        names = {genre for genres in self.genres.values() for genre in genres}
        lines = [f"{len(self.genres):,} films, {labelled:,} of them with a genre; {len(names):,} genres"]
        lines += _tell(self.left_out)
        return "\n  ".join(lines)

    def write(self, file: Path) -> str:
        """Write the catalogue; returns what became of the file: `written`, `unchanged` or `replaced`.

        Raises:
            InputError: the file is there and was not made of this folder.
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(IMPORTED_COLUMNS)
        for film_id, genres in sorted(self.genres.items()):
            table.writerow([film_id, self.titles.get(film_id, ""), "|".join(sorted(genres)), self.source])
        new, is_there = text.getvalue().encode(), file.exists()
        if is_there and file.read_bytes() == new:
            return "unchanged"
        if is_there and read_source(file) != self.source:
            raise InputError(f"{file} is there and was not made of this folder; move it, or rename the folder")
        with files.atomic_write(file) as scratch:
            scratch.write_bytes(new)
        return "replaced, for the folder or its labels have changed" if is_there else "written"


def read_source(catalogue: Path) -> str:
    """The source that a catalogue made by `postergenre import` names, "" for any other file."""
    try:
        table = tables.open_table(catalogue)
        if catalogue_formats.recognise(table, None).name == IMPORTED:
            source = next((str(row.values[0]) for row in table.rows(["source"]) if not row.fault), "")
            return source if source.startswith(PREFIX) else ""
    except InputError:
        pass
    return ""


def read(folder: Path, labels: Path | None, genre_names: Mapping[str, str], max_bytes: int) -> PictureFolder:
    """Make a catalogue of a folder.

    labels: a table with a film's id or its picture's name, and its genres; None for subfolders as genres.
    genre_names, max_bytes: as in `scrape` in params.yaml.

    Raises:
        InputError: the folder or its labels do not give one film with a genre.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; it should hold pictures")
    source = f"{PREFIX}{folder.as_posix()}/**/{{id}}.*"
    try:
        check_template(source)
    except ValueError:
        raise InputError(f"{folder} has {{, }}, * or \\ in its path, or ~ at its start; rename it") from None
    if labels and not labels.is_file():
        raise InputError(f"{labels} is not a file; --labels should name a table of pictures and their genres")
    made = PictureFolder(source)
    pictures = _find_pictures(folder, Folder(source, max_bytes), made)
    _pass_over(folder, made)
    if not pictures:
        raise InputError(
            f"{folder} has no picture ({', '.join(sorted(images.SUFFIXES))}) that can be a film's{_why(made)}"
        )
    if labels:
        _read_labels(labels, pictures, genre_names, made)
    else:
        _read_subfolders(folder, pictures, genre_names, made)
    if not any(made.genres.values()):
        raise InputError(f"no film of {folder} has a genre{_why(made)}")
    return made


def _why(made: PictureFolder) -> str:
    return "".join(f"; {line}" for line in _tell(made.left_out))


def _tell(left_out: Mapping[str, tuple[int, str]]) -> list[str]:
    return [f"{reason}: {times:,}, the first is {first}" for reason, (times, first) in left_out.items()]


def _find_pictures(folder: Path, source: Folder, made: PictureFolder) -> dict[str, list[PurePosixPath]]:
    """The pictures that pass the checks of a crawl."""
    pictures = {}
    for name, paths in source.list_pictures().items():
        places = [PurePosixPath(path.relative_to(folder).as_posix()) for path in paths]
        try:
            is_id = film_ids.normalize(name) == name
        except ValueError:
            is_id = False
        if not is_id:
            for place in places:
                made.leave_out(
                    "pictures left out, because their names are no ids (1 to 64 of A-Z a-z 0-9 . _ -)", place
                )
        elif not are_equal(paths):
            made.leave_out(
                "films left out, because several pictures have their name and differ", " and ".join(map(str, places))
            )
        else:
            try:
                images.identify(source.read(name)[1])
                pictures[name] = places
            except (NoFileError, images.ImageError) as error:
                made.leave_out("pictures left out, because a crawl would refuse them", f"{places[0]}: {error}")
    return pictures


def _pass_over(folder: Path, made: PictureFolder) -> None:
    """Count what the folder has beside pictures: files by their suffixes, and folders that are links."""
    for parent, folders, names in os.walk(folder):
        place = Path(parent).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(parent, name).is_symlink():
                made.leave_out("folders passed over, because they are links; copy what they lead to", place / name)
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if suffix not in images.SUFFIXES and not name.startswith("."):
                kind = f"{suffix} files" if suffix else "files without a suffix"
                made.leave_out(f"{kind} passed over, because posters are {images.NAMES}", place / name)


def _read_subfolders(folder: Path, pictures: Pictures, genre_names: Mapping[str, str], made: PictureFolder) -> None:
    """Each film's genres by the folders that it lies in."""
    deep = next((place for places in pictures.values() for place in places if len(place.parts) > 2), None)
    if deep:
        raise InputError(
            f"{folder / deep} lies {len(deep.parts) - 1} folders deep; the subfolders are the genres, so pictures "
            f"should lie directly in them: import {folder / deep.parts[0]}, or give the genres with --labels"
        )
    names = sorted({place.parts[0] for places in pictures.values() for place in places if len(place.parts) == 2})
    if not names:
        raise InputError(f"{folder} has no subfolders with pictures, which would be genres; give them with --labels")
    cells = GenreCells(names, genre_names)
    genres: dict[str, tuple[str, ...]] = {}
    for name in names:
        try:
            genres[name] = cells.read(name)
        except ValueError as error:
            raise InputError(f"{folder / name} should be named as a genre: {error}") from None
    for film_id, places in pictures.items():
        parents = [place.parts[0] for place in places if len(place.parts) == 2]
        made.genres[film_id] = {genre for parent in parents for genre in genres[parent]}
        if not parents:
            made.leave_out("films without a genre, because their pictures lie in no subfolder", places[0])
        elif not made.genres[film_id]:
            made.leave_out("films without a genre, because their subfolder's name stands for none", places[0])


# Labels


def _read_labels(labels: Path, pictures: Pictures, genre_names: Mapping[str, str], made: PictureFolder) -> None:
    """Each film's genres by a table."""
    first = ""
    for place, film_id, title, genres in _labels(labels, pictures, genre_names, made):
        first = first or film_id
        if film_id not in pictures:
            made.leave_out(f"rows of {labels} that name no picture", f"{film_id}, {place}")
            continue
        made.genres.setdefault(film_id, set()).update(genres)
        if title and title != (earlier := made.titles.setdefault(film_id, title)):
            example = f"{film_id}, {place}: {title!r} after {earlier!r}"
            made.leave_out(f"rows of {labels} with another title for their film, put together", example)
    if not first:
        raise InputError(f"no row of {labels} can be read{_why(made)}")
    if not made.genres:
        raise InputError(
            f"no row of {labels} names a picture; its first film is {first!r} and the first picture "
            f"{next(iter(pictures.values()))[0]}: ids should be the pictures' names{_why(made)}"
        )
    for film_id in pictures.keys() - made.genres.keys():
        made.genres[film_id] = set()
    missing = sorted(film_id for film_id, genres in made.genres.items() if not genres)
    for film_id in missing:
        made.leave_out(f"films without a genre in {labels}", film_id)


def _labels(
    labels: Path, pictures: Pictures, genre_names: Mapping[str, str], made: PictureFolder
) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """The place, the film's id, its title and its genres of each row.

    Of a published table they are those of its format, if pictures are called by its ids.
    """
    table = tables.open_table(labels)
    try:
        films = Catalogue(labels, None, genre_names)
        is_published = any(film.film_id in pictures for film in films)
    except InputError:
        is_published = False
    if not is_published:
        yield from _own_labels(table, pictures, genre_names, made)
        return
    for film in films:
        if film.problem:
            made.leave_out(f"rows of {labels} left out", film.reason)
        else:
            yield f"row {film.row}", film.film_id, film.title, film.genres


def _own_labels(
    table: tables.Table, pictures: Pictures, genre_names: Mapping[str, str], made: PictureFolder
) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    columns = proposed_columns.choose(table.columns)
    film, genre, title = _column_of_pictures(table, pictures) or columns["id"], columns["genres"], columns["title"]
    if film is None or genre is None:
        raise InputError(
            f"{table.file} has the columns {', '.join(table.columns[:30])}; it should have one named id or file and "
            f"one named genres{proposed_columns.tell_several(table.columns)}"
        )
    names = [film, genre, *([title] if title else [])]
    cells = GenreCells((row.values[1] for row in table.rows(names) if not row.fault), genre_names)
    unclear = _unclear(table, film, pictures)
    for line, values, fault in table.rows(names):
        try:
            if fault:
                raise ValueError(fault)
            film_id, genres = _id_of(_path(values[0]), film, pictures), cells.read(values[1])
            if film_id in unclear:
                raise ValueError(f"{_path(values[0])} and another row's path both fit {pictures[film_id][0]}")
            yield f"line {line}", film_id, "".join(map(catalogue_formats.text, values[2:])), genres
        except ValueError as error:
            made.leave_out(f"rows of {table.file} left out", f"line {line}: {error}")


def _column_of_pictures(table: tables.Table, pictures: Pictures) -> str | None:
    """The column whose cells name pictures: as files, else as ids. A number of the row may look like an id.

    Raises:
        InputError: several columns name other pictures, and none has files.
    """
    rows = [row.values for row in islice(table.rows(table.columns), CELLS) if not row.fault]
    cells = {name: [_path(row[place]) for row in rows] for place, name in enumerate(table.columns)}
    files = [name for name, paths in cells.items() if sum(map(_is_file, paths)) > len(rows) / 2]
    files.sort(key=lambda name: -sum(_name(path) in pictures for path in cells[name]))
    ids = [name for name, paths in cells.items() if sum(str(path) in pictures for path in paths) > len(rows) / 2]
    if files and (not ids or any(_name(path) in pictures for path in cells[files[0]])):
        return files[0]
    if any(cells[name] != cells[ids[0]] for name in ids):
        raise InputError(
            f"{table.file}: the columns {' and '.join(ids)} both name pictures of the folder; leave only one of them"
        )
    return next(iter(ids), None)


def _path(cell: Any) -> PurePosixPath:
    """A cell as the path of a picture."""
    return PurePosixPath(catalogue_formats.text(cell).replace("\\", "/").lstrip("/"))


def _is_file(path: PurePosixPath) -> bool:
    is_address = path.parts[:1] in (("http:",), ("https:",))
    return path.suffix.lower() in images.SUFFIXES and not is_address


def _name(path: PurePosixPath) -> str:
    return path.stem if path.suffix.lower() in images.SUFFIXES else path.name


def _id_of(path: PurePosixPath, column: str, pictures: Pictures) -> str:
    """The id that a path's last part is, or has before its suffix.

    Raises:
        ValueError: it is none, or its picture lies in another folder.
    """
    name = _name(path)
    film_id = name if name in pictures else film_ids.normalize_cell(name, column)
    places = pictures.get(film_id, [])
    if places and not any(_agree(path.parent, place.parent) for place in places):
        raise ValueError(f"{path} has another folder than {' and '.join(map(str, places))}")
    return film_id


def _unclear(table: tables.Table, column: str, pictures: Pictures) -> set[str]:
    """The films with a picture that fits the paths of several rows, which differ in their folders."""
    folders: dict[str, set[PurePosixPath]] = {}
    for row in table.rows([column]):
        path = _path(row.values[0])
        folders.setdefault(_name(path), set()).add(path.parent)
    return {
        film_id
        for film_id in folders.keys() & pictures.keys()
        if any(_fits_several(place.parent, folders[film_id]) for place in pictures[film_id])
    }


def _fits_several(folder: PurePosixPath, others: Iterable[PurePosixPath]) -> bool:
    fitting = [other for other in others if _agree(folder, other)]
    longest = max(fitting, key=lambda other: len(other.parts), default=folder)
    return not all(_agree(longest, other) for other in fitting)


def _agree(first: PurePosixPath, second: PurePosixPath) -> bool:
    """Whether two paths end in the same folders, as far as both have them."""
    return all(map(eq, reversed(first.parts), reversed(second.parts)))
