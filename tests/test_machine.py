"""Limits of control groups, of both versions, as trees of files and as the kernel's own."""

import mmap
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest

from postergenre import machine
from tests import support

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TOTAL = psutil.virtual_memory().total


def make_groups(root: Path, membership: str, files: Mapping[str, str]) -> Path:
    """Make the files of a system whose process is in the groups of /proc/self/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("membership", "files", "processors"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, min(HERE, 2)),
        ("0::/\n", {"cpu.max": "max 100000\n"}, HERE),
        ("0::/\n", {"cpu.max": "99900000 100000\n"}, HERE),
        ("0::/box/app\n", {"box/cpu.max": "100000 100000\n", "box/app/cpu.max": "max 100000\n"}, 1),
        ("4:cpu,cpuacct:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, HERE),
        # The host's path of the group, which the container does not see.
        ("1:cpu:/docker/4f1\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ("0::/../..\n", {}, HERE),
    ],
)
def test_processors_are_those_of_the_quota(
    tmp_path: Path, membership: str, files: dict[str, str], processors: int
) -> None:
    assert machine.processors(make_groups(tmp_path, membership, files)) == processors


def test_a_system_without_control_groups_has_what_it_has(tmp_path: Path) -> None:
    assert machine.processors(tmp_path) == HERE
    assert machine.memory(tmp_path) == TOTAL
    assert 0 < machine.free_memory(tmp_path) < TOTAL


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        (
            "0::/box\n",
            {
                "box/memory.max": "20000000\n",
                "box/memory.current": "15000000\n",
                "box/memory.stat": "anon 9000000\ninactive_file 3000000\nactive_file 2000000\n",
                "memory.max": "max\n",
            },
        ),
        (
            "9:memory:/\n",
            {
                "memory/memory.limit_in_bytes": "20000000\n",
                "memory/memory.usage_in_bytes": "15000000\n",
                "memory/memory.stat": (
                    "inactive_file 1\nactive_file 1\ntotal_inactive_file 3000000\ntotal_active_file 2000000\n"
                ),
            },
        ),
    ],
)
def test_memory_is_the_groups_and_files_that_the_kernel_drops_are_free(
    tmp_path: Path, membership: str, files: dict[str, str]
) -> None:
    root = make_groups(tmp_path, membership, files)
    assert machine.memory(root) == 20_000_000
    assert machine.free_memory(root) == 10_000_000


def test_a_group_of_version_1_without_a_limit_has_the_machines_memory(tmp_path: Path) -> None:
    root = make_groups(tmp_path, "9:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert machine.memory(root) == TOTAL


def test_a_processs_own_memory_is_what_it_took_and_not_the_files_that_it_maps(tmp_path: Path) -> None:
    before = machine.own_memory()
    # Straight from the kernel: of the memory that NumPy freed before, the process would take none anew.
    taken = np.frombuffer(mmap.mmap(-1, 50_000_000, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)
    taken[:] = 1
    assert 45_000_000 < machine.own_memory() - before < 60_000_000
    np.save(tmp_path / "file.npy", taken)
    mapped = np.load(tmp_path / "file.npy", mmap_mode="r")
    assert mapped.sum(dtype=np.int64) == 50_000_000
    if sys.platform == "linux":  # elsewhere the two are not told apart
        assert machine.own_memory() - before < 60_000_000


@pytest.mark.skipif(HERE == 1, reason="it has one processor, so a quota of one changes nothing")
def test_a_quota_of_the_kernel_is_counted(tmp_path: Path) -> None:
    with support.cgroup("cpu", {"cpu.max": "100000 100000"}, {"cpu.cfs_quota_us": "100000"}) as within:
        code = "from postergenre import machine; print(machine.processors())"
        done = support.run(*within, sys.executable, "-c", code, cwd=support.ROOT)
    assert done.stdout == "1\n"
