"""How long `postergenre predict` takes, for one picture and for a folder of them.

    python -m benchmarks.predict FOLDER [--model DIR]

Beside it, what importing TensorFlow alone takes: the answer comes from ONNX and does not wait for that.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

TIMES = 3


def seconds(command: list[str]) -> float:
    """The shortest of a few runs, each from a cold start.

    Raises:
        CalledProcessError: the command failed.
    """
    taken = []
    for _ in range(TIMES):
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        taken.append(time.monotonic() - started)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="models")
    given = parser.parse_args()
    pictures = sorted(file for file in given.folder.glob("*") if file.is_file())
    if not pictures:
        sys.exit(f"error: there are no files in {given.folder}")
    predict = [sys.executable, "-m", "postergenre.cli", "predict", "--model", given.model]
    tensorflow, one, folder = (
        seconds([sys.executable, "-c", "import tensorflow"]),
        seconds([*predict, str(pictures[0])]),
        seconds([*predict, str(given.folder)]),
    )
    print("| | seconds | of importing TensorFlow |\n|---|--:|--:|")
    print(f"| importing TensorFlow | {tensorflow:.2f} | 100% |")
    print(f"| one picture | {one:.2f} | {one / tensorflow:.0%} |")
    print(f"| {len(pictures):,} pictures, {len(pictures) / folder:.0f} a second | {folder:.2f} | |")


if __name__ == "__main__":
    main()
