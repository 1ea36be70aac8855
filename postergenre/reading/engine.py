"""The engine that reads a poster: rapidocr, which finds lines of text and reads each, by ONNX Runtime on the processor.

Its networks, PP-OCRv6, come with its package. They know Latin letters with accents, Chinese and Japanese signs, and
some Greek. Of Cyrillic, Hebrew and Arabic they make nothing, or Latin letters that look alike.
"""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from postergenre.data import images
from postergenre.data.images import ImageError
from postergenre.data.texts import NONE, Engine, Line
from postergenre.errors import InputError, one_line
from postergenre.params import Section

Name = Literal["none", "rapidocr"]
# What reads a picture: the bytes of a file, or RGB uint8 `(height, width, 3)`.
Read = Callable[[bytes | npt.NDArray[np.uint8]], list[Line]]
RAPIDOCR: Name = "rapidocr"
HOW_TO_INSTALL = "`uv pip install --editable '.[text]'` installs it"

# Raise it where the code below makes other lines of what the engine answers.
WAY = 1
# rapidocr's own settings, where ours differ. benchmarks/README.md says what each is worth.
SETTINGS: dict[str, Any] = {
    "Global.use_cls": False,  # no classifier of lines that are upside down
    "Det.limit_side_len": 640,  # pixels of a picture's shorter side where lines are looked for
    "Rec.rec_batch_num": 1,  # lines that are read at a time; shorter ones would be padded to the longest
    "Rec.rec_img_shape": [3, 48, 64],  # channels, height, and the width to which a short line is padded
}
# They change no line.
RUNTIME: dict[str, Any] = {
    "Global.log_level": "critical",
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
}
# Processor seconds that a poster of 300 x 444 takes; benchmarks/README.md has the command.
SECONDS = 0.5
# A line this many times as high as wide stands on end: the engine turns it before it reads it.
ON_END = 1.5
# Digits of shares.
DIGITS = 4


class ReadParams(Section):
    """`read` in params.yaml, which explains each key."""

    engine: Name


class Reader:
    """Reads posters in this process, with one thread. Loading takes two seconds.

    settings: of rapidocr.
    """

    def __init__(self, settings: Mapping[str, Any] = SETTINGS):
        import cv2
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        self._ocr = RapidOCR(params={**RUNTIME, **settings})

    def __call__(self, picture: bytes | npt.NDArray[np.uint8]) -> list[Line]:
        """The lines of a picture, from top to bottom; [] for none.

        picture: the bytes of a file, or RGB uint8 `(height, width, 3)`.

        Raises:
            ImageError: the bytes are no usable picture, or the engine fails on it.
        """
        rgb = np.asarray(images.decode(picture)) if isinstance(picture, bytes) else picture
        try:
            read: Any = self._ocr(np.ascontiguousarray(rgb[:, :, ::-1]))
        except Exception as error:  # its libraries raise exceptions of any type
            raise ImageError(f"its reader failed ({one_line(error)})") from error
        if read.boxes is None:
            return []
        height, width = rgb.shape[:2]
        return [
            _line(text, confidence, np.asarray(box, np.float64), height, width)
            for text, confidence, box in zip(read.txts, read.scores, read.boxes, strict=True)
        ]


def load(name: Name) -> Read:
    """What reads a picture; for `none` it finds nothing.

    Raises:
        InputError: the engine's package is not installed, or does not load.
    """
    check_installed(name)
    if name == NONE:
        return lambda picture: []
    try:
        return Reader()
    except ImportError as error:  # OpenCV lacks a library of the system, or another package is broken
        raise InputError(f"{name} is installed and does not load ({one_line(error)})") from None


def load_as(engine: Engine) -> Read:
    """What reads a picture as it was read for a model; one line on stderr says where another version reads.

    Raises:
        InputError: the engine is not known, or not installed.
    """
    name = next((name for name in get_args(Name) if name == engine.name), None)
    if name is None:
        raise InputError(f"the model reads posters with {engine.name}; this version has {', '.join(get_args(Name))}")
    if not is_installed():
        raise InputError(
            f"this model reads posters with {name}, which is not installed; {HOW_TO_INSTALL}; --no-text "
            "predicts by the picture alone"
        )
    here = describe(name)
    if here != engine:
        other = here.version if here.version != engine.version else "the same with other settings"
        print(f"warning: the model was trained on what {name} {engine.version} reads; here is {other}", file=sys.stderr)
    return load(name)


def describe(name: Name) -> Engine:
    """What `data/text/` says of the engine. Nothing is loaded.

    Raises:
        InputError: its package is not installed.
    """
    check_installed(name)
    return Engine(name, "", {}) if name == NONE else Engine(name, f"{importlib.metadata.version(name)}-{WAY}", SETTINGS)


def is_installed() -> bool:
    """Whether rapidocr is here."""
    return importlib.util.find_spec(RAPIDOCR) is not None


def check_installed(name: Name) -> None:
    """Check that the package of an engine is here.

    Raises:
        InputError: it is not.
    """
    if name != NONE and not is_installed():
        raise InputError(f"read.engine is {name}, which is not installed; {HOW_TO_INSTALL}, or set it to {NONE}")


def _line(text: str, confidence: float, box: npt.NDArray[np.float64], height: int, width: int) -> Line:
    """A line as shares of a picture.

    box: `(4, 2)` in pixels.
    """
    sides = np.linalg.norm(box - np.roll(box, -1, axis=0), axis=1)  # upper, right, lower, left
    across, along = max(sides[0], sides[2]), max(sides[1], sides[3])
    letters = across if along >= ON_END * across else along
    shares = (box / [width, height]).round(DIGITS).ravel().tolist()
    return Line(text, round(float(confidence), DIGITS), tuple(shares), round(float(letters / height), DIGITS))
