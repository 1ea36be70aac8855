"""Keras, imported without the greeting of its backend: take `keras` from here wherever it may be the first import.

TensorFlow writes several lines to stderr before its log level counts. `TF_CPP_MIN_LOG_LEVEL=0` shows them again, which
helps to find out why a GPU is not found.
"""

import ctypes
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def _keep_memory() -> None:
    """Let glibc keep what was freed, instead of giving it back to the kernel.

    TensorFlow asks for the same large arrays in each step of a training, and the kernel would clear their pages each
    time, which takes as long as the step itself (`python -m benchmarks.step`). One arena for all threads, for those
    beside the first cannot hold large arrays; it has to be said before there are many. Who sets glibc's own variables
    decides.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not on macOS, nor with musl
    if mallopt and not any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hold back what the block writes to file descriptor 2; show it after all if the block fails."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


_keep_memory()
if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
    import keras
else:
    with _silent_stderr():
        import keras
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3":
        # It warns where networks are made anew, as for each of ONNX, calibration and the thresholds.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)

__all__ = ["keras"]
