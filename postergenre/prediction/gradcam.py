"""Heatmaps of the places of a poster that raise the probability of a genre."""

from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.networks.backend import keras
from postergenre.networks.layer_names import MAP, POOLED

BATCH = 32


def heatmaps(
    model: keras.Model, posters: npt.NDArray[np.uint8], genres: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """How much each place of a poster raises the probability of a genre, `(n, height, width)` in [0, 1].

    Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): a weighted sum of the channels of the last feature map, where a
    channel's weight is the mean gradient of the genre's log-odds. Negative sums count as 0, so a heatmap is 0
    everywhere if no place raises the probability. Otherwise its maximum is 1. It is as coarse as the feature map.
    Evidence that a head takes from earlier blocks does not show.

    Args:
        model: from `architecture.build`.
        posters: `(n, height, width, 3)`.
        genres: the index of a genre for each poster, `(n,)`.
    """
    backbone, head = split_model(model)
    # Gradients of the log-odds, because the sigmoid of the last layer would flatten them.
    directions = model.layers[-1].get_weights()[0].T[genres]
    height, width = model.input_shape[1:3]
    heatmaps = np.zeros((len(posters), height, width), np.float32)
    for start in range(0, len(posters), BATCH):
        batch = slice(start, start + BATCH)
        outputs = backbone.predict_on_batch(posters[batch])
        maps = outputs if isinstance(outputs, list) else [outputs]
        weights = gradients(head, maps, directions[batch]).mean(axis=(1, 2), keepdims=True)
        heat = np.maximum((maps[-1] * weights).sum(axis=-1, keepdims=True), 0)
        # Divide before resizing: resizing rounds, and gradients are tiny where the network is certain.
        heat /= np.maximum(heat.max(axis=(1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
        resized = keras.ops.image.resize(heat, (height, width), interpolation="bilinear")
        heatmaps[batch] = keras.ops.convert_to_numpy(resized)[..., 0]
    return heatmaps


def split_model(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The model in two parts: from posters to the feature maps that the head pools, and from these to the last layer.

    The first part's last output is the last block's map; the second part's output is the input of the last layer.
    """
    maps = [layer.input for layer in model.layers if layer.name.startswith(MAP)] or [model.get_layer(POOLED).input]
    return keras.Model(model.input, maps, name="backbone"), keras.Model(maps, model.layers[-1].input, name="head")


def gradients(
    head: keras.Model, maps: list[npt.NDArray[np.float32]], directions: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The gradient of the head's output along a direction, with respect to the last feature map, in its shape.

    Keras has no function for gradients, so each backend has its own code here.

    Args:
        head: from `split_model`.
        maps: its inputs, each `(n, height, width, channels)`.
        directions: `(n, features)`, in the space of its output.
    """
    earlier_maps = [keras.ops.convert_to_tensor(values) for values in maps[:-1]]

    def projection(last: Any) -> Any:
        return keras.ops.sum(head([*earlier_maps, last], training=False) * directions)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(maps[-1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = projection(x)
        gradient = tape.gradient(y, x)
    elif keras.backend.backend() == "jax":
        import jax

        gradient = jax.grad(projection)(maps[-1])
    else:
        x = keras.ops.convert_to_tensor(maps[-1]).requires_grad_()
        projection(x).backward()
        gradient = x.grad
    return np.asarray(keras.ops.convert_to_numpy(gradient), np.float32)
