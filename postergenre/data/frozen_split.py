"""`data/splits/NAME.csv`, in git: who is in which split. A film stays in its split from its first run on.

The first line says what the split was made with; a table `film_id,split` follows, in the order of the ids:

    # seed 1, val_share 0.15, test_share 0.15
    film_id,split
    tt0084058,train

Films that are not here now stay in the table, so that they come back to their split.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from postergenre import files
from postergenre.data import splits
from postergenre.data.split_tables import NAMES
from postergenre.data.splits import DatasetParams
from postergenre.errors import InputError

MADE_WITH = ("seed", "val_share", "test_share")
FIRST_LINE = re.compile(r"# seed (\S+), val_share (\S+), test_share (\S+)")


@dataclass(frozen=True)
class FrozenSplit:
    """The split of the films so far.

    file: where it is kept.
    names: `train`, `val` or `test` by film id; empty before the first run.
    params: `dataset` in params.yaml.
    """

    file: Path
    names: dict[str, str]
    params: DatasetParams

    def add(self, names: dict[str, str]) -> str:
        """Add the films of `names` that are new, and write the file if there are any.

        Returns: lines that say so and how to commit the file; "" where nothing was written.
        """
        new = len(names.keys() - self.names.keys())
        if not new:
            return ""
        self._write(names | self.names)
        done = f"{new:,} films are new in it" if self.names else f"it was written, with {new:,} films"
        return f"{self.file}: {done}; films stay in their split from now on. Commit it:\n{self._commands()}"

    def replace(self, names: dict[str, str]) -> str:
        """Replace the split by another one, and forget films that are not in it; returns lines that say what moved."""
        if not self.names:
            return self.add(names)
        self._write(names)
        if names == self.names:
            return f"{self.file} holds the same split as before; another dataset.seed gives another one"
        both = names.keys() & self.names.keys()
        moved = sum(names[film_id] != self.names[film_id] for film_id in both)
        counts = ", ".join(f"{list(names.values()).count(name):,} {name}" for name in NAMES)
        return (
            f"{self.file} holds another split now: {counts}. {moved:,} of {len(both):,} films moved, "
            f"{len(names) - len(both):,} are new in it, {len(self.names) - len(both):,} left it. "
            f"`dvc repro` trains on it. Commit it:\n{self._commands()}"
        )

    def _write(self, names: dict[str, str]) -> None:
        rows = [f"{film_id},{name}" for film_id, name in sorted(names.items())]
        with files.atomic_write(self.file) as new:
            text = "\n".join([_first_line(self.params), "film_id,split", *rows, ""])
            new.write_text(text, encoding="utf-8", newline="\n")

    def _commands(self) -> str:
        return f"    git add {self.file}\n    git commit {self.file}"


def read(folder: Path, params: DatasetParams) -> FrozenSplit:
    """Read the split that `dataset.split` names; it has no films before its first run.

    Raises:
        InputError: the file is no such table, or params.yaml has another seed or share than the split was made with.
    """
    frozen = _read(folder, params)
    if frozen.names:
        _check_made_with(frozen.file, params)
    return frozen


def read_to_replace(folder: Path, params: DatasetParams) -> FrozenSplit:
    """Read the split that `dataset.split` names, whatever it was made with.

    Raises:
        InputError: the file is no such table, or `dataset.split_file` gives another split.
    """
    if params.split_file is not None:
        raise InputError(
            f"dataset.split_file gives the split {params.split_file}, which is used as it is; with `split_file: null` "
            "there can be another one"
        )
    return _read(folder, params)


def _read(folder: Path, params: DatasetParams) -> FrozenSplit:
    file = folder / f"{params.split}.csv"
    return FrozenSplit(file, splits.read_given(file) if file.exists() else {}, params)


def _check_made_with(file: Path, params: DatasetParams) -> None:
    """Check the file's first line. A table without one, which somebody brought, may go on with any seed and shares."""
    with file.open(encoding="utf-8-sig") as lines:
        line = lines.readline().strip()
    if not line.startswith("#"):
        return
    match = FIRST_LINE.fullmatch(line)
    if match is None:
        raise InputError(f"{file}, line 1 is {line!r}; it should be as {_first_line(params)!r}")
    differences = [
        f"dataset.{key} {value}, and params.yaml has {getattr(params, key)}"
        for key, value in zip(MADE_WITH, match.groups(), strict=True)
        if value != str(getattr(params, key))
    ]
    if differences:
        raise InputError(
            f"{file} was made with {', '.join(differences)}: `postergenre split --new` makes another split by "
            "params.yaml, and another name in dataset.split leaves this one as it is"
        )


def _first_line(params: DatasetParams) -> str:
    return "# " + ", ".join(f"{key} {getattr(params, key)}" for key in MADE_WITH)
