"""A text encoder in Keras and as ONNX with its weights in each precision: texts a second, and what rounding changes.

    python -m benchmarks.text_encoders FILE [--encoder NAME]

FILE has a text a line. The nearest text of each text is looked up among the others, by the cosine.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre import errors, files
from postergenre.errors import InputError
from postergenre.networks import backend
from postergenre.networks.text_encoders import finding, onnx_encoder, settings
from postergenre.networks.text_encoders.finding import EncoderFiles
from postergenre.networks.text_encoders.onnx_encoder import BATCH, OnnxEncoder
from postergenre.networks.text_encoders.tokens import Tokens, pad
from postergenre.networks.text_encoders.weights import Weights

Vectors = npt.NDArray[np.float32]
Encoder = Callable[[Sequence[str]], Vectors]

LOCK = Path("text_encoders.lock")
PRECISIONS, QUANTIZED = ("float32", "float16", "int8"), "int8 by quantize_dynamic"
COLUMNS = (
    *("", "files, MB", "memory of the export, MB", "texts a second", "texts a processor second", "beside Keras"),
    *("cosine to Keras, mean", "least", "same nearest text"),
)
# Exports an encoder; prints the process's peak memory in MB. `resource` would count its parent's too.
EXPORT = """
import re, sys
from pathlib import Path
from postergenre.networks.text_encoders import finding, onnx_encoder
onnx_encoder.export(finding.find(sys.argv[1], Path(sys.argv[2])), Path(sys.argv[3]), sys.argv[4])
status = Path("/proc/self/status")
print(int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) // 1000 if status.exists() else "")
"""


def export(name: str, folder: Path, precision: str) -> str:
    """Export an encoder in a process of its own; returns that process's peak memory in MB, on Linux.

    Raises:
        CalledProcessError: it failed.
    """
    folder.mkdir()
    command = [sys.executable, "-c", EXPORT, name, str(LOCK), str(folder), precision]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def quantize(folder: Path, target: Path) -> None:
    """Write an encoder of float32 as onnxruntime's own `quantize_dynamic` does it, with a scale for each unit."""
    from onnxruntime import quantization

    target.mkdir()
    shutil.copy(folder / onnx_encoder.TOKENIZER, target)
    int8 = {"weight_type": quantization.QuantType.QInt8, "per_channel": True, "reduce_range": True}
    logging.getLogger().setLevel(logging.ERROR)  # it advises to prepare the file, which these have no need of
    quantization.quantize_dynamic(folder / onnx_encoder.MODEL, target / onnx_encoder.MODEL, **int8)
    description = files.read_json(folder / onnx_encoder.DESCRIPTION, "export")
    description["sha256"][onnx_encoder.MODEL] = files.sha256(target / onnx_encoder.MODEL)
    files.write_json(target / onnx_encoder.DESCRIPTION, description)


def by_keras(here: EncoderFiles) -> Encoder:
    """The encoder in Keras, by batches of similar length as `OnnxEncoder` has them."""
    backend.start()  # before the next line imports Keras
    from postergenre.networks.text_encoders import keras_model

    read = settings.read(here.folder)
    tokens = Tokens(here.folder / settings.TOKENIZER, read.prompt, read.lower, read.max_tokens)
    model = keras_model.build(read, Weights(here.folder, read))

    def encode(texts: Sequence[str]) -> Vectors:
        numbers = tokens(texts)
        rows = sorted(range(len(texts)), key=lambda row: len(numbers[row]))
        vectors = np.zeros((len(texts), read.width), np.float32)
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            vectors[batch] = np.asarray(model(list(pad([numbers[row] for row in batch], read.pad))))
        return vectors

    return encode


def one_by_one(encoder: Encoder) -> Encoder:
    """The encoder, given one text at a time."""
    return lambda texts: np.concatenate([encoder([text]) for text in texts])


def measure(encode: Encoder, texts: list[str]) -> tuple[Vectors, float, float]:
    """The vectors, and texts a second, by the clock and by the seconds of all processors."""
    encode(texts[:BATCH])
    clock, used = time.monotonic(), time.process_time()
    vectors = encode(texts)
    return vectors, len(texts) / (time.monotonic() - clock), len(texts) / (time.process_time() - used)


def likeness(vectors: Vectors, others: Vectors) -> list[str]:
    """Mean and least cosine of the texts' vectors in both, and the share of texts that have the same nearest text."""
    cosines = (vectors * others).sum(axis=1)
    nearest = []
    for each in (vectors, others):
        table = each @ each.T
        np.fill_diagonal(table, -2)
        nearest.append(table.argmax(axis=1))
    return [f"{cosines.mean():.4f}", f"{cosines.min():.4f}", f"{np.mean(nearest[0] == nearest[1]):.1%}"]


def show(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_encoders")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--encoder", default="mpnet")
    arguments = parser.parse_args()
    texts = [line for line in arguments.file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not texts:
        raise InputError(f"{arguments.file} has no text; it should have a text a line")
    here = finding.find(arguments.encoder, LOCK)
    show(*COLUMNS)
    show("---", *["--:"] * (len(COLUMNS) - 1))
    plain, clock, first = measure(by_keras(here), texts)
    show("Keras, float32", f"{here.bytes / 1e6:.0f}", "", f"{clock:.1f}", f"{first:.1f}", "1.00", "", "", "")
    with tempfile.TemporaryDirectory() as scratch:
        memory = {name: export(arguments.encoder, Path(scratch, name), name) for name in PRECISIONS}
        quantize(Path(scratch, PRECISIONS[0]), Path(scratch, QUANTIZED))
        for name in (*PRECISIONS, QUANTIZED):
            size = sum(file.stat().st_size for file in Path(scratch, name).iterdir())
            encoder = OnnxEncoder(Path(scratch, name))
            for way, encode in (("", encoder), (", one by one", one_by_one(encoder))):
                vectors, clock, used = measure(encode, texts)
                speed = [f"{clock:.1f}", f"{used:.1f}", f"{used / first:.2f}"]
                cells = [f"{size / 1e6:.0f}", memory.get(name, ""), *speed, *likeness(plain, vectors)]
                show(f"ONNX, {name}{way}", *cells)


if __name__ == "__main__":
    errors.run(main)
