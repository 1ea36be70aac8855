"""What a network looks at: the places of a poster that speak for a genre."""

from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.networks.architecture import MAP, POOLED
from postergenre.networks.backend import keras

BATCH = 32


def heatmaps(
    model: keras.Model, posters: npt.NDArray[np.uint8], genres: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """How much each place of a poster speaks for a genre: `(n, height, width)`, from 0 to 1 where most speaks for it.

    Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): the channels of the last feature map, each with the weight by
    which it raises the genre's log-odds, summed; what speaks against the genre counts as nothing. It is as coarse as
    that map. All 0 where nothing speaks for the genre. What a head finds in earlier blocks, where it sees them too,
    does not show.

    Args:
        model: from `architecture.build`.
        posters: `(n, height, width, 3)`.
        genres: `(n,)`, the number of the genre that is asked about for each.
    """
    backbone, head = _parts(model)
    # Of the log-odds, which the last layer's sigmoid does not flatten.
    directions = model.layers[-1].get_weights()[0].T[genres]
    height, width = model.input_shape[1:3]
    heats = np.zeros((len(posters), height, width), np.float32)
    for start in range(0, len(posters), BATCH):
        piece = slice(start, start + BATCH)
        seen = backbone.predict_on_batch(posters[piece])
        maps = seen if isinstance(seen, list) else [seen]
        weights = _gradients(head, maps, directions[piece]).mean(axis=(1, 2), keepdims=True)
        heat = np.maximum((maps[-1] * weights).sum(axis=-1, keepdims=True), 0)
        # Relative first: the resizing rounds, and gradients are tiny where the network is sure.
        heat /= np.maximum(heat.max(axis=(1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
        resized = keras.ops.image.resize(heat, (height, width), interpolation="bilinear")
        heats[piece] = keras.ops.convert_to_numpy(resized)[..., 0]
    return heats


def _parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Posters to the maps that the head pools, the last block's at the end; those to what the last layer gets."""
    maps = [layer.input for layer in model.layers if layer.name.startswith(MAP)] or [model.get_layer(POOLED).input]
    return keras.Model(model.input, maps, name="backbone"), keras.Model(maps, model.layers[-1].input, name="rest")


def _gradients(
    head: keras.Model, maps: list[npt.NDArray[np.float32]], directions: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """By the last of the maps, in its shape, of how far each poster's output goes in its direction.

    Keras has no call for gradients, so this asks which backend runs.
    """

    others = [keras.ops.convert_to_tensor(values) for values in maps[:-1]]

    def answer(last: Any) -> Any:
        return keras.ops.sum(head([*others, last], training=False) * directions)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(maps[-1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = answer(x)
        gradient = tape.gradient(y, x)
    elif keras.backend.backend() == "jax":
        import jax

        gradient = jax.grad(answer)(maps[-1])
    else:
        x = keras.ops.convert_to_tensor(maps[-1]).requires_grad_()
        answer(x).backward()
        gradient = x.grad
    return np.asarray(keras.ops.convert_to_numpy(gradient), np.float32)
