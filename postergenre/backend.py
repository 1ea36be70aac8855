"""Keras, imported without the greeting of its backend: take `keras` from here wherever it may be the first import.

TensorFlow writes several lines to stderr before its log level counts. `TF_CPP_MIN_LOG_LEVEL=0` shows them again, which
helps to find out why a GPU is not found.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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


if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
    import keras
else:
    with _silent_stderr():
        import keras

__all__ = ["keras"]
