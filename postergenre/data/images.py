"""One poster: from the bytes of a file to an RGB array of a given size."""

import io
import warnings
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

Fit = Literal["crop", "pad", "stretch"]

# An image with more pixels is refused before it is decoded: a few kilobytes can unpack to gigabytes.
MAX_PIXELS = 50_000_000
# A shorter side means a tracking pixel or an icon.
MIN_SIDE = 16
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class ImageError(ValueError):
    """The bytes are no usable picture; the message says why."""


@cache
def formats() -> tuple[str, ...]:
    """The formats that Pillow reads, except EPS, which it passes to an external interpreter."""
    Image.init()  # loads all of Pillow's plugins, as Pillow does itself when it meets an uncommon format
    return tuple(name for name in Image.ID if name != "EPS")


def identify(data: bytes) -> tuple[str, int, int]:
    """The file extension (`jpg`, `png`, `webp`, ...), width and height of a complete picture.

    Raises:
        ImageError: the bytes are no picture, or a truncated, tiny or huge one.
    """
    image = _open(data)
    return "jpg" if image.format in ("JPEG", "MPO") else str(image.format).lower(), image.width, image.height


def decode(data: bytes) -> Image.Image:
    """The picture in RGB: upright (EXIF orientation), its first frame, transparent pixels on white.

    Raises:
        ImageError: the bytes are no picture, or a truncated, tiny or huge one.
    """
    image = _upright(_open(data))
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits a pixel, which `convert` would clip
        return _rescale(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def fit(image: Image.Image, height: int, width: int, mode: Fit) -> npt.NDArray[np.uint8]:
    """The RGB picture as uint8 `(height, width, 3)`.

    mode: `crop` fills the frame and cuts what overhangs on both sides alike, `pad` shows all of it on black,
        `stretch` ignores its proportions.
    """
    if mode == "crop":
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    elif mode == "pad":
        image = ImageOps.pad(image, (width, height), Image.Resampling.LANCZOS)
    else:
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageError("it is empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata that changes no pixel, and of sizes that `_check_size` refuses.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=formats())
            _check_size(*image.size)
            if image.format == "PNG":  # `load` reads neither a PNG's checksums nor its end
                Image.open(io.BytesIO(data), formats=["PNG"]).verify()
            image.load()
    except UnidentifiedImageError:
        if data.startswith(PNG_SIGNATURE):
            raise ImageError("it is damaged (no PNG's header)") from None
        raise ImageError("it is a web page" if _is_html(data) else "it is not an image") from None
    except Image.DecompressionBombError:
        # Pillow's own limit is higher, unless the program has lowered it.
        limit = min(MAX_PIXELS, 2 * (Image.MAX_IMAGE_PIXELS or MAX_PIXELS))
        raise ImageError(f"it has more than {limit:,} pixels") from None
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise exceptions of any type on malformed files
        raise ImageError(f"it is damaged ({error})") from error
    return image


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(f"it has {width} x {height} pixels, more than {MAX_PIXELS:,}")
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"it has {width} x {height} pixels, fewer than {MIN_SIDE} on a side")


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says, where that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises exceptions of any type on malformed EXIF blocks; the pixels are sound
        return image


def _is_html(data: bytes) -> bool:
    start = data[:200].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<?xml"))


def _rescale(image: Image.Image) -> Image.Image:
    """A picture of 16 or 32 bits a pixel in 8 bits. The white point is the least usual one that no pixel exceeds."""
    pixels = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    is_integer = image.mode.startswith("I")
    # Files of 32 bits often use only the first 8 or 16 of them.
    usual = [65535.0] if image.mode.startswith("I;16") else [255.0, 65535.0] if is_integer else [1.0]
    white = next((value for value in usual if pixels.max() <= value), pixels.max())
    return Image.fromarray(np.clip(pixels * (255.0 / white), 0, 255).astype(np.uint8))
