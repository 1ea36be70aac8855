"""Genre names: how catalogues write them, and their places in the network's output."""

from collections.abc import Iterable

# What catalogues write where they know no genre.
NO_GENRE = {"", "n/a", "nan", "none", "null", "\\n"}


def canonical(names: Iterable[str]) -> tuple[str, ...]:
    """The genres among `names`, trimmed, each once, in alphabetical order."""
    return tuple(sorted({name.strip() for name in names if name.strip().lower() not in NO_GENRE}))


def vocabulary(genres: list[str]) -> dict[str, dict[str, int] | dict[str, str]]:
    """`genres.json`: the place of each genre in the output, and back."""
    return {
        "genre2id": {genre: place for place, genre in enumerate(genres)},
        "id2genre": {str(place): genre for place, genre in enumerate(genres)},
    }
