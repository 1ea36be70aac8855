"""Figures of a picture that need no network: how bright it is, how sharp, how large."""

import numpy as np
import numpy.typing as npt

# In the order of their columns.
NAMES = ("brightness", "contrast", "colourfulness", "sharpness", "aspect", "size")
# Of red, green and blue in brightness (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def of_poster(poster: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.float32]:
    """A picture's figures, float32 `(6,)`.

    brightness: the mean of its luma, in [0, 1].
    contrast: the standard deviation of its luma, in [0, 0.5].
    colourfulness: 0 for grey, about 0.15 for moderate and from 0.4 on for extreme colours (Hasler and Suesstrunk 2003,
        of channels in [0, 1]).
    sharpness: the standard deviation of its luma's Laplacian (Pech-Pacheco et al. 2000).
    aspect: width by height of the picture as it came.
    size: the square root of its pixels as it came.

    Args:
        poster: uint8 `(rows, columns, 3)`, fitted as the network takes it.
        width: of the picture as it came, in pixels; 0 where that is not known, as is then `aspect`.
        height: likewise.
    """
    pixels = poster.astype(np.float32) / 255
    luma = pixels @ LUMA
    red_green, yellow_blue = pixels[..., 0] - pixels[..., 1], pixels[..., :2].mean(axis=-1) - pixels[..., 2]
    spread = np.hypot(red_green.std(), yellow_blue.std())
    colourfulness = spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    inner = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
    aspect, size = (width / height, (width * height) ** 0.5) if width and height else (np.nan, np.nan)
    return np.array([luma.mean(), luma.std(), colourfulness, laplacian.std(), aspect, size], np.float32)
