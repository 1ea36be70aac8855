"""Layouts of a poster's parts: one function for each."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from sample.backdrops import Backdrop, ridge, tint
from sample.canvas import HEIGHT, MARGIN, WIDTH, Canvas
from sample.lettering import BILLING, SMALL, TAGLINE, Align, Box, Face, fit
from sample.motifs import Motif, Tones
from sample.palettes import Palette, contrast, mix
from sample.pen import Colour

LEFT, RIGHT, MIDDLE = MARGIN, WIDTH - MARGIN, WIDTH / 2
WHOLE: Box = (0, 0, WIDTH, HEIGHT)


@dataclass(frozen=True)
class Design:
    """A poster's parts: its texts, colours, motif, typeface, backdrop and layout."""

    title: str
    stars: str
    tagline: str
    billing: tuple[str, ...]
    palette: Palette
    motif: Motif
    face: Face
    backdrop: Backdrop
    layout: "Layout"


Layout = Callable[[Canvas, Design, random.Random], None]


def classic(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """The motif over the title."""
    palette, x, y = design.palette, MIDDLE + rng.uniform(-10, 10), rng.uniform(88, 104)
    canvas.wash(WHOLE, palette.ground, palette.shade)
    design.backdrop(canvas, palette, (x, y), rng)
    canvas.fade(140, 184, palette.shade)
    _motif(canvas, design, (x, y, rng.uniform(50, 70)), palette.ground, rng)
    ink = palette.legible_on(palette.shade)
    _stars(canvas, design, 10, palette.legible_on(palette.ground, tint(palette, 0.3)))
    _title(canvas, design, (LEFT + 4, 182, RIGHT - 4, 232), ink)
    _billing(canvas, design, 240, ink)


def headline(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """The title over the motif."""
    palette, x, y = design.palette, MIDDLE + rng.uniform(-10, 10), rng.uniform(160, 172)
    canvas.wash(WHOLE, palette.ground, palette.shade)
    design.backdrop(canvas, palette, (x, y), rng)
    canvas.wash((0, 0, WIDTH, 86), palette.ground, palette.ground)
    canvas.fade(226, 240, palette.shade)
    _motif(canvas, design, (x, y, rng.uniform(50, 66)), palette.ground, rng)
    ink = palette.legible_on(palette.ground)
    _title(canvas, design, (LEFT + 2, 14, RIGHT - 2, 66), ink)
    _tagline(canvas, design, (LEFT, 71, RIGHT, 81), ink)
    _billing(canvas, design, 244, palette.legible_on(palette.shade))


def framed(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """A picture on paper with the title below, as on travel posters."""
    palette = design.palette
    canvas.wash(WHOLE, palette.ground, palette.shade)
    x, y, bottom = MIDDLE + rng.uniform(-8, 8), rng.uniform(92, 106), 192
    design.backdrop(canvas, palette, (x, y), rng)
    _motif(canvas, design, (x, y, rng.uniform(52, 68)), palette.ground, rng)
    paper = mix((250, 245, 234), palette.spark, 0.05)
    for box in ((0, 0, WIDTH, 9), (0, 0, 9, HEIGHT), (WIDTH - 9, 0, WIDTH, HEIGHT), (0, bottom, WIDTH, HEIGHT)):
        canvas.pen.box(*box, paper)
    ink = palette.legible_on(paper)
    _title(canvas, design, (LEFT + 1, bottom + 7, RIGHT - 1, 243), ink)
    _billing(canvas, design, 247, ink, lines=1)


def band(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """The motif above a slanting band that holds the title."""
    palette, x, y = design.palette, MIDDLE + rng.uniform(-14, 14), rng.uniform(80, 92)
    canvas.wash(WHOLE, palette.shade, palette.ground)
    design.backdrop(canvas, palette, (x, y), rng)
    _motif(canvas, design, (x, y, rng.uniform(52, 66)), palette.ground, rng)
    slant, filling = rng.choice((-16, -8, 0, 8, 16)), rng.choice((palette.figure, palette.spark))
    canvas.pen.polygon([(0, 170 + slant), (WIDTH, 170 - slant), (WIDTH, HEIGHT), (0, HEIGHT)], filling)
    canvas.pen.polygon([(0, 165 + slant), (WIDTH, 165 - slant), (WIDTH, 168 - slant), (0, 168 + slant)], filling)
    ink = palette.legible_on(filling)
    _title(canvas, design, (LEFT + 2, 190, RIGHT - 2, 238), ink)
    _billing(canvas, design, 244, ink)


def bleed(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """A motif larger than the poster; a small title at the left."""
    palette, side = design.palette, rng.choice((40, 142))
    _motif(canvas, design, (side, rng.uniform(66, 84), rng.uniform(96, 108)), palette.ground, rng, tilt=24)
    canvas.pen.box(0, 184, WIDTH, HEIGHT, palette.ground)
    ink = palette.legible_on(palette.ground)
    canvas.pen.box(LEFT + 1, 189, LEFT + 27, 191.5, palette.spark)
    _title(canvas, design, (LEFT, 197, RIGHT - 8, 238), ink, "left", valign=0.0)
    _billing(canvas, design, 245, ink, align="left")


def pattern(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """The motif repeated on a chequered ground."""
    count, first = rng.choice((2, 3)), rng.randrange(2)
    step = WIDTH / count
    for row, column in product(range(count), repeat=2):
        field = (design.palette.ground, design.palette.figure)[(row + column + first) % 2]
        left, top = column * step, row * step
        canvas.pen.box(left, top, left + step, top + step, field)
        _motif(canvas, design, (left + step / 2, top + step / 2, step * 0.4), field, rng, tilt=0)
    _footer(canvas, design, WIDTH)


def shout(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """The title as large as possible, the motif in the remaining space."""
    palette = design.palette
    canvas.wash(WHOLE, palette.ground, palette.shade)
    ink = palette.legible_on(palette.ground, palette.shade)
    _title(canvas, design, (LEFT, 14, RIGHT, 132), ink, "left", valign=0.0, largest=64)
    bottom = canvas.settings[-1].box[3]
    radius = min(66.0, (236 - bottom) / 2 - 4)
    x = RIGHT - radius - rng.uniform(0, 8) if rng.random() < 0.6 else MIDDLE
    _motif(canvas, design, (x, bottom + 7 + (236 - bottom - 7) / 2, radius), palette.shade, rng)
    _billing(canvas, design, 244, ink, align="left")


def vista(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """The motif in front of a wide landscape with a sun."""
    palette, x = design.palette, MIDDLE + rng.uniform(-16, 16)
    canvas.wash((0, 0, WIDTH, 200), palette.ground, mix(palette.ground, palette.spark, 0.45))
    canvas.pen.disc(x, 150, rng.uniform(52, 62), mix(palette.ground, palette.spark, 0.7))
    near = mix(palette.figure, palette.ground, 0.12)
    for i, share in enumerate((0.62, 0.42)):
        ridge(canvas, 176 + 14 * i, 12, mix(palette.figure, palette.ground, share), rng)
    ridge(canvas, 206, 7, near, rng)
    _motif(canvas, design, (x, rng.uniform(144, 152), rng.uniform(44, 52)), palette.ground, rng, tilt=4)
    ink = palette.legible_on(palette.ground)
    _title(canvas, design, (LEFT + 2, 16, RIGHT - 2, 70), ink)
    _tagline(canvas, design, (LEFT, 74, RIGHT, 84), ink)
    _billing(canvas, design, 242, palette.legible_on(near))


def disc(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """The motif on a disc, like a seal."""
    palette, top = design.palette, rng.random() < 0.4
    y = 174 if top else 94
    filling = rng.choice((palette.figure, palette.spark))
    canvas.pen.disc(MIDDLE, y, 74, filling)
    canvas.pen.ring(MIDDLE, y, 78, 1.3, filling)
    _motif(canvas, design, (MIDDLE + rng.uniform(-5, 5), y + rng.uniform(-5, 5), rng.uniform(44, 56)), filling, rng)
    ink = palette.legible_on(palette.ground)
    _title(canvas, design, (LEFT + 2, 16, RIGHT - 2, 80) if top else (LEFT + 2, 184, RIGHT - 2, 234), ink)
    _billing(canvas, design, 256 if top else 242, ink, lines=1 if top else 2)


def counterchange(canvas: Canvas, design: Design, rng: random.Random) -> None:
    """Figure and ground swap colours at a line through the motif."""
    ground, figure = design.palette.ground, design.palette.figure
    place, slant = (MIDDLE, rng.uniform(90, 98), rng.uniform(58, 76)), rng.choice((-60, -30, 0, 30, 60))
    angle = rng.getrandbits(32)
    _motif(canvas, design, place, ground, random.Random(angle))
    other, mask = Canvas(figure), Canvas((0, 0, 0))
    _motif(other, design, place, figure, random.Random(angle))
    mask.pen.polygon([(MIDDLE + slant, 0), (WIDTH, 0), (WIDTH, 186), (MIDDLE - slant, 186)], (255, 255, 255))
    canvas.image.paste(other.image, (0, 0), mask.image.convert("L"))
    _footer(canvas, design, 186)


LAYOUTS = {f.__name__: f for f in (classic, headline, framed, band, bleed, pattern, shout, vista, disc, counterchange)}


def tones_on(palette: Palette, behind: Colour) -> Tones:
    """The palette's tones for a motif on `behind`, one of the palette's colours."""
    if behind in (palette.ground, palette.shade):
        return Tones(palette.figure, palette.spark, behind)
    if behind == palette.figure:
        return Tones(palette.ground, palette.spark, behind)
    figure, detail = sorted((palette.figure, palette.ground), key=lambda colour: -contrast(colour, behind))
    return Tones(figure, detail, behind)


def _footer(canvas: Canvas, design: Design, top: float) -> None:
    """The title and a line of small print on the plain ground below `top`."""
    canvas.pen.box(0, top, WIDTH, HEIGHT, design.palette.ground)
    ink = design.palette.legible_on(design.palette.ground)
    _title(canvas, design, (LEFT + 2, top + 8, RIGHT - 2, 240), ink)
    _billing(canvas, design, 247, ink, lines=1)


def _motif(
    canvas: Canvas,
    design: Design,
    place: tuple[float, float, float],
    behind: Colour,
    rng: random.Random,
    tilt: float = 10,
) -> None:
    """Draw the motif at place = (x, y, half its size), turned by up to `tilt` degrees, perhaps mirrored."""
    pen = canvas.pen.at(*place, angle=rng.uniform(-tilt, tilt), mirrored=rng.random() < 0.5)
    design.motif(pen, tones_on(design.palette, behind))


def _title(
    canvas: Canvas,
    design: Design,
    box: Box,
    colour: Colour,
    align: Align = "centre",
    valign: float = 0.5,
    largest: float = 40,
) -> None:
    canvas.letter(fit(design.title, design.face, box, align, valign, largest), colour)


def _stars(canvas: Canvas, design: Design, top: float, colour: Colour) -> None:
    canvas.letter(fit(design.stars, SMALL, (LEFT, top, RIGHT, top + 7), largest=6, most_lines=1), colour)


def _tagline(canvas: Canvas, design: Design, box: Box, colour: Colour) -> None:
    canvas.letter(fit(design.tagline, TAGLINE, box, largest=9, most_lines=1), colour)


def _billing(
    canvas: Canvas, design: Design, top: float, colour: Colour, lines: int = 2, align: Align = "centre"
) -> None:
    for i, text in enumerate(design.billing[:lines]):
        y = top + 6.5 * i
        canvas.letter(fit(text, BILLING, (LEFT, y, RIGHT, y + 5.5), align, largest=5.6, most_lines=1), colour)
