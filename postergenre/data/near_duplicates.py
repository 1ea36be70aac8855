"""Groups of posters that look alike: re-releases, re-uploads and crops that must not stand on both sides of a split."""

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from postergenre.data.store import Store, batches

# Rows compared with all others at once: 512 x 38,000 hashes are 156 MB.
BLOCK = 512


def hashes(store: Store, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The 64-bit perceptual hash of each poster (discrete cosine transform; Zauner 2010, https://www.phash.org)."""
    found = [
        np.packbits(imagehash.phash(Image.fromarray(poster)).hash).view(">u8")[0]
        for batch in batches(rows, 256)
        for poster in store[batch]
    ]
    return np.array(found, dtype=np.uint64)


def groups(posters: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.int64]:
    """A group number for each hash `(n,)`: equal for two that differ in at most `bits` bits, directly or by a chain."""
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for start in range(0, len(posters), BLOCK):
        distance = np.bitwise_count(posters[start : start + BLOCK, None] ^ posters[None, start:])
        near = np.array(np.nonzero(distance <= bits), dtype=np.int64)
        pairs.append(near + start)
    one, other = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(len(posters), len(posters)))
    _, group = connected_components(graph, directed=False)
    return np.asarray(group, dtype=np.int64)
