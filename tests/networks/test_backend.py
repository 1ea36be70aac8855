"""What `backend.start` sets, and what importing the backend leaves alone."""

import ctypes
import json
import sys
from pathlib import Path

import pytest

from postergenre.networks import backend
from postergenre.networks.backend import keras
from tests import support

CODE = """
import sys, threading
from pathlib import Path
from postergenre.networks import backend
backend.start()

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


GLIBC = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")


def kept_after(code: str, folder: Path) -> int:
    """The MiB that a process keeps of 200 that it allocated and freed."""
    return int(support.run(sys.executable, "-c", code, cwd=folder).stdout)


@GLIBC
@pytest.mark.parametrize(("variables", "least", "most"), [({}, 150, 1000), ({"MALLOC_PERTURB_": "0"}, -1000, 60)])
def test_freed_memory_is_kept_unless_glibcs_own_variables_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], least: int, most: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert least <= kept_after(CODE, tmp_path) <= most


@GLIBC
def test_importing_the_backend_leaves_memory_as_it_was(tmp_path: Path) -> None:
    assert kept_after(CODE.replace("backend.start()", ""), tmp_path) <= 60


@pytest.mark.parametrize("order", ["backend.start(); keras = backend.keras", "import keras; backend.start()"])
def test_start_decides_what_a_file_of_keras_might(tmp_path: Path, order: str) -> None:
    theirs = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.01, "backend": "tensorflow"}
    if order.startswith("backend.start"):  # else Keras has read it, and has its backend
        theirs["backend"] = "torch"
    (tmp_path / "keras.json").write_text(json.dumps(theirs))
    code = f"""
from postergenre.networks import backend
{order}
backend.start()
config = keras.config
print(config.image_data_format(), config.floatx(), config.epsilon(), config.backend())
"""
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    done = support.run(sys.executable, "-c", code, cwd=support.ROOT, env=environment)
    assert done.stdout.splitlines()[-1] == "channels_last float32 1e-07 tensorflow", done.stderr


def test_keras_comes_without_tensorflows_greeting_once_started() -> None:
    code = "from postergenre.networks import backend; backend.start(); print(backend.keras.__name__)"
    done = support.run(sys.executable, "-c", code, cwd=support.ROOT)
    assert (done.stdout, done.stderr) == ("keras\n", "")


def test_float32_holds_within_its_block_alone() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with backend.float32():
            assert keras.config.dtype_policy().name == "float32"
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
