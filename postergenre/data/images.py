"""One poster: from bytes as a host or a person gives them to an RGB array of one size."""

import io
import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

Fit = Literal["crop", "pad", "stretch"]

# Beyond this many pixels an image is refused before it is decoded: a few kilobytes can unpack to gigabytes.
MAX_PIXELS = 50_000_000
PNG = b"\x89PNG\r\n\x1a\n"  # how every one begins
# Shorter than this it is a tracking pixel or an icon.
MIN_SIDE = 16

Image.MAX_IMAGE_PIXELS = None  # `_open` asks first, and with one sentence
Image.init()
# All that Pillow reads, but EPS, which it hands to an interpreter outside.
FORMATS = tuple(name for name in Image.ID if name != "EPS")


class ImageError(ValueError):
    """The bytes are no picture that can be used; the message says why."""


def identify(data: bytes) -> tuple[str, int, int]:
    """The file extension (`jpg`, `png`, `webp`, ...), width and height of a complete picture.

    Raises:
        ImageError: the bytes are no picture, truncated, tiny or huge.
    """
    image = _open(data)
    return "jpg" if image.format in ("JPEG", "MPO") else str(image.format).lower(), image.width, image.height


def decode(data: bytes) -> Image.Image:
    """The picture in RGB: upright (EXIF orientation), its first frame, transparency on white.

    Raises:
        ImageError: the bytes are no picture, truncated, tiny or huge.
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
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata that changes no pixel
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"it has {width} x {height} pixels, more than {MAX_PIXELS:,}")
            if min(width, height) < MIN_SIDE:
                raise ImageError(f"it has {width} x {height} pixels, fewer than {MIN_SIDE} on a side")
            if image.format == "PNG":  # whose checksums and end `load` leaves unread
                Image.open(io.BytesIO(data), formats=["PNG"]).verify()
            image.load()
    except UnidentifiedImageError:
        if data.startswith(PNG):
            raise ImageError("it is damaged (no PNG's header)") from None
        raise ImageError("it is a web page" if _is_html(data) else "it is not an image") from None
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a malformed file provokes, and it is all one to us
        raise ImageError(f"it is damaged ({error})") from error
    return image


def _upright(image: Image.Image) -> Image.Image:
    """As its EXIF orientation says, where that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ImageOps.exif_transpose(image)
    except Exception:  # as above: whatever a malformed EXIF block provokes; the pixels are sound
        return image


def _is_html(data: bytes) -> bool:
    start = data[:200].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<?xml"))


def _rescale(image: Image.Image) -> Image.Image:
    pixels = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    whole = image.mode.startswith("I")
    # Of 32 bits only the first eight may be in use, or the first sixteen.
    usual = [65535.0] if image.mode.startswith("I;16") else [255.0, 65535.0] if whole else [1.0]
    top = next((limit for limit in usual if pixels.max() <= limit), pixels.max())
    return Image.fromarray(np.clip(pixels * (255.0 / top), 0, 255).astype(np.uint8))
