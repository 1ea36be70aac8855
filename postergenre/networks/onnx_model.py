"""The trained network as ONNX, which predicts without Keras: onnxruntime starts in a tenth of TensorFlow's time."""

import hashlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from postergenre.errors import InputError

if TYPE_CHECKING:
    import keras

# At most this far from Keras, in probability.
TOLERANCE = 1e-4
# The second output of a network for pictures: the vector that goes into the last layer.
FEATURES = "features"


class OnnxModel:
    """The network in `file`.

    shape: of an input, `(height, width, 3)` for posters.
    genres: their number.
    has_features: whether it tells the features of a poster; files of earlier versions do not.

    Raises:
        InputError: there is no such network.
    """

    def __init__(self, file: Path):
        # Imported here because it takes half a second, and training needs it only at its end.
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise InputError(
                f"{file} holds no network that onnxruntime {onnxruntime.__version__} runs: {error}"
            ) from None
        inputs, outputs = self._session.get_inputs()[0], self._session.get_outputs()
        self._input, self._output = inputs.name, outputs[0].name
        self.shape, self.genres = tuple(inputs.shape[1:]), outputs[0].shape[-1]
        self.has_features = FEATURES in [output.name for output in outputs]

    def __call__(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The probabilities `(n, genres)` of posters uint8 `(n, height, width, 3)`, or of vectors float32 `(n, k)`."""
        probabilities: npt.NDArray[np.float32] = self._session.run([self._output], {self._input: inputs})[0]
        return probabilities

    def with_features(self, posters: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The probabilities `(n, genres)` and the features `(n, k)` of posters uint8 `(n, height, width, 3)`.

        The features are what goes into the last layer. Only a network that has them tells them.
        """
        probabilities, features = self._session.run([self._output, FEATURES], {self._input: posters})
        return probabilities, features


def export(model: "keras.Model", file: Path) -> None:
    """Write the model as ONNX, and check that it predicts what Keras does.

    Where tf2onnx's optimizer fails, it works on copies instead, which takes more memory; one line on stderr says so.
    A network for pictures has a second output, `features`.

    Raises:
        InputError: it does not predict what Keras does.
    """
    import onnx

    from postergenre.networks import backend
    from postergenre.networks.architecture import for_prediction

    of_pictures = len(model.input_shape) == 4
    examples = _pictures(*model.input_shape[1:3]) if of_pictures else _vectors(*model.input_shape[1:])
    with backend.float32():
        plain = for_prediction(model)
    expected = model.predict_on_batch(examples)
    plain.predict_on_batch(examples[:1])  # Keras exports no model that was never called
    _convert(plain, file)
    written = onnx.load(file)
    _round_scales_up(written.graph, model.input_shape[1:3])
    _canonicalise(written.graph)
    if of_pictures:
        add_features(written.graph)
    file.write_bytes(written.SerializeToString(deterministic=True))
    if (most := float(np.abs(OnnxModel(file)(examples) - expected).max())) > TOLERANCE:
        raise InputError(f"the network predicts differently as ONNX, by up to {most:.2g}; {TOLERANCE} would be right")


class _OptimizerError(Exception):
    """A pass of tf2onnx's optimizer failed."""


def _convert(model: "keras.Model", file: Path) -> None:
    """Write the model as tf2onnx converts it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras patches NumPy for tf2onnx, and NumPy warns of it
        try:
            with _little_memory():
                model.export(file, format="onnx", verbose=False)
        except _OptimizerError as error:  # as for MobileNetV3; on copies the pass is left out
            print(
                f"the export to ONNX takes more memory, because a pass of tf2onnx failed: {error.__cause__!r}",
                file=sys.stderr,
            )
            model.export(file, format="onnx", verbose=False)


@contextmanager
def _little_memory() -> Iterator[None]:
    """In the block, tf2onnx optimizes a graph without copies of its weights.

    Otherwise it copies the graph before each of some forty passes, to go on where one fails, and after each it writes
    all weights anew into protocol buffers, which free nothing: 3 GB for 30 MB of weights. The buffers are needed only
    when the graph is finished, and `make_model` writes them then.

    Raises:
        _OptimizerError: a pass failed, and the graph is lost.
    """
    from tf2onnx import optimizer

    optimize_graph = optimizer.optimize_graph

    def optimize(graph: Any, catch_errors: bool, **options: Any) -> Any:
        graph.update_proto = lambda *_: None
        try:
            optimized = optimize_graph(graph, catch_errors=False, **options)
        except Exception as error:  # whatever a pass raises
            raise _OptimizerError from error
        del graph.update_proto
        return optimized

    optimizer.optimize_graph = optimize
    try:
        yield
    finally:
        optimizer.optimize_graph = optimize_graph


def _round_scales_up(graph: Any, shape: tuple[int, int]) -> None:
    """Let resized posters keep the size that Keras gives them. shape: height and width of the network's posters.

    ONNX has the new side from `floor(side * scale)`, and tf2onnx writes the scale in float32: of 268 pixels, 0.3582089
    gives 95.9999 and so 95 in place of 96, after which sums of a residual block no longer fit.
    """
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Resize" and node.input[2] in tensors:
            tensor = tensors[node.input[2]]
            scales = numpy_helper.to_array(tensor).copy()
            for axis, side in enumerate(shape, 2):  # posters, channels, height, width
                if int(side * float(scales[axis])) < round(side * float(scales[axis])):
                    scales[axis] = np.nextafter(scales[axis], np.float32(np.inf))
            tensor.CopyFrom(numpy_helper.from_array(scales, tensor.name))


def _canonicalise(graph: Any) -> None:
    """Name nodes and tensors by a hash of what they are, and sort them, so that equal trainings write the same bytes.

    tf2onnx takes names and order from sets and counters, which differ each time.
    """
    names = {value.name: value.name for value in graph.input} | {
        "": ""
    }  # the empty name stands for an input that is left out
    tensors, nodes = dict[str, Any](), dict[str, Any]()
    for tensor in graph.initializer:
        old, tensor.name = tensor.name, ""
        tensor.name = names[old] = _digest(tensor.SerializeToString(deterministic=True))
        tensors[tensor.name] = tensor
    waiting = list(graph.node)
    while waiting:
        ready = [node for node in waiting if all(name in names for name in node.input)]
        waiting = [node for node in waiting if node not in ready]
        for node in ready:
            attributes = sorted(value.SerializeToString(deterministic=True) for value in node.attribute)
            node.input[:] = [names[name] for name in node.input]
            node.name = _digest(repr((node.op_type, node.domain, attributes, list(node.input))).encode())
            names |= {name: f"{node.name}:{number}" for number, name in enumerate(node.output) if name}
            node.output[:] = [names[name] for name in node.output]
        nodes |= {node.name: node for node in sorted(ready, key=lambda node: str(node.name))}
    for value in graph.output:
        value.name = names[value.name]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "posters"
    for field, values in (
        (graph.initializer, [tensors[name] for name in sorted(tensors)]),
        (graph.node, nodes.values()),
    ):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(copies)
    del graph.value_info[:]
    graph.doc_string = ""


def add_features(graph: Any) -> None:
    """Make the input of the last layer an output, which is named `features`. The network computes nothing else.

    Raises:
        InputError: the last layer is no dense one with a sigmoid.
    """
    from onnx import TensorProto, helper

    sources = {name: node for node in graph.node for name in node.output}
    old, kinds = graph.output[0].name, ["Sigmoid", "Add", "MatMul"]
    for kind in kinds:
        if (node := sources[old]).op_type != kind:
            raise InputError(f"the network's last layer has {node.op_type} where {' of '.join(kinds)} should be")
        old, *parameters = node.input
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [FEATURES if name == old else name for name in names]
    size = next(tensor.dims[0] for tensor in graph.initializer if tensor.name in parameters)
    graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["posters", size]))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _pictures(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Noise, then patches with sides of 2, 4, ... 128 pixels: uint8 `(8, height, width, 3)`."""
    random, pictures = np.random.default_rng(0), []
    for power in range(8):
        side = 2**power
        patches = random.integers(0, 256, (-(-height // side), -(-width // side), 3), dtype=np.uint8)
        pictures.append(patches.repeat(side, axis=0).repeat(side, axis=1)[:height, :width])
    return np.stack(pictures)


def _vectors(size: int) -> npt.NDArray[np.float32]:
    """Noise: float32 `(8, size)`."""
    return np.random.default_rng(0).normal(size=(8, size)).astype(np.float32)
