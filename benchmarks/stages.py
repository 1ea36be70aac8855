"""Seconds, processor seconds and peak memory of each stage, as a Markdown table.

    python -m benchmarks.stages

Runs every stage as `dvc repro` does, with params.yaml, and replaces the outputs. Posters in downloads/ are not fetched
again: move the folder away to time a whole crawl.

The peak is what a stage needs: its processes' memory together, without the files that they map, since the kernel can
drop those. It is looked at four times a second.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

STAGES = ("scrape", "resize", "read", "dataset", "train", "evaluate")
# Seconds between two looks at a stage's memory.
PAUSE = 0.25


def measure(stage: str) -> tuple[float, float, float]:
    """Run a stage; returns wall seconds, processor seconds and the peak in MB, all its processes included.

    Raises:
        SystemExit: the stage failed.
    """
    started, before, peak = time.monotonic(), os.times(), 0.0
    with subprocess.Popen([sys.executable, "-m", f"stages.{stage}"]) as process:
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(PAUSE)
    if process.returncode:
        sys.exit(f"{stage} failed")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, cpu, peak


def _memory(pid: int) -> float:
    """MB of a process and all that it started."""
    try:
        process = psutil.Process(pid)
        return sum(map(_memory_of_one, [process, *process.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0.0


def _memory_of_one(process: psutil.Process) -> float:
    """MB of one process, without files that it maps where the system tells them apart, as Linux does."""
    try:
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            anonymous = re.search(r"^RssAnon:\s*(\d+) kB", status.read_text(), re.MULTILINE)
            return int(anonymous[1]) * 1024 / 1e6 if anonymous else 0.0
        return float(process.memory_info().rss) / 1e6
    except (OSError, psutil.NoSuchProcess):  # it has just ended
        return 0.0


def main() -> None:
    rows = [(stage, *measure(stage)) for stage in STAGES]
    total = sum(row[1] for row in rows)
    print("\n| stage | seconds | share | processor seconds | peak memory, MB |\n|---|--:|--:|--:|--:|")
    for stage, wall, cpu, peak in rows:
        print(f"| {stage} | {wall:.1f} | {wall / total:.0%} | {cpu:.1f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
