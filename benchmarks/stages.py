"""Seconds, processor seconds and peak memory of each stage, as a Markdown table.

    python -m benchmarks.stages

Runs every stage as `dvc repro` does, with params.yaml, and replaces the outputs. Posters in downloads/ are not fetched
again: move the folder away to time a whole crawl.
"""

import os
import sys
import time

STAGES = ("scrape", "resize", "dataset", "train", "evaluate")


def measure(stage: str) -> tuple[float, float, float]:
    """Run a stage; returns wall seconds, processor seconds and MiB of the largest process, workers included.

    Raises:
        SystemExit: the stage failed.
    """
    started = time.monotonic()
    process = os.posix_spawn(sys.executable, [sys.executable, "-m", f"stages.{stage}"], os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"{stage} failed")
    mebibytes = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, mebibytes


def main() -> None:
    rows = [(stage, *measure(stage)) for stage in STAGES]
    total = sum(row[1] for row in rows)
    print("\n| stage | seconds | share | processor seconds | peak memory, MiB |\n|---|--:|--:|--:|--:|")
    for stage, wall, cpu, peak in rows:
        print(f"| {stage} | {wall:.1f} | {wall / total:.0%} | {cpu:.1f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
