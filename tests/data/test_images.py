import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from postergenre.data import images
from tests.support import encode, make_picture

KINDS = [("RGB", kind) for kind in ("JPEG", "WEBP", "BMP")] + [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF")]
KINDS += [(mode, "PNG") for mode in ("P", "RGBA", "LA", "1")]


@pytest.mark.parametrize(("mode", "kind"), KINDS)
def test_every_kind_of_picture_comes_out_in_rgb(mode: str, kind: str) -> None:
    decoded = images.decode(encode(make_picture(1).convert(mode), kind))
    assert (decoded.mode, decoded.size) == ("RGB", (60, 90))


def test_a_16_bit_picture_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 40 * 40, dtype=np.uint16).reshape(40, 40)
    grey = np.asarray(images.decode(encode(Image.fromarray(ramp), "PNG")))[..., 0]
    assert np.abs(grey.astype(float) - ramp / 257).max() <= 1


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
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "it is damaged"),
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


def poster(**options: Any) -> bytes:
    """A JPEG of some 20 kilobytes: noise leaves no area of one colour."""
    pixels = np.random.default_rng(3).integers(0, 256, (240, 160, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(options.pop("mode", "RGB")).save(stream, "JPEG", **options)
    return stream.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


NOISE = np.random.default_rng(5).bytes(600)
MIDDLE = 9_000
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[:MIDDLE] + data[-2:],
    "cut off": lambda data: data[:MIDDLE],
    "zeros to the end": lambda data: data[:MIDDLE] + bytes(len(data) - MIDDLE - 2) + data[-2:],
    "hole": lambda data: data[:MIDDLE] + bytes(600) + data[MIDDLE + 600 :],
    "noise": lambda data: data[:MIDDLE] + NOISE + data[MIDDLE + 600 :],
    "lost": lambda data: data[:MIDDLE] + data[MIDDLE + 600 :],
}
KINDS_OF_JPEG: dict[str, dict[str, Any]] = {
    "baseline": {},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
}


@pytest.mark.parametrize("kind", KINDS_OF_JPEG)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pixels_in_a_jpeg_are_found(kind: str, damage: str) -> None:
    whole = poster(**KINDS_OF_JPEG[kind])
    assert images.identify(whole) == ("jpg", 160, 240)
    for use in (images.identify, images.decode):
        with pytest.raises(images.ImageError, match="it is damaged"):
            use(DAMAGES[damage](whole))


def test_a_short_hole_of_zeros_is_found_where_the_codes_allow_none() -> None:
    whole = poster()
    for place in range(2_000, 12_000, 1_000):
        with pytest.raises(images.ImageError, match=r"it is damaged \(a hole of zeros\)"):
            images.identify(whole[:place] + bytes(40) + whole[place + 40 :])


def test_areas_of_one_colour_are_no_holes() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (300, 444)).save(stream, "JPEG", optimize=True)
    assert bytes(100) in stream.getvalue()
    assert images.identify(stream.getvalue()) == ("jpg", 300, 444)


def test_a_progressive_jpeg_that_ends_between_two_scans_is_cut_off() -> None:
    whole = poster(progressive=True)
    *_, last_scan = (place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda")
    for end in (b"", b"\xff\xd9"):
        with pytest.raises(images.ImageError, match=r"it is damaged \(scans are missing\)"):
            images.identify(whole[:last_scan] + end)


def test_a_quantization_table_of_zeros_is_damage() -> None:
    whole = poster()
    place = whole.index(b"\xff\xdb") + 20
    with pytest.raises(images.ImageError, match="it is damaged"):
        images.identify(whole[:place] + bytes(10) + whole[place + 10 :])


HARMLESS: dict[str, Callable[[bytes], bytes]] = {
    "no end": lambda data: data[:-2],
    "something behind the end": lambda data: data + NOISE,
    "a second picture": lambda data: data + data,
    "bytes before a marker": lambda data: data.replace(b"\xff\xdb", b"junk\x00" * 9 + b"\xff\xdb", 1),
    "fill bytes": lambda data: data.replace(b"\xff\xda", b"\xff\xff\xff\xda", 1),
    "a broken profile": lambda data: data[:2] + segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + NOISE * 100) + data[2:],
    "a comment": lambda data: data[:2] + segment(0xFE, b"\xff\xd9" + NOISE) + data[2:],
    "wrong EXIF": lambda data: data[:2] + segment(0xE1, b"Exif\x00\x00II*\x00" + NOISE) + data[2:],
    "padding": lambda data: data[:-2] + bytes(60) + data[-2:],
}


@pytest.mark.parametrize("kind", KINDS_OF_JPEG)
@pytest.mark.parametrize("change", HARMLESS)
def test_what_changes_no_pixel_of_a_jpeg_is_overlooked(kind: str, change: str) -> None:
    whole = poster(**KINDS_OF_JPEG[kind])
    changed = HARMLESS[change](whole)
    assert images.identify(changed) == ("jpg", 160, 240)
    np.testing.assert_array_equal(np.asarray(images.decode(changed)), np.asarray(images.decode(whole)))


def test_a_jpeg_of_several_pictures_is_its_first() -> None:
    stream = io.BytesIO()
    make_picture(1).save(stream, "MPO", save_all=True, append_images=[make_picture(2)])
    assert images.identify(stream.getvalue()) == ("jpg", 60, 90)
    first = np.asarray(images.decode(stream.getvalue())).astype(int)
    assert np.abs(first - np.asarray(make_picture(1))).mean() < 10


def png_chunk(name: bytes, body: bytes, wrong: int = 0) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + (zlib.crc32(name + body) ^ wrong).to_bytes(4, "big")


@pytest.mark.parametrize(
    "changed",
    [
        WHOLE[:33] + png_chunk(b"tEXt", b"Comment\x00a film", wrong=1) + WHOLE[33:],
        WHOLE[:33] + png_chunk(b"iCCP", b"profile\x00\x00" + zlib.compress(bytes(2_000_000))) + WHOLE[33:],
        WHOLE[:33] + png_chunk(b"iCCP", b"no profile") + WHOLE[33:],
        WHOLE[:33] + png_chunk(b"tRNS", bytes(6), wrong=1) + WHOLE[33:],
        WHOLE[:-12],  # without its end
        WHOLE[:-14],  # and without the last two bytes of a checksum
        WHOLE + NOISE,
    ],
    ids=["text", "large profile", "broken profile", "transparency", "no end", "no checksum", "something behind it"],
)
def test_what_changes_no_pixel_of_a_png_is_overlooked(changed: bytes) -> None:
    assert images.identify(changed) == ("png", 60, 90)
    np.testing.assert_array_equal(np.asarray(images.decode(changed)), np.asarray(images.decode(WHOLE)))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
@pytest.mark.parametrize("damage", ["cut off", "zeros to the end", "noise", "lost"])
def test_damaged_pixels_in_other_formats_are_found(kind: str, damage: str) -> None:
    whole = encode(make_picture(2, 300, 400), kind)
    with pytest.raises(images.ImageError, match="it is damaged"):
        images.identify(DAMAGES[damage](whole))


def test_a_webp_that_is_cut_off_is_damaged() -> None:
    with pytest.raises(images.ImageError, match="it is damaged"):
        images.identify(encode(make_picture(2, 300, 400), "WEBP")[:-400])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("TIFF", "a TIFF"), ("ICO", "an ICO"), ("ICNS", "an ICNS"), ("AVIF", "an AVIF"), ("PDF", "a PDF")],
)
def test_formats_that_no_poster_comes_in_are_refused_by_name(kind: str, name: str) -> None:
    data = encode(make_picture(1, 64, 64), kind)
    assert not images.is_picture(data[:16])
    with pytest.raises(images.ImageError, match=f"it is {name} file; posters are read as JPEG, PNG, WebP, GIF or BMP"):
        images.identify(data)


def test_an_icon_is_refused_before_the_picture_in_it_unpacks() -> None:
    bomb = encode(Image.new("1", (10_000, 10_000)), "PNG")
    entry = struct.pack("<BBBBHHII", 32, 48, 0, 0, 1, 1, len(bomb), 22)
    tracemalloc.start()
    with pytest.raises(images.ImageError, match="it is an ICO file"):
        images.identify(b"\0\0\1\0\1\0" + entry + bomb)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("size", [(16, 6_000), (3_000, 16), (100, 501)])
def test_long_strips_are_no_posters(size: tuple[int, int]) -> None:
    reason = f"it has {size[0]} x {size[1]} pixels, one side more than 5 times the other"
    for kind in ("PNG", "JPEG"):
        with pytest.raises(images.ImageError, match=reason):
            images.identify(encode(Image.new("RGB", size), kind))


@pytest.mark.parametrize("size", [(100, 500), (192, 108), (480, 120)])
def test_banners_and_stills_are_posters(size: tuple[int, int]) -> None:
    assert images.identify(encode(Image.new("RGB", size)))[1:] == size


def test_the_extension_is_what_the_bytes_are() -> None:
    kinds = [images.identify(encode(make_picture(1), kind)) for kind in ("JPEG", "PNG", "WEBP", "GIF")]
    assert kinds == [(extension, 60, 90) for extension in ("jpg", "png", "webp", "gif")]
