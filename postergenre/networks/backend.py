"""Keras, and what a process sets before it uses Keras.

Take `keras` from here wherever that may be the first import of it: it is imported when it is first used, which takes
seconds. Importing this module changes nothing. An entry point calls `start()` first; without that Keras works as it
comes, with TensorFlow's greeting.
"""

import ctypes
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from postergenre import account
from postergenre.errors import InputError

if TYPE_CHECKING:
    import keras

__all__ = ["configure", "float32", "keras", "start"]

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
XLA_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"

_started = False


def start() -> None:
    """Set this process up for Keras: memory, folders that may be written, TensorFlow's log level, and what
    ~/.keras/keras.json might change.

    Entry points call it before the first import of Keras and before TensorFlow starts threads. A second call does
    nothing. `TF_CPP_MIN_LOG_LEVEL=0` shows what TensorFlow writes to stderr, which helps to find out why a GPU is not
    found.
    """
    global _started
    if _started:
        return
    _started = True
    account.prepare()
    os.environ.setdefault(LOG_LEVEL, "3")
    os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"  # it counts more than keras.json
    _keep_memory()
    if "keras" in sys.modules:
        _set_conventions(importlib.import_module("keras"))


def configure(device: Literal["auto", "cpu", "gpu"], deterministic: bool, mixed_precision: bool | str) -> str:
    """Set device, determinism and precision of this process before its first operation; returns `cpu` or `gpu`.

    device, deterministic, mixed_precision: as `train` in params.yaml explains them.

    Raises:
        InputError: `device` is gpu, and there is none.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    keras = _keras()
    if deterministic:
        _make_deterministic(keras.backend.backend())
    used = "gpu" if device != "cpu" and list_gpus() else "cpu"
    if device == "gpu" and used == "cpu":
        raise InputError(
            f"train.device is gpu, but {keras.backend.backend()} finds none here; "
            f"auto or cpu trains without, {LOG_LEVEL}=0 may show why"
        )
    mixed = used == "gpu" if mixed_precision == "auto" else mixed_precision
    keras.config.set_dtype_policy("mixed_float16" if mixed else "float32")
    return used


def name() -> str:
    """The backend that Keras runs on: `tensorflow`, `jax` or `torch`."""
    return str(_keras().backend.backend())


def list_gpus() -> list[str]:
    """The GPUs that the backend sees, by its own names."""
    return [str(device) for device in _keras().distribution.list_devices("gpu")]


@contextmanager
def float32() -> Iterator[None]:
    """Layers that are made in the block compute in float32, also where the process trains in mixed precision."""
    config = _keras().config
    policy = config.dtype_policy()
    config.set_dtype_policy("float32")
    try:
        yield
    finally:
        config.set_dtype_policy(policy)


def __getattr__(name: str) -> Any:
    if name == "keras":
        return _keras()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _keras() -> Any:
    """Keras; after `start`, imported without TensorFlow's greeting."""
    if not _started or "keras" in sys.modules:
        return importlib.import_module("keras")
    if os.environ[LOG_LEVEL] == "0":
        module = importlib.import_module("keras")
    else:
        with _silent_stderr():
            module = importlib.import_module("keras")
        if os.environ[LOG_LEVEL] == "3":
            # It warns where networks are built again, as for each of ONNX, calibration and the thresholds.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _set_conventions(module)
    return module


def _set_conventions(keras: Any) -> None:
    """Keras's own values of all that ~/.keras/keras.json may change, which our layers assume."""
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def _keep_memory() -> None:
    """Let glibc keep freed memory instead of giving it back to the kernel.

    TensorFlow asks for the same large arrays in each step of a training, and the kernel would clear their pages each
    time, which takes as long as the step itself (`python -m benchmarks.step`). All threads share one arena, because
    the others cannot hold large arrays; glibc takes that setting only before there are many threads. Where glibc's own
    variables are set, they decide.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not on macOS, nor with musl
    if mallopt and not any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


def _make_deterministic(backend: str) -> None:
    """Same inputs, same bytes. Keras has no switch for it."""
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif backend == "jax" and XLA_DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_DETERMINISTIC}"


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep back what the block writes to file descriptor 2; show it if the block fails.

    TensorFlow writes several lines there before it reads its log level.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(stderr, written.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
