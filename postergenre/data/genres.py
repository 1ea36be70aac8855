"""The genres' positions in the network's output."""


def vocabulary(genres: list[str]) -> dict[str, dict[str, int] | dict[str, str]]:
    """The content of `genres.json`: each genre's position in the network's output, and the genre at each position."""
    return {
        "genre2id": {genre: position for position, genre in enumerate(genres)},
        "id2genre": {str(position): genre for position, genre in enumerate(genres)},
    }
