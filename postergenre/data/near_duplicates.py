"""Groups of posters that look alike (re-releases, copies, crops), so that one split can take the whole group."""

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from postergenre.data.store import Store, batches

# Hashes that are compared with all others at once: 512 x 38,000 hashes take 156 MB.
BLOCK = 512


def compute_hashes(store: Store, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The 64-bit perceptual hashes `(n,)` of the posters in these store rows `(n,)`.

    Method: the signs of low frequencies of a discrete cosine transform (Zauner 2010, https://www.phash.org).
    """
    values = [
        np.packbits(imagehash.phash(Image.fromarray(poster)).hash).view(">u8")[0]
        for batch in batches(rows, 256)
        for poster in store[batch]
    ]
    return np.array(values, dtype=np.uint64)


def find_groups(hashes: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.int64]:
    """A group number for each hash `(n,)`.

    Two hashes are in one group if they differ in at most `bits` bits, or if a chain of such pairs joins them.
    """
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for start in range(0, len(hashes), BLOCK):
        distance = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes[None, start:])
        near = np.array(np.nonzero(distance <= bits), dtype=np.int64)
        pairs.append(near + start)
    left, right = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(len(hashes), len(hashes)))
    _, group = connected_components(graph, directed=False)
    return np.asarray(group, dtype=np.int64)
