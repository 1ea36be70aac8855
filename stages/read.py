"""read: what stands on each poster.

Reads   data/posters/: the tar shards shard-*.tar, manifest.csv
Writes  data/text/: texts.jsonl with the lines of each poster, texts.json; no line where `read.engine` is none
Keeps   downloads/texts.sqlite (or in $POSTERGENRE_DOWNLOADS), outside DVC: an interrupted stage goes on from there
Params  read
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.data import downloads_folder, manifest, texts
from postergenre.reading import table
from postergenre.reading.engine import ReadParams

POSTERS = Path("data/posters")
OUTPUT = Path("data/text")
DOWNLOADS = Path("downloads")


def main() -> None:
    read = params.load("read", ReadParams)
    digests = texts.list_posters(manifest.read(POSTERS / manifest.FILE))
    with files.atomic_folder(OUTPUT) as folder:
        print(table.write(POSTERS, digests, folder, read.engine, downloads_folder.locate(DOWNLOADS)))


if __name__ == "__main__":
    errors.run(main)
