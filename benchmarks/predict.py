"""How long `postergenre predict` takes, for one picture and for a folder of pictures.

    python -m benchmarks.predict FOLDER [--model DIR]

For comparison, the time to import TensorFlow: `predict` uses ONNX and does not import it.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

TIMES = 3


def seconds(command: list[str]) -> float:
    """The seconds of the fastest of a few runs, each in a new process.

    Raises:
        CalledProcessError: the command failed.
    """
    times = []
    for _ in range(TIMES):
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.monotonic() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="models")
    arguments = parser.parse_args()
    pictures = sorted(file for file in arguments.folder.glob("*") if file.is_file())
    if not pictures:
        sys.exit(f"error: there are no files in {arguments.folder}")
    predict = [sys.executable, "-m", "postergenre.cli", "predict", "--model", arguments.model]
    tensorflow, one, folder = (
        seconds([sys.executable, "-c", "import tensorflow"]),
        seconds([*predict, str(pictures[0])]),
        seconds([*predict, str(arguments.folder)]),
    )
    print("| | seconds | of the TensorFlow import |\n|---|--:|--:|")
    print(f"| importing TensorFlow | {tensorflow:.2f} | 100% |")
    print(f"| one picture | {one:.2f} | {one / tensorflow:.0%} |")
    print(f"| {len(pictures):,} pictures, {len(pictures) / folder:.0f} a second | {folder:.2f} | |")


if __name__ == "__main__":
    main()
