"""How long `postergenre predict` takes, for one picture and for a folder of pictures, with their text and without.

    python -m benchmarks.predict FOLDER [--model DIR]

For comparison, the time to import TensorFlow: `predict` uses ONNX and does not import it. For a model that does not
read, both ways are the same.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

TIMES = 3
WAYS = {"": (), ", `--no-text`": ("--no-text",)}


def seconds(command: list[str]) -> tuple[float, float]:
    """The seconds of the fastest of a few runs, each in a new process: by the clock, and of all processors (on Unix).

    Raises:
        CalledProcessError: the command failed.
    """
    clock, used = [], []
    for _ in range(TIMES):
        started, before = time.monotonic(), os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        clock.append(time.monotonic() - started)
        used.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(clock), min(used)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="models")
    arguments = parser.parse_args()
    pictures = sorted(file for file in arguments.folder.glob("*") if file.is_file())
    if not pictures:
        sys.exit(f"error: there are no files in {arguments.folder}")
    predict = [sys.executable, "-m", "postergenre.cli", "predict", "--model", arguments.model]
    tensorflow, tensorflow_used = seconds([sys.executable, "-c", "import tensorflow"])
    print("| | seconds | of the TensorFlow import | processor seconds | of its |\n|---|--:|--:|--:|--:|")

    def show(name: str, clock: float, used: float) -> None:
        of_used = f"{used:.2f} | {used / tensorflow_used:.0%}" if tensorflow_used else "|"
        print(f"| {name} | {clock:.2f} | {clock / tensorflow:.0%} | {of_used} |", flush=True)

    show("importing TensorFlow", tensorflow, tensorflow_used)
    for what, given in (("one picture", pictures[0]), (f"{len(pictures):,} pictures", arguments.folder)):
        for way, options in WAYS.items():
            show(f"{what}{way}", *seconds([*predict, *options, str(given)]))


if __name__ == "__main__":
    main()
