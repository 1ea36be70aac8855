"""Memory that TensorFlow gives back stays with the process."""

import ctypes
import sys
from pathlib import Path

import pytest

from tests import support

CODE = """
import sys, threading
from pathlib import Path
from postergenre.networks import backend

def resident():
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line).split()[1])

def allocate():
    del blocks[:]
    blocks.extend(b"x" * (8 << 20) for _ in range(25))
    del blocks[:]

blocks, before = [], resident()
thread = threading.Thread(target=allocate)
thread.start()
thread.join()
print((resident() - before) // 1024)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
@pytest.mark.parametrize(("variables", "least", "most"), [({}, 150, 1000), ({"MALLOC_PERTURB_": "0"}, -1000, 60)])
def test_freed_memory_is_kept_unless_glibcs_own_variables_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], least: int, most: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    kept = int(support.run(sys.executable, "-c", CODE, cwd=tmp_path).stdout)
    assert least <= kept <= most
