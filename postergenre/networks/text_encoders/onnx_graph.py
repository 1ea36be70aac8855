"""Writes a text encoder as ONNX, straight from its weights.

Keras and tf2onnx would hold the weights several times on the way. Here each is read, turned and written once, and the
same weights give the same bytes. The graph computes what `keras_model` does; a test compares the two.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from postergenre.networks.text_encoders.settings import Settings
from postergenre.networks.text_encoders.weights import Array, Weights

Precision = Literal["float32", "float16", "int8"]

OPSET, IR = 20, 10  # the first opset with Gelu, and its format
ORT = "com.microsoft"  # operations of onnxruntime's own
BLOCK = 32  # numbers that share a scale in int8
MIDDLE = 128  # which int8, written without sign, stands for 0
MASKED = -1e9


def build(settings: Settings, weights: Weights, precision: Precision) -> Any:
    """The model: from int64 `ids` and `mask` `(n, tokens)`, padded at the end, to float32 `embedding` `(n, width)`.

    precision: of the weights. float16 is computed in float32. int8 has a scale for each word of the vocabulary and for
    each 32 numbers of a kernel, and the inputs of a kernel are rounded in the same way, so that no text's vector
    depends on the texts that are computed beside it.
    """
    graph = Graph(settings, precision)
    mask = graph.add("Cast", "mask", to=1)
    places = _places(graph)
    vectors = graph.add(
        "Add", graph.words(weights.words()), graph.add("Gather", graph.array(weights.positions()), places)
    )
    vectors = graph.norm(vectors, *weights.embedding_norm())
    added = _added(graph, mask, places, weights.distances())
    for number in range(settings.layers):
        vectors = _block(graph, vectors, added, weights, number)
    graph.output(_pooled(graph, vectors, mask))
    return graph.model


class Graph:
    """A graph of ONNX as it is built. What adds to it gives the name of the result."""

    def __init__(self, settings: Settings, precision: Precision):
        from onnx import ModelProto, TensorProto, helper

        self.settings, self.precision = settings, precision
        self.model = ModelProto(ir_version=IR, producer_name="postergenre")
        self.model.opset_import.extend([helper.make_opsetid("", OPSET), helper.make_opsetid(ORT, 1)])
        graph = self.model.graph
        graph.name = settings.family
        for name in ("ids", "mask"):
            graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]))
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", settings.width])
        graph.output.append(embedding)
        self._known: dict[tuple[str, bytes], str] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation with one result."""
        return self.add_many(kind, 1, *inputs, **attributes)[0]

    def add_many(self, kind: str, results: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operation with several results."""
        from onnx import helper

        nodes = self.model.graph.node
        names = [f"{kind.lower()}_{len(nodes)}" + (f"_{number}" if results > 1 else "") for number in range(results)]
        nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def output(self, name: str) -> None:
        """Give a result as the model's."""
        from onnx import helper

        self.model.graph.node.append(helper.make_node("Identity", [name], ["embedding"]))

    def array(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add an array; the same small one is added once."""
        from onnx import numpy_helper

        array, tensors = np.asarray(values, dtype), self.model.graph.initializer
        key = (f"{array.dtype}{array.shape}", array.tobytes() if array.size < BLOCK else b"")
        if key[1] and key in self._known:
            return self._known[key]
        tensor = tensors.add()
        tensor.CopyFrom(numpy_helper.from_array(array, f"array_{len(tensors)}"))
        self._known[key] = str(tensor.name)
        return str(tensor.name)

    def words(self, table: Array) -> str:
        """Add the vectors of the tokens."""
        if self.precision == "float32":
            return self.add("Gather", self.array(table), "ids")
        if self.precision == "float16":
            return self.add("Cast", self.add("Gather", self.array(table, np.float16), "ids"), to=1)
        scales = _scales(table)
        rounded = self.add("Cast", self.add("Gather", self.array(np.rint(table / scales), np.int8), "ids"), to=1)
        return self.add("Mul", rounded, self.add("Gather", self.array(scales), "ids"))

    def dense(self, inputs: str, kernel: Array, bias: Array) -> str:
        """Add a dense layer."""
        if self.precision == "int8":
            product = self._int8(inputs, kernel)
        elif self.precision == "float16":
            product = self.add("MatMul", inputs, self.add("Cast", self.array(kernel, np.float16), to=1))
        else:
            product = self.add("MatMul", inputs, self.array(kernel))
        return self.add("Add", product, self.array(bias))

    def norm(self, inputs: str, scale: Array, shift: Array) -> str:
        """Add a layer norm."""
        epsilon = self.settings.epsilon
        return self.add("LayerNormalization", inputs, self.array(scale), self.array(shift), axis=-1, epsilon=epsilon)

    def _int8(self, inputs: str, kernel: Array) -> str:
        """Add a product with a kernel in int8, by blocks of BLOCK numbers.

        onnx's own `MatMulInteger`, as `quantize_dynamic` writes it, has one scale for all inputs: with MPNet the
        cosine to float32 is .88, by blocks .9996.
        """
        size, units = kernel.shape
        padded = np.zeros((units, -(-size // BLOCK) * BLOCK), np.float32)
        padded[:, :size] = kernel.T
        blocks = padded.reshape(units, -1, BLOCK)
        scales = _scales(blocks)
        rounded = self.array(np.rint(blocks / scales) + MIDDLE, np.uint8)
        options = {"K": size, "N": units, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}  # 4: inputs as int8 too
        return self.add("MatMulNBits", inputs, rounded, self.array(scales[..., 0]), domain=ORT, **options)


def _scales(values: Array) -> Array:
    """What 1 of an int8 stands for in each row of the last axis, which stays with length 1."""
    largest = np.abs(values).max(axis=-1, keepdims=True)
    return np.where(largest > 0, largest, 1).astype(np.float32) / np.float32(127)


def _places(graph: Graph) -> str:
    """The numbers from 0 to that of the tokens."""
    tokens = graph.add("Gather", graph.add("Shape", "ids"), graph.array(1, np.int64))
    return graph.add("Range", graph.array(0, np.int64), tokens, graph.array(1, np.int64))


def _added(graph: Graph, mask: str, places: str, distances: Array | None) -> str:
    """What is added to the attention: much below 0 for padding, and MPNet's distances."""
    padding = graph.add("Mul", graph.add("Sub", graph.array(1.0), mask), graph.array(MASKED))
    added = graph.add("Unsqueeze", padding, graph.array([1, 2], np.int64))
    if distances is None:
        return added
    rows, columns = (graph.add("Unsqueeze", places, graph.array([axis], np.int64)) for axis in (0, 1))
    apart = graph.add("Add", graph.add("Sub", rows, columns), graph.array(graph.settings.max_tokens - 1, np.int64))
    return graph.add("Add", added, graph.add("Gather", graph.array(distances.T), apart, axis=1))


def _block(graph: Graph, vectors: str, added: str, weights: Weights, number: int) -> str:
    """One layer: attention, then two dense layers, each added to its input and normalised."""
    attended = graph.dense(_attention(graph, vectors, added, weights, number), *weights.dense(number, "attended"))
    vectors = graph.norm(graph.add("Add", vectors, attended), *weights.norm(number, "attention_norm"))
    hidden = graph.dense(vectors, *weights.dense(number, "up"))
    if graph.settings.activation == "relu":
        hidden = graph.add("Relu", hidden)
    else:
        hidden = graph.add("Gelu", hidden, approximate="tanh" if graph.settings.activation == "gelu_new" else "none")
    down = graph.dense(hidden, *weights.dense(number, "down"))
    return graph.norm(graph.add("Add", vectors, down), *weights.norm(number, "norm"))


def _attention(graph: Graph, vectors: str, added: str, weights: Weights, number: int) -> str:
    """What each head attends to, side by side; queries, keys and values come from one product."""
    settings = graph.settings
    size = settings.width // settings.heads
    kernels, biases = zip(*(weights.dense(number, part) for part in ("query", "key", "value")), strict=True)
    scale = np.repeat(np.array([size**-0.5, 1, 1], np.float32), settings.width)
    joined = graph.dense(vectors, np.concatenate(kernels, axis=1) * scale, np.concatenate(biases) * scale)
    by_head = graph.array([0, 0, settings.heads, size], np.int64)
    query, key, value = (
        graph.add("Transpose", graph.add("Reshape", part, by_head), perm=order)
        for part, order in zip(
            graph.add_many("Split", 3, joined, axis=-1, num_outputs=3),
            ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]),
            strict=True,
        )
    )
    shares = graph.add("Softmax", graph.add("Add", graph.add("MatMul", query, key), added), axis=-1)
    attended = graph.add("Transpose", graph.add("MatMul", shares, value), perm=[0, 2, 1, 3])
    return graph.add("Reshape", attended, graph.array([0, 0, settings.width], np.int64))


def _pooled(graph: Graph, vectors: str, mask: str) -> str:
    """The tokens' vectors as one, with the length 1 if the model's own has it."""
    settings, tokens = graph.settings, graph.array([1], np.int64)
    column = graph.add("Unsqueeze", mask, graph.array([2], np.int64))
    if settings.pooling == "cls":
        pooled = graph.add("Gather", vectors, graph.array(0, np.int64), axis=1)
    elif settings.pooling == "max":
        padding = graph.add("Mul", graph.add("Sub", graph.array(1.0), column), graph.array(MASKED))
        pooled = graph.add("ReduceMax", graph.add("Add", vectors, padding), tokens, keepdims=0)
    else:
        total = graph.add("ReduceSum", graph.add("Mul", vectors, column), tokens, keepdims=0)
        pooled = graph.add("Div", total, graph.add("ReduceSum", mask, tokens, keepdims=1))
    return graph.add("LpNormalization", pooled, axis=-1, p=2) if settings.normalize else pooled
