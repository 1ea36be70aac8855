"""What each setting of the reader is worth: processor seconds a poster, and the words read.

    python -m benchmarks.reading POSTERS [--catalogue FILE] [--posters 60]

Each poster is read in every way, one after another, by one process with one thread, so other programs slow all alike.
`seconds` are those of the first way. `as first`: of the words that a way and the first one read, the share that both
did. `titles`: of the words of the films' titles, the share that was read, by the catalogue with the films' titles.

POSTERS: a folder of pictures named after their films' ids.
"""

import argparse
import random
import re
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from postergenre.data.catalogue import Catalogue
from postergenre.data.texts import whole
from postergenre.reading.engine import SETTINGS, Reader

ARENA = "EngineConfig.onnxruntime.enable_cpu_mem_arena"
AS_IT_COMES: dict[str, Any] = {ARENA: False}
WAYS: dict[str, dict[str, Any]] = {
    "as the package comes": AS_IT_COMES,
    "without the classifier of angles": AS_IT_COMES | {"Global.use_cls": False},
    "and lines one at a time, padded to 320 pixels": AS_IT_COMES | {"Global.use_cls": False, "Rec.rec_batch_num": 1},
    "and padded to 64": SETTINGS | {"Det.limit_side_len": 736, ARENA: False},
    "and with ONNX Runtime's memory arena": SETTINGS | {"Det.limit_side_len": 736},
    "**and the detector at 640 pixels, not 736: the stage**": SETTINGS,
    "the stage, the detector at 544": SETTINGS | {"Det.limit_side_len": 544},
    "the stage, the detector at 448": SETTINGS | {"Det.limit_side_len": 448},
}
SEED = 1


def words(text: str) -> Counter[str]:
    """The words of a text, without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return Counter(re.findall(r"[a-z0-9]+", plain))


def shared(one: Counter[str], two: Counter[str]) -> float:
    """The share of two texts' words that both have; 1 for two empty ones."""
    total = one.total() + two.total()
    return 2 * (one & two).total() / total if total else 1.0


def measure(files: list[Path], titles: dict[str, str]) -> list[tuple[str, float, float, float]]:
    """By way its name, processor seconds a poster, and the shares of words: as the first way, and of the titles."""
    readers = {name: Reader(settings) for name, settings in WAYS.items()}
    seconds, same, read = (dict.fromkeys(WAYS, 0.0) for _ in range(3))
    total = 0
    for file in tqdm(files, unit=" posters", disable=None):
        title, first = words(titles.get(file.stem, "")), None
        total += title.total()
        for name, reader in readers.items():
            started = time.process_time()
            lines = reader(file.read_bytes())
            seconds[name] += time.process_time() - started
            text = words(whole(lines))
            first = text if first is None else first
            same[name] += shared(first, text)
            read[name] += (title & text).total()
    return [(name, seconds[name] / len(files), same[name] / len(files), read[name] / max(total, 1)) for name in WAYS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="POSTERS")
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="a table with the films' titles")
    parser.add_argument("--posters", type=int, default=60, metavar="N", help="how many to read (default: 60)")
    arguments = parser.parse_args()
    files = sorted(file for file in arguments.folder.iterdir() if file.is_file())
    files = random.Random(SEED).sample(files, min(arguments.posters, len(files)))
    titles = {film.film_id: film.title for film in Catalogue(arguments.catalogue)} if arguments.catalogue else {}
    rows = measure(files, titles)
    print("\n| way | seconds | as first | titles |\n|---|--:|--:|--:|")
    for name, seconds, same, read in rows:
        print(f"| {name} | {seconds / rows[0][1]:.2f} | {same:.3f} | {read:.3f} |")
    print(f"\n{len(files)} posters, {rows[0][1]:.2f} processor seconds each by the first way")


if __name__ == "__main__":
    main()
