"""Heat maps of all genres for one picture, without Keras: what a hidden place does to the probabilities."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from postergenre.networks.text.fusion import log_odds

# About so many places of a picture are hidden, one after the other; the side of what is hidden, in sides of a place.
# More, larger and smaller ones agree no better with Grad-CAM: benchmarks/README.md.
PLACES, SPAN = 35, 2.0
# Pictures per pass through the network; more do not fit into the processor's caches.
BATCH = 8
# A map that is 0 everywhere is divided by this.
SMALLEST = 1e-7

Network = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def heatmaps(
    network: Network, poster: npt.NDArray[np.uint8], places: int = PLACES, span: float = SPAN
) -> npt.NDArray[np.float32]:
    """How much each place of a poster raises the probability of each genre, `(genres, rows, columns)` in [0, 1].

    The poster is shown again and again with another place hidden. A place counts for a genre as far as the genre's
    log-odds fall while it is hidden (Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2). Where they rise instead, a
    place counts 0; so a map is 0 everywhere if no place raises the probability. Otherwise its maximum is 1.

    Args:
        network: from posters uint8 `(n, height, width, 3)` to probabilities float32 `(n, genres)`.
        poster: uint8 `(height, width, 3)`.
        places: about as many places are hidden.
        span: side of what is hidden, in sides of a place.
    """
    rows, columns = grid(poster.shape[0], poster.shape[1], places)
    shown = np.stack([poster, *(_hide(poster, place, (rows, columns), span) for place in np.ndindex(rows, columns))])
    odds = log_odds(np.concatenate([network(shown[first : first + BATCH]) for first in range(0, len(shown), BATCH)]))
    falls = np.maximum(odds[0] - odds[1:], 0).T.reshape(-1, rows, columns)
    heat: npt.NDArray[np.float64] = falls / np.maximum(falls.max(axis=(1, 2), keepdims=True), SMALLEST)
    return heat.astype(np.float32)


def grid(height: int, width: int, places: int = PLACES) -> tuple[int, int]:
    """Rows and columns of about so many nearly square places of a picture."""
    columns = max(round((places * width / height) ** 0.5), 1)
    return max(round(places / columns), 1), columns


def _hide(
    poster: npt.NDArray[np.uint8], place: tuple[int, ...], grid: tuple[int, int], span: float
) -> npt.NDArray[np.uint8]:
    """The poster with its mean colour around the middle of a place of the grid."""
    slices = []
    for number, places, side in zip(place, grid, poster.shape, strict=False):
        middle, half = (number + 0.5) * side / places, span * side / places / 2
        slices.append(slice(max(round(middle - half), 0), round(middle + half)))
    hidden = poster.copy()
    hidden[tuple(slices)] = poster.mean(axis=(0, 1))
    return hidden
