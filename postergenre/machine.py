"""What this process may use of the machine: processors and memory. A container's limits count, where it has some.

Linux gives a container's limits as control groups: version 2 as `cpu.max` and `memory.max`, version 1 as
`cpu.cfs_quota_us` and `memory.limit_in_bytes`. A limit of a group holds for all groups inside it. `root` is the file
system's root; tests pass others.
"""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path("/")


def processors(root: Path = ROOT) -> int:
    """The processors that this process may use, a part of one counted as one: by its affinity and its CPU quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([allowed, *(math.ceil(quota) for quota in _cpu_quotas(root))])


def memory(root: Path = ROOT) -> int:
    """The bytes that this process may use, with all that runs beside it."""
    return min([psutil.virtual_memory().total, *(limit for _, limit in _memory_limits(root))])


def free_memory(root: Path = ROOT) -> int:
    """The bytes that are free now, with what the kernel can free at once."""
    return min([psutil.virtual_memory().available, *(limit - _used(group) for group, limit in _memory_limits(root))])


def own_memory() -> int:
    """The bytes that this process has taken, without the files that it maps where the system tells them apart."""
    memory = psutil.Process().memory_info()
    return int(memory.rss) - int(getattr(memory, "shared", 0))


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Each CPU quota that holds for this process, in processors."""
    for group in _groups(root, "cpu"):
        words = _words(group / "cpu.max") or _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
        if len(words) == 2 and words[0].isdecimal():  # neither "max" nor -1, which are no limits
            yield int(words[0]) / int(words[1])


def _memory_limits(root: Path) -> Iterator[tuple[Path, int]]:
    """Each group that limits this process's memory, and its limit in bytes."""
    for group in _groups(root, "memory"):
        for word in _words(group / "memory.max") + _words(group / "memory.limit_in_bytes"):
            if word.isdecimal():
                yield group, int(word)


def _used(group: Path) -> int:
    """The bytes that a group uses, without the files that the kernel would drop."""
    used = sum(map(int, _words(group / "memory.current") + _words(group / "memory.usage_in_bytes")))
    words = _words(group / "memory.stat")
    statistics = dict(zip(words[::2], words[1::2], strict=False))
    files = (statistics.get(f"total_{name}", statistics.get(name, 0)) for name in ("inactive_file", "active_file"))
    return used - sum(map(int, files))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The control groups that this process is in, from the innermost to the outermost.

    A group's path may be the host's, which a container does not see: it sees its own group as the outermost.
    """
    mounts = root / "sys/fs/cgroup"
    with suppress(OSError):  # no Linux
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or controller in controllers.split(","):
                mount, own = mounts / controller if controllers else mounts, Path(path.lstrip("/"))
                yield from (mount / group for group in (own, *own.parents) if ".." not in group.parts)


def _words(file: Path) -> list[str]:
    """The words in a file of the kernel; none where there is no such file."""
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []
