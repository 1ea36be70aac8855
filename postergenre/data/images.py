"""One poster: from the bytes of a file to an RGB array of a given size."""

import io
import re
import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from postergenre.data import jpeg, png

Fit = Literal["crop", "pad", "stretch"]

# What poster hosts serve and browsers show, by Pillow's names, each with its file extension. Other formats are refused:
# some unpack their content before its size is known (ICO, ICNS, PSD), a TIFF's tiles and an AVIF's frames can be
# larger than the picture says, and EPS is a program.
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp"}
NAMES = "JPEG, PNG, WebP, GIF or BMP"
# Suffixes of their files, in lower case.
SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp"})
# How files of these formats start; a WebP has its length in the gap.
STARTS = re.compile(rb"\xff\xd8\xff|\x89PNG|RIFF....WEBP|GIF8[79]a|BM....\0\0\0\0", re.DOTALL)
# How some others start, for the sentence that refuses them.
OTHER_STARTS = {
    "an AVIF": rb"....ftypavi[fs]",
    "a HEIC": rb"....ftyp(?:hei|mif1)",
    "a JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "a JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "a TIFF": rb"II\*\0|MM\0\*",
    "an ICO": rb"\0\0[\1\2]\0",
    "an ICNS": rb"icns",
    "a PSD": rb"8BPS",
    "an SVG": rb"\s*<svg",
    "a PDF": rb"%PDF",
}

# An image with more pixels is refused before it is decoded: a few kilobytes can unpack to gigabytes.
MAX_PIXELS = 50_000_000
# A shorter side means a tracking pixel or an icon.
MIN_SIDE = 16
# Of 6,476 real posters, the tallest are 2.7 times as high as wide and the widest 2.1 times as wide as high. Banners
# reach 4. Of what is longer, a crop shows a small part only, so it says nothing about the film.
MAX_PROPORTION = 5


class ImageError(ValueError):
    """The bytes are no usable picture; the message says why."""


def is_picture(start: bytes) -> bool:
    """Whether a file starts as one of `FORMATS` does. Its first 16 bytes suffice."""
    return STARTS.match(start) is not None


def identify(data: bytes) -> tuple[str, int, int]:
    """The file extension (`jpg`, `png`, ...), width and height of a complete picture.

    Raises:
        ImageError: the bytes are no picture, or a damaged, tiny, huge or very long one.
    """
    image = _open(data)
    return FORMATS[str(image.format)], image.width, image.height


def decode(data: bytes) -> Image.Image:
    """The picture in RGB: upright (EXIF orientation), its first frame, transparent pixels on white.

    Raises:
        ImageError: the bytes are no picture, or a damaged, tiny, huge or very long one.
    """
    image = _upright(_open(data))
    if image.mode.startswith("I"):  # 16 bits a pixel, which `convert` would clip
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
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
    """A picture whose pixels are sound. Those of a JPEG are not unpacked yet: the check has read them another way."""
    if not data:
        raise ImageError("it is empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata that changes no pixel, and of sizes that `_check_size` refuses.
            warnings.simplefilter("ignore")
            return _open_jpeg(data) if data.startswith(jpeg.START) else _open_other(data)
    except UnidentifiedImageError:
        raise ImageError(_what_it_is(data)) from None
    except Image.DecompressionBombError:
        # Pillow's own limit is higher, unless the program has lowered it.
        limit = min(MAX_PIXELS, 2 * (Image.MAX_IMAGE_PIXELS or MAX_PIXELS))
        raise ImageError(f"it has more than {limit:,} pixels") from None
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise exceptions of any type on malformed files
        raise ImageError(f"it is damaged ({error})") from error


def _open_jpeg(data: bytes) -> Image.Image:
    from PIL.JpegImagePlugin import JpegImageFile  # it registers itself with Pillow, so not before a picture comes

    picture = jpeg.read(data)
    image = Image.open(io.BytesIO(picture.data), formats=["JPEG"])
    assert isinstance(image, JpegImageFile)
    _check_size(*image.size)
    if any(0 in table for table in image.quantization.values()):
        raise ImageError("it is damaged (a quantization table holds zeros)")
    picture.check(image.layers)
    return image


def _open_other(data: bytes) -> Image.Image:
    if data.startswith(png.START):
        data = png.read(data)
    image = Image.open(io.BytesIO(data), formats=[*FORMATS])
    _check_size(*image.size)
    image.load()
    return image


def _check_size(width: int, height: int) -> None:
    shorter, longer = sorted((width, height))
    if width * height > MAX_PIXELS:
        raise ImageError(f"it has {width} x {height} pixels, more than {MAX_PIXELS:,}")
    if shorter < MIN_SIDE:
        raise ImageError(f"it has {width} x {height} pixels, fewer than {MIN_SIDE} on a side")
    if longer > MAX_PROPORTION * shorter:
        raise ImageError(f"it has {width} x {height} pixels, one side more than {MAX_PROPORTION} times the other")


def _what_it_is(data: bytes) -> str:
    """Why Pillow finds no picture of our formats in the bytes."""
    if is_picture(data):
        return "it is damaged (its header cannot be read)"
    for name, start in OTHER_STARTS.items():
        if re.match(start, data, re.DOTALL):
            return f"it is {name} file; posters are read as {NAMES}"
    return "it is a web page" if _is_html(data) else "it is not an image"


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
