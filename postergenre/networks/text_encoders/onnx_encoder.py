"""A text encoder as ONNX in a folder, which turns texts into vectors without Keras. This module writes and reads it."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from postergenre import files, machine
from postergenre.errors import InputError
from postergenre.networks.text_encoders import onnx_graph, settings
from postergenre.networks.text_encoders.onnx_graph import Precision
from postergenre.networks.text_encoders.tokens import Tokens, pad
from postergenre.networks.text_encoders.weights import Weights

if TYPE_CHECKING:  # `predict` waits for none of what finds an encoder
    from postergenre.networks.text_encoders.finding import EncoderFiles

MODEL, TOKENIZER, DESCRIPTION = "encoder.onnx", "tokenizer.json", "encoder.json"
MADE_BY = "`dvc repro train`"
BATCH = 16  # texts


def export(encoder: "EncoderFiles", folder: Path, precision: Precision) -> None:
    """Write an encoder into an existing folder; the same encoder gives the same bytes.

    precision: of the weights, see `onnx_graph.build`.

    Raises:
        InputError: the encoder's files are not of a family that this project computes.
    """
    read = settings.read(encoder.folder)
    model = onnx_graph.build(read, Weights(encoder.folder, read), precision)
    (folder / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    (folder / TOKENIZER).write_bytes((encoder.folder / settings.TOKENIZER).read_bytes())
    digests = {file: files.sha256(folder / file) for file in (MODEL, TOKENIZER)}
    description = {
        "name": encoder.name,
        "precision": precision,
        "settings": dataclasses.asdict(read),
        "sha256": digests,
    }
    files.write_json(folder / DESCRIPTION, description)


def digest(folder: Path) -> str:
    """The SHA-256 over all that decides a text's vector, of an encoder in a folder that `export` wrote."""
    return files.sha256(folder / DESCRIPTION)


class OnnxEncoder:
    """The encoder in a folder that `export` wrote.

    name: as params.yaml has it.
    width: of a vector.
    digest: see `digest`.

    Args:
        folder: of the encoder.
        checked: whether its files are known to be those that `export` wrote, so that they are not hashed.

    Raises:
        InputError: the folder is not as `export` writes it, or `tokenizers` is missing.
    """

    def __init__(self, folder: Path, checked: bool = False):
        import onnxruntime  # takes half a second

        description = files.read_json(folder / DESCRIPTION, MADE_BY)
        try:
            for file, listed in description["sha256"].items():
                if not checked and files.sha256(folder / file) != listed:
                    raise InputError(
                        f"{folder / file} is not what {DESCRIPTION} beside it names; {MADE_BY} writes both"
                    )
            read = description["settings"]
            self.name, self.width = str(description["name"]), int(read["width"])
            self._pad = int(read["pad"])
            self._tokens = Tokens(folder / TOKENIZER, read["prompt"], read["lower"], read["max_tokens"])
        except FileNotFoundError as error:
            raise InputError(f"{error.filename} is missing; {MADE_BY} writes it") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{folder / DESCRIPTION} describes no text encoder ({error!r}); {MADE_BY} writes it"
            ) from None
        self.digest = digest(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = machine.processors()
        # All but what changes the layout of pictures: that finds nothing here, and takes a quarter of the loading.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        self._session = onnxruntime.InferenceSession(folder / MODEL, options, providers=["CPUExecutionProvider"])

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors float32 `(texts, width)`; zeros for a text without any character but spaces.

        A text that is longer than the model's longest is cut.
        """
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}  # equal texts are computed once
        vectors = np.zeros((len(places), self.width), np.float32)
        for rows, computed in self.batches(list(places)):
            vectors[rows] = computed
        return vectors[[places[text] for text in texts]]

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
        """The vectors as they are computed: texts of similar length together, the shortest first.

        Yields the texts' places, and their vectors float32 `(places, width)`. Empty texts are left out.
        """
        rows = [row for row, text in enumerate(texts) if text.strip()]
        tokens = dict(zip(rows, self._tokens([texts[row] for row in rows]), strict=True))
        rows.sort(key=lambda row: len(tokens[row]))
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            ids, mask = pad([tokens[row] for row in batch], self._pad)
            yield batch, self._session.run(None, {"ids": ids, "mask": mask})[0]
