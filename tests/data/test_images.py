import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from postergenre.data import images
from tests.support import encode, make_picture

KINDS = [("RGB", kind) for kind in ("JPEG", "WEBP", "BMP", "TIFF")] + [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF")]
KINDS += [(mode, "PNG") for mode in ("P", "RGBA", "LA", "1")]


@pytest.mark.parametrize(("mode", "kind"), KINDS)
def test_every_kind_of_picture_comes_out_in_rgb(mode: str, kind: str) -> None:
    decoded = images.decode(encode(make_picture(1).convert(mode), kind))
    assert (decoded.mode, decoded.size) == ("RGB", (60, 90))


def test_a_16_bit_picture_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 40 * 40, dtype=np.uint16).reshape(40, 40)
    grey = np.asarray(images.decode(encode(Image.fromarray(ramp), "PNG")))[..., 0]
    assert np.abs(grey.astype(float) - ramp / 257).max() <= 1


@pytest.mark.parametrize(("top", "numbers"), [(200, np.int32), (60_000, np.int32), (1e6, np.float32)])
def test_a_32_bit_picture_is_scaled_by_what_is_in_use(top: float, numbers: type) -> None:
    ramp: npt.NDArray[Any] = np.asarray(np.linspace(0, top, 40 * 40).reshape(40, 40), dtype=numbers)
    if numbers is np.float32:
        ramp[0, 0] = np.nan
    grey = np.asarray(images.decode(encode(Image.fromarray(ramp), "TIFF")))[..., 0]
    assert (grey[0, 0], grey[-1, -1]) == (0, {200: 200, 60_000: 233, 1e6: 255}[top])


def test_transparency_becomes_white_also_in_a_palette() -> None:
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    assert np.asarray(images.decode(encode(clear, "PNG"))).min() == 255
    palette = Image.new("P", (40, 40), 3)
    palette.putpalette([0, 0, 0] * 256)
    palette.info["transparency"] = 3
    assert np.asarray(images.decode(encode(palette, "PNG"))).min() == 255


def test_exif_orientation_turns_the_picture_upright() -> None:
    image = Image.new("RGB", (80, 40), "black")
    image.paste((255, 255, 255), (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by a quarter, clockwise
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif)
    upright = images.decode(stream.getvalue())
    assert upright.size == (40, 80)
    assert upright.getpixel((20, 10)) == (255, 255, 255)
    assert upright.getpixel((20, 70)) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_damaged_exif_block_costs_no_picture(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    make_picture(1).save(stream, kind, exif=exif)
    whole = stream.getvalue()
    start = max(whole.find(head) for head in (b"MM\x00*", b"II*\x00"))
    damaged = whole[: start + 2] + b"\t" + whole[start + 3 :]
    assert images.identify(damaged)[1:] == (60, 90)
    assert images.decode(damaged).size in ((60, 90), (90, 60))


def test_crop_keeps_the_middle_pad_shows_all_stretch_fills() -> None:
    wide = Image.new("RGB", (120, 60), "white")
    wide.paste((255, 0, 0), (0, 0, 30, 60))
    wide.paste((255, 0, 0), (90, 0, 120, 60))
    crop, pad, stretch = (images.fit(wide, 60, 60, mode).astype(int) for mode in ("crop", "pad", "stretch"))
    assert crop.shape == pad.shape == stretch.shape == (60, 60, 3)
    assert (crop[5:-5, 5:-5] > 250).all()  # the red sides overhang
    assert (pad[:10] == 0).all()
    assert pad[30, 2, 0] > 250
    assert pad[30, 2, 1] < 5
    assert stretch[0, 5].tolist() == [255, 0, 0]
    assert (stretch[:, 20:40] == 255).all()


def with_a_wrong_bit(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


WHOLE = encode(make_picture(1), "PNG")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html></html>", "it is a web page"),
        (b"\x00\x01\x02\x03" * 50, "it is not an image"),
        (encode(make_picture(1))[:-300], "it is damaged"),
        (encode(make_picture(1), "PNG")[:-300], "it is damaged"),
        (with_a_wrong_bit(WHOLE, len(WHOLE) - 13), "it is damaged"),  # in the pixels' checksum
        (with_a_wrong_bit(WHOLE, 18), "it is damaged"),  # in the width
        (encode(Image.new("RGB", (1, 1)), "GIF"), "1 x 1 pixels, fewer than 16"),
    ],
)
def test_the_reason_says_why_a_file_is_no_poster(data: bytes, expected: str) -> None:
    with pytest.raises(images.ImageError, match=expected):
        images.identify(data)
    with pytest.raises(images.ImageError, match=expected):
        images.decode(data)


def test_a_bomb_is_refused_before_it_unpacks() -> None:
    bomb = encode(Image.new("1", (10_000, 10_000)), "PNG")
    assert len(bomb) < 20_000
    with pytest.raises(images.ImageError, match="10000 x 10000 pixels, more than 50,000,000"):
        images.identify(bomb)


def test_pillows_own_limit_stays_and_is_reported_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    large = encode(Image.new("1", (7_000, 7_000)), "PNG")
    assert images.identify(large) == ("png", 7_000, 7_000)
    assert Image.MAX_IMAGE_PIXELS == 1024**3 // 12, "Pillow's limit is not ours to change"
    bomb = encode(Image.new("1", (14_000, 14_000)), "PNG")
    with pytest.raises(images.ImageError, match="it has more than 50,000,000 pixels"):
        images.identify(bomb)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    with pytest.raises(images.ImageError, match="it has more than 2,000,000 pixels"):
        images.identify(large)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(images.ImageError, match="14000 x 14000 pixels, more than 50,000,000"):
        images.identify(bomb)


def test_the_extension_is_what_the_bytes_are() -> None:
    kinds = [images.identify(encode(make_picture(1), kind)) for kind in ("JPEG", "PNG", "WEBP", "GIF")]
    assert kinds == [(extension, 60, 90) for extension in ("jpg", "png", "webp", "gif")]
