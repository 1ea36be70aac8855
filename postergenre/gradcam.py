"""What a network looks at: the places of a poster that speak for a genre."""

from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.backend import keras

BATCH = 32


def heatmaps(
    model: keras.Model, posters: npt.NDArray[np.uint8], genres: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """How much each place of a poster speaks for a genre: `(n, height, width)`, from 0 to 1 where most speaks for it.

    Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): the channels of the last feature map, each with the weight by
    which it raises the genre's log-odds, summed; what speaks against the genre counts as nothing. It is as coarse as
    that map. All 0 where nothing speaks for the genre.

    Args:
        model: from `architecture.build`.
        posters: `(n, height, width, 3)`.
        genres: `(n,)`, the number of the genre that is asked about for each.
    """
    trunk, head = _parts(model)
    # Of the log-odds, which the last layer's sigmoid does not flatten.
    directions = model.layers[-1].get_weights()[0].T[genres]
    height, width = model.input_shape[1:3]
    maps = np.zeros((len(posters), height, width), np.float32)
    for start in range(0, len(posters), BATCH):
        piece = slice(start, start + BATCH)
        features = trunk.predict_on_batch(posters[piece])
        weights = _gradients(head, features, directions[piece]).mean(axis=(1, 2), keepdims=True)
        heat = np.maximum((features * weights).sum(axis=-1, keepdims=True), 0)
        # Relative first: the resizing rounds, and gradients are tiny where the network is sure.
        heat /= np.maximum(heat.max(axis=(1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
        resized = keras.ops.image.resize(heat, (height, width), interpolation="bilinear")
        maps[piece] = keras.ops.convert_to_numpy(resized)[..., 0]
    return maps


def _parts(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Posters to the last feature map, and that to what the last layer gets; both share the model's layers."""
    pooling = next(k for k, layer in enumerate(model.layers) if layer.name.startswith("head_"))
    last = model.layers[pooling].input
    start = x = keras.Input(last.shape[1:], name="features")
    for layer in model.layers[pooling:-1]:
        x = layer(x)
    return keras.Model(model.input, last, name="features"), keras.Model(start, x, name="rest")


def _gradients(
    head: keras.Model, features: npt.NDArray[np.float32], directions: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """By its features, in their shape, of how far each one's output goes in its direction.

    Keras has no call for gradients, so this asks which backend runs.
    """

    def answer(x: Any) -> Any:
        return keras.ops.sum(head(x, training=False) * directions)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(features)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = answer(x)
        gradient = tape.gradient(y, x)
    elif keras.backend.backend() == "jax":
        import jax

        gradient = jax.grad(answer)(features)
    else:
        x = keras.ops.convert_to_tensor(features).requires_grad_()
        answer(x).backward()
        gradient = x.grad
    return np.asarray(keras.ops.convert_to_numpy(gradient), np.float32)
