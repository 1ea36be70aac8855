"""The weights of BERT's and MPNet's families, by one set of names for both."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.errors import InputError
from postergenre.networks.text_encoders.settings import WEIGHTS, Settings

Array = npt.NDArray[np.float32]

# Farther words share a bucket of MPNet's relative positions.
MAX_DISTANCE = 128
PREFIXES = ("bert.", "mpnet.", "model.", "0.auto_model.")
# By this module's names: how the families call a layer's parts.
PARTS = {
    "bert": {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attended": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "norm": "output.LayerNorm",
    },
    "mpnet": {
        "query": "attention.attn.q",
        "key": "attention.attn.k",
        "value": "attention.attn.v",
        "attended": "attention.attn.o",
        "attention_norm": "attention.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "norm": "output.LayerNorm",
    },
}


class Weights:
    """The weights in a model's folder, read from the disk when they are asked for.

    Raises:
        InputError: the package `safetensors` or a weight is missing, or the file is of another format.
    """

    def __init__(self, folder: Path, settings: Settings):
        self._file, self._settings = folder / WEIGHTS, settings
        self._tensors = _open(self._file)
        self._names = {_plain(name): name for name in self._tensors.keys()}  # noqa: SIM118 - it is no dictionary

    def words(self) -> Array:
        """A vector for each token of the vocabulary: `(tokens, width)`."""
        return self._read("embeddings.word_embeddings.weight")

    def positions(self) -> Array:
        """A vector for each place in a text: `(max_tokens, width)`, with that of the only segment added.

        MPNet's table begins with places that its padding takes.
        """
        settings = self._settings
        start = settings.pad + 1 if settings.family == "mpnet" else 0
        table = self._read("embeddings.position_embeddings.weight")[start : start + settings.max_tokens]
        if settings.family == "bert":
            table = table + self._read("embeddings.token_type_embeddings.weight")[0]
        return table

    def distances(self) -> Array | None:
        """What MPNet adds to the attention by the distance of two tokens: `(2 * max_tokens - 1, heads)`, or None.

        The row `max_tokens - 1 + d` is for a token that stands `d` places behind the one that attends to it.
        """
        if self._settings.family != "mpnet":
            return None
        table = self._read("encoder.relative_attention_bias.weight")
        most = self._settings.max_tokens - 1
        return table[buckets(np.arange(-most, most + 1), len(table))]

    def embedding_norm(self) -> tuple[Array, Array]:
        """Scale and shift after the embeddings."""
        return self._read("embeddings.LayerNorm.weight"), self._read("embeddings.LayerNorm.bias")

    def norm(self, layer: int, part: str) -> tuple[Array, Array]:
        """Scale and shift of a layer's norm. part: a key of PARTS."""
        name = self._name(layer, part)
        return self._read(f"{name}.weight"), self._read(f"{name}.bias")

    def dense(self, layer: int, part: str) -> tuple[Array, Array]:
        """Kernel `(inputs, units)` and bias of a layer's dense part. part: a key of PARTS."""
        name = self._name(layer, part)
        return np.ascontiguousarray(self._read(f"{name}.weight").T), self._read(f"{name}.bias")

    def _name(self, layer: int, part: str) -> str:
        return f"encoder.layer.{layer}.{PARTS[self._settings.family][part]}"

    def _read(self, name: str) -> Array:
        if name not in self._names:
            raise InputError(f"{self._file} has no {name}, which a model of {self._settings.family} has")
        return np.asarray(self._tensors.get_tensor(self._names[name]), np.float32)


def buckets(distance: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """The bucket of each distance: near ones have their own, farther ones share one by the logarithm.

    Raffel et al., Exploring the Limits of Transfer Learning (T5), 2020, section 2.1; both directions have their half.
    """
    half = count // 2
    exact = half // 2
    far = np.abs(distance)
    # In float32, as the models were trained: at powers of 2 another precision may fall to another side.
    logarithm = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact))
    shared = exact + (logarithm / np.float32(np.log(MAX_DISTANCE / exact)) * np.float32(half - exact)).astype(np.int64)
    return np.where(distance > 0, half, 0) + np.where(far < exact, far, np.minimum(shared, half - 1))


def _open(file: Path) -> Any:
    """The tensors of a file, which stays mapped into memory."""
    try:
        import ml_dtypes  # noqa: F401 - a part of onnx; with it NumPy reads bfloat16
        import safetensors
    except ImportError:
        raise InputError("text encoders need the package safetensors; pip install 'postergenre[text]'") from None
    try:
        return safetensors.safe_open(file, framework="np")
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"{file} is not of the format safetensors: {error}") from None


def _plain(name: str) -> str:
    """A tensor's name without what stands before the model's own part; norms had other names once."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
