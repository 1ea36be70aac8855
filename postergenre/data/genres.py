"""Genre names: how catalogues write them, and their positions in the network's output."""

from collections.abc import Iterable

# What catalogues write for an unknown value.
NO_VALUE = {"", "n/a", "nan", "none", "null", "\\n"}


def canonical(names: Iterable[str]) -> tuple[str, ...]:
    """The genres among `names`: trimmed, each once, in alphabetical order."""
    return tuple(sorted({name.strip() for name in names if name.strip().lower() not in NO_VALUE}))


def vocabulary(genres: list[str]) -> dict[str, dict[str, int] | dict[str, str]]:
    """The content of `genres.json`: each genre's position in the network's output, and the genre at each position."""
    return {
        "genre2id": {genre: position for position, genre in enumerate(genres)},
        "id2genre": {str(position): genre for position, genre in enumerate(genres)},
    }
