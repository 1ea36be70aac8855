"""resize: decode each poster once.

Reads   data/posters/: the tar shards shard-*.tar
Writes  data/resized/: the array shards shard-*.npy with uint8 (posters, height, width, 3), index.csv, rejects.csv,
        store.json
Params  resize
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.data import packing

POSTERS = Path("data/posters")
OUTPUT = Path("data/resized")


def main() -> None:
    resize = params.load("resize", packing.ResizeParams)
    with files.atomic_folder(OUTPUT) as folder:
        packed, refused = packing.write(POSTERS, folder, resize)
        if not packed:
            raise errors.InputError(f"{POSTERS} holds no poster that can be decoded; run `dvc repro scrape`")
    print(f"{packed:,} posters at {resize.height} x {resize.width}, {refused:,} refused (data/resized/rejects.csv)")


if __name__ == "__main__":
    errors.run(main)
