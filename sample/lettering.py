"""Sets texts in typefaces of matplotlib and Pillow, so that a text fills its box and never leaves it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Literal

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from sample.pen import Colour

Box = tuple[float, float, float, float]
Align = Literal["left", "centre"]

# The size at which texts are measured. A text's width is proportional to its size.
MEASURE = 120


@dataclass(frozen=True)
class Face:
    """A typeface and how it is used. Lengths are in ems.

    file: a file of matplotlib's fonts; None for Pillow's own font. That one lacks accents, so texts with accents are
        set in DejaVuSans.
    upper: whether texts are set in capitals.
    squeeze: width over natural width.
    tracking: space between letters.
    leading: distance from line to line.
    weight: width of a stroke added around the letters.
    """

    file: str | None
    upper: bool = True
    squeeze: float = 1.0
    tracking: float = 0.0
    leading: float = 0.95
    weight: float = 0.0

    def cased(self, text: str) -> str:
        return text.upper() if self.upper else text


FACES = {
    "gothic": Face("DejaVuSans-Bold.ttf", squeeze=0.57, leading=0.88),
    "grotesque": Face(None, leading=0.94, weight=0.022),
    "airy": Face(None, tracking=0.2, leading=1.05),
    "slab": Face("DejaVuSerif-Bold.ttf", squeeze=0.74, leading=0.92),
    "roman": Face("STIXGeneral.ttf", tracking=0.1, leading=0.92, weight=0.008),
    "book": Face("STIXGeneralBol.ttf", upper=False, leading=0.92),
    "italic": Face("STIXGeneralBolIta.ttf", upper=False, leading=0.92),
    "racing": Face("DejaVuSans-BoldOblique.ttf", squeeze=0.66, leading=0.88),
    "typewriter": Face("DejaVuSansMono-Bold.ttf", upper=False, squeeze=0.8, leading=1.05),
}
# For small print.
SMALL = Face("DejaVuSans.ttf", squeeze=0.84, tracking=0.14)
BILLING = Face("DejaVuSans.ttf", squeeze=0.66)
TAGLINE = Face("STIXGeneralItalic.ttf", upper=False, tracking=0.02, weight=0.01)


@dataclass(frozen=True)
class Setting:
    """A text set in lines, in poster pixels.

    face: the typeface.
    size: the size of an em.
    lines: the text of each line.
    align: of the lines in the box.
    box: the letters' outline, which lies in the requested box.
    """

    face: Face
    size: float
    lines: tuple[str, ...]
    align: Align
    box: Box


def fit(
    text: str,
    face: Face,
    box: Box,
    align: Align = "centre",
    valign: float = 0.5,
    largest: float = 60,
    most_lines: int = 5,
) -> Setting:
    """Set `text` in `box`, with the line breaks that allow the largest letters.

    valign: the lines' place in the box's height, 0 (top) to 1 (bottom).
    largest: the largest size allowed, in poster pixels.
    most_lines: the most lines allowed.
    """
    if face.file is None and not text.isascii():
        face = replace(face, file="DejaVuSans.ttf", squeeze=face.squeeze * 0.86)
    left, top, right, bottom = box
    words = face.cased(text).split()
    breaks = [lines for count in range(1, min(len(words), most_lines) + 1) for lines in _breaks(words, count)]
    sizes = {lines: min(_size(lines, face, right - left, bottom - top), largest) for lines in breaks}
    # Of the breaks with about the largest letters take the narrowest, whose lines are most alike.
    large = [lines for lines in breaks if sizes[lines] > 0.92 * max(sizes.values())]
    lines = min(large, key=lambda lines: _widest(lines, face))
    size, width = sizes[lines], _widest(lines, face) * sizes[lines]
    height = _height(lines, face) * size
    x = left if align == "left" else (left + right - width) / 2
    y = top + (bottom - top - height) * valign
    return Setting(face, size, lines, align, (x, y, x + width, y + height))


def draw(image: Image.Image, setting: Setting, colour: Colour, scale: float) -> None:
    """Draw a setting onto an image with `scale` pixels per poster pixel."""
    left, top, right, _ = setting.box
    for line, baseline in zip(setting.lines, _baselines(setting.lines, setting.face), strict=True):
        slack = right - left - _width(line, setting.face) * setting.size
        x = left if setting.align == "left" else left + slack / 2
        y = top + baseline * setting.size
        _draw_line(image, line, setting.face, (x * scale, y * scale), setting.size * scale, colour)


def _draw_line(
    image: Image.Image, line: str, face: Face, start: tuple[float, float], size: float, colour: Colour
) -> None:
    """Draw one line with its baseline at `start`, on a mask that is then squeezed to the line's width."""
    font, pad, baseline, stroke = _font(face.file, round(size)), size * 0.2, round(size * 1.2), face.weight * size
    width = _width(line, face) * size
    # Small letters are spaced in whole pixels, so the line is wider than measured until it is squeezed.
    drawn = width / face.squeeze if face.tracking else font.getlength(line) + 2 * stroke
    mask, squeeze = Image.new("L", (round(drawn + 2 * pad), round(size * 1.7))), width / drawn
    pen, x = ImageDraw.Draw(mask), pad + stroke
    for piece, advance in _pieces(line, face):
        pen.text((x, baseline), piece, 255, font, anchor="ls", stroke_width=stroke)
        x += advance * size
    if abs(squeeze - 1) > 0.005:
        mask = mask.resize((round(mask.width * squeeze), mask.height), Image.Resampling.BILINEAR)
    image.paste(colour, (round(start[0] - pad * squeeze), round(start[1]) - baseline), mask)


def _pieces(line: str, face: Face) -> Iterator[tuple[str, float]]:
    """The pieces of a line that are drawn at once, each with the distance to the next piece in ems."""
    if not face.tracking:
        yield line, 0.0
        return
    for letter, following in pairwise(f"{line} "):
        # Measured with the following letter, so that pairs are kerned.
        yield letter, _length(letter + following, face.file) - _length(following, face.file) + face.tracking


def _breaks(words: list[str], count: int) -> Iterator[tuple[str, ...]]:
    """Every way to set `words` in `count` lines."""
    for cuts in combinations(range(1, len(words)), count - 1):
        yield tuple(" ".join(words[start:end]) for start, end in pairwise((0, *cuts, len(words))))


def _size(lines: tuple[str, ...], face: Face, width: float, height: float) -> float:
    """The size at which `lines` just fit into `width` x `height`."""
    return min(width / _widest(lines, face), height / _height(lines, face))


def _widest(lines: tuple[str, ...], face: Face) -> float:
    """The width of the widest line, in ems."""
    return max(_width(line, face) for line in lines)


def _height(lines: tuple[str, ...], face: Face) -> float:
    """From the top of the first line's letters to the bottom of the last's, in ems."""
    return _baselines(lines, face)[-1] + _extent(lines[-1], face)[1]


def _baselines(lines: tuple[str, ...], face: Face) -> list[float]:
    """The lines' baselines below the block's top, in ems. Accents push a line down, away from the one above."""
    above, hanging = _extent(lines[0], face)
    baselines = [above]
    for line in lines[1:]:
        above, below = _extent(line, face)
        baselines.append(baselines[-1] + max(face.leading, hanging + above + 0.08))
        hanging = below
    return baselines


def _width(line: str, face: Face) -> float:
    """A line's width in ems."""
    return (_length(line, face.file) + (len(line) - 1) * face.tracking + 2 * face.weight) * face.squeeze


def _extent(line: str, face: Face) -> tuple[float, float]:
    """How far a line's letters reach above and below the baseline, in ems."""
    above, below = _reach(line, face.file)
    return above + face.weight, below + face.weight


@lru_cache(maxsize=8192)
def _length(text: str, file: str | None) -> float:
    """The natural width of `text` in ems."""
    return _font(file, MEASURE).getlength(text) / MEASURE


@lru_cache(maxsize=8192)
def _reach(text: str, file: str | None) -> tuple[float, float]:
    """How far the letters of `text` reach above and below the baseline, in ems, without added strokes."""
    _, top, _, bottom = _font(file, MEASURE).getbbox(text, anchor="ls")
    return -top / MEASURE, max(bottom, 0) / MEASURE


@lru_cache(maxsize=1024)
def _font(file: str | None, size: int) -> ImageFont.FreeTypeFont:
    # Every Pillow has the basic layout. The other one is optional, and sets some letters differently.
    if file is None:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font.font_variant(layout_engine=ImageFont.Layout.BASIC)
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", file)
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
