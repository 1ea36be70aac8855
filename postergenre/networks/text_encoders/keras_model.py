"""A text encoder in Keras, for any of its backends: BERT's and MPNet's families.

Devlin et al., BERT, 2018; Song et al., MPNet, 2020, which adds T5's relative positions to the attention.
"""

from typing import Any

import numpy as np

from postergenre.networks import backend
from postergenre.networks.backend import keras
from postergenre.networks.text_encoders.settings import Settings
from postergenre.networks.text_encoders.weights import Array, Weights

LAYERS, OPS = keras.layers, keras.ops
# What is added to the attention of a token that is padding.
MASKED = -1e9


def build(settings: Settings, weights: Weights) -> "TextEncoder":
    """The model with its weights, in float32."""
    with backend.float32():
        return TextEncoder(settings, weights)


class TextEncoder(keras.Model):
    """Turns tokens into a text's vector.

    Inputs: ids int32 `(n, tokens)`, padded at the end, and a mask `(n, tokens)`, 1 for a token and 0 for padding.
    Output: float32 `(n, width)`.
    """

    def __init__(self, settings: Settings, weights: Weights):
        super().__init__(name="text_encoder")
        distances = weights.distances()
        self.settings = settings
        self.words, self.positions = _embedding(weights.words()), _embedding(weights.positions())
        self.distances = None if distances is None else _embedding(distances)
        self.norm = _norm(settings, *weights.embedding_norm())
        self.blocks = [Block(settings, weights, number) for number in range(settings.layers)]

    def call(self, inputs: Any) -> Any:
        ids, mask = inputs
        mask = OPS.cast(mask, "float32")
        places = OPS.arange(OPS.shape(ids)[1], dtype="int32")
        vectors = self.norm(self.words(ids) + self.positions(places))
        added = (1 - mask[:, None, None, :]) * MASKED
        if self.distances is not None:
            apart = places[None, :] - places[:, None] + (self.settings.max_tokens - 1)
            added = added + OPS.transpose(self.distances(apart), (2, 0, 1))
        for block in self.blocks:
            vectors = block(vectors, added)
        return self._pooled(vectors, mask[:, :, None])

    def _pooled(self, vectors: Any, mask: Any) -> Any:
        if self.settings.pooling == "cls":
            pooled = vectors[:, 0]
        elif self.settings.pooling == "max":
            pooled = OPS.max(vectors + (1 - mask) * MASKED, axis=1)
        else:
            pooled = OPS.sum(vectors * mask, axis=1) / OPS.sum(mask, axis=1)
        return OPS.normalize(pooled, axis=-1) if self.settings.normalize else pooled


class Block(keras.layers.Layer):
    """One layer: attention, then two dense layers, each added to its input and normalised."""

    def __init__(self, settings: Settings, weights: Weights, number: int):
        super().__init__(name=f"block_{number}")
        parts = ("query", "key", "value", "attended", "up", "down")
        self.heads, self.activation = settings.heads, settings.activation
        self.dense = {part: _dense(*weights.dense(number, part)) for part in parts}
        self.norms = {part: _norm(settings, *weights.norm(number, part)) for part in ("attention_norm", "norm")}

    def call(self, vectors: Any, added: Any) -> Any:
        query, key, value = (self._by_head(self.dense[part](vectors)) for part in ("query", "key", "value"))
        scores = OPS.matmul(query, OPS.transpose(key, (0, 1, 3, 2))) / np.sqrt(query.shape[-1]).item()
        attended = OPS.transpose(OPS.matmul(OPS.softmax(scores + added), value), (0, 2, 1, 3))
        attended = self.dense["attended"](OPS.reshape(attended, OPS.shape(vectors)))
        vectors = self.norms["attention_norm"](vectors + attended)
        hidden = _activate(self.dense["up"](vectors), self.activation)
        return self.norms["norm"](vectors + self.dense["down"](hidden))

    def _by_head(self, vectors: Any) -> Any:
        """`(n, tokens, width)` as `(n, heads, tokens, width / heads)`."""
        count, tokens, width = OPS.shape(vectors)
        return OPS.transpose(OPS.reshape(vectors, (count, tokens, self.heads, width // self.heads)), (0, 2, 1, 3))


def _activate(values: Any, activation: str) -> Any:
    return OPS.relu(values) if activation == "relu" else OPS.gelu(values, approximate=activation == "gelu_new")


def _embedding(table: Array) -> Any:
    layer = LAYERS.Embedding(*table.shape, embeddings_initializer="zeros")
    return _with(layer, (None, None), table)


def _dense(kernel: Array, bias: Array) -> Any:
    return _with(LAYERS.Dense(kernel.shape[1], kernel_initializer="zeros"), (None, kernel.shape[0]), kernel, bias)


def _norm(settings: Settings, scale: Array, shift: Array) -> Any:
    return _with(LAYERS.LayerNormalization(epsilon=settings.epsilon), (None, len(scale)), scale, shift)


def _with(layer: Any, shape: tuple[int | None, ...], *weights: Array) -> Any:
    """The layer, built for inputs of a shape, with weights."""
    layer.build(shape)
    layer.set_weights(list(weights))
    return layer
