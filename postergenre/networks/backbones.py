"""The backbones of `keras.applications`, by name, with or without their ImageNet weights."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre import errors
from postergenre.errors import InputError
from postergenre.networks.backend import keras

NAMES = sorted(name for name in dir(keras.applications) if name[0].isupper())


def features(name: str, x: keras.KerasTensor, imagenet: bool) -> keras.KerasTensor:
    """The backbone's last feature map `(n, h, w, k)` of pictures `(n, height, width, 3)` in [0, 1].

    imagenet: whether it has its ImageNet weights, which Keras downloads once, or random ones.

    Raises:
        InputError: the pictures are too small for it, or its weights cannot be downloaded.
    """
    scale, offset, is_reversed = _preprocessing(name)
    height, width = x.shape[1:3]
    x = keras.layers.Rescaling((255 * scale).tolist(), offset.tolist(), name="backbone_scale")(x)
    try:
        model = _application(name)(include_top=False, weights="imagenet" if imagenet else None, input_tensor=x)
    except ValueError as error:
        raise InputError(f"{name} takes no posters of {height} x {width}: {errors.one_line(error)}") from None
    except Exception as error:  # Keras has no exception of its own for a failed download
        raise InputError(
            f"the ImageNet weights of {name} cannot be loaded ({errors.one_line(error)}); Keras downloads them "
            "once, into ~/.keras or $KERAS_HOME; backbone.weights none starts without them"
        ) from None
    if imagenet and is_reversed:
        # It learned from channels in the order blue, green, red; posters have red, green, blue.
        first = next(layer for layer in model.layers if layer.weights)
        first.set_weights([first.get_weights()[0][:, :, ::-1], *first.get_weights()[1:]])
    return model.output


def _application(name: str) -> Callable[..., keras.Model]:
    """The function of `keras.applications` that builds the backbone."""
    return getattr(keras.applications, name)  # type: ignore[no-any-return]


def _preprocessing(name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], bool]:
    """The scale and offset by which the backbone's pictures are prepared, and whether in reverse order of the channels.

    They are measured from its `preprocess_input`, which does no more than that.
    """
    preprocess: Any = sys.modules[_application(name).__module__].preprocess_input
    black, white = (np.asarray(preprocess(np.full((1, 1, 3), value, np.float32)))[0, 0] for value in (0, 255))
    red = np.asarray(preprocess(np.array([[[255, 0, 0]]], np.float32)))[0, 0]
    is_reversed = bool(np.argmax(np.abs(red - black)) == 2)
    order = slice(None, None, -1) if is_reversed else slice(None)
    return ((white - black) / 255).astype(np.float64)[order], black.astype(np.float64)[order], is_reversed
