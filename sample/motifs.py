"""Motifs: the things shown on posters. One small function for each, at least three for every genre.

A motif fills the square from (-1, -1) to (1, 1) of its pen, leaves the rest as it is, and uses three tones.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sample.pen import Colour, Pen, Point, path


@dataclass(frozen=True)
class Tones:
    """A motif's colours: of its figure, of its details, and of what lies behind it (for holes)."""

    figure: Colour
    detail: Colour
    behind: Colour


Motif = Callable[[Pen, Tones], None]


# Drama


def profile(pen: Pen, tones: Tones) -> None:
    """A head in silhouette with a moon in it."""
    skull = path("-50,100 -42,52 -70,12 -74,-42 -40,-86 8,-94 46,-68 54,-34 56,-18")
    face = path("76,10 60,19 66,30 58,36 64,45 56,55 56,72 30,78 16,82 22,100")
    pen.curve(skull + face, tones.figure)
    pen.disc(-0.16, -0.34, 0.32, tones.detail)
    pen.disc(-0.02, -0.42, 0.27, tones.figure)


def window(pen: Pen, tones: Tones) -> None:
    """A lit sash window with a flower pot on its sill."""
    pen.box(-0.66, -0.95, 0.66, 0.78, tones.figure)
    for left, right in ((-0.54, -0.05), (0.05, 0.54)):
        for top, bottom in ((-0.83, -0.1), (-0.01, 0.68)):
            pen.box(left, top, right, bottom, tones.detail)
    pen.box(-0.82, 0.78, 0.82, 0.93, tones.figure)
    pen.polygon([(0.14, 0.42), (0.46, 0.42), (0.4, 0.78), (0.2, 0.78)], tones.figure)
    for x, y in ((0.12, 0.22), (0.3, 0.1), (0.48, 0.24)):
        pen.line([(0.3, 0.5), (x, y)], 0.035, tones.figure)
        pen.disc(x, y, 0.075, tones.figure)


def umbrella(pen: Pen, tones: Tones) -> None:
    """An open umbrella in slanting rain."""
    for x, y in path("-80,-75 -35,-95 50,-92 85,-60 -85,45 50,50 80,30 -40,70"):
        pen.line([(x, y), (x - 0.08, y + 0.22)], 0.03, tones.detail)
    pen.line([(0, -0.82), (0, 0.68)], 0.06, tones.figure)
    pen.arc(0.16, 0.7, 0.16, 0, 180, 0.06, tones.figure)
    for width, colour in ((0.88, tones.figure), (0.34, tones.detail)):
        turn = [math.radians(180 + 6 * i) for i in range(31)]
        dome = [(width * math.cos(t), 0.12 + 0.88 * math.sin(t)) for t in turn]
        rim = [(x, _scallops(x)) for x in (width * (1 - i / 30) for i in range(61))]
        pen.polygon(dome + rim, colour)


def street_lamp(pen: Pen, tones: Tones) -> None:
    """A street lamp and its light."""
    pen.polygon([(-0.02, -0.6), (0.36, -0.6), (0.92, 0.9), (-0.6, 0.9)], tones.detail)
    pen.line([(-0.5, 0.9), (-0.5, -0.62)], 0.09, tones.figure)
    pen.arc(-0.16, -0.62, 0.34, 180, 350, 0.08, tones.figure)
    pen.sector(0.17, -0.56, 0.26, 180, 360, tones.figure)
    pen.disc(0.17, -0.54, 0.12, tones.figure)
    pen.polygon([(-0.74, 0.95), (-0.58, 0.5), (-0.42, 0.5), (-0.26, 0.95)], tones.figure)
    pen.line([(-0.9, 0.93), (0.95, 0.93)], 0.06, tones.figure)
    pen.disc(-0.5, -0.02, 0.1, tones.figure)


def armchair(pen: Pen, tones: Tones) -> None:
    """An empty armchair."""
    pen.curve(path("-50,30 -56,-70 0,-95 56,-70 50,30"), tones.figure)
    for x, y in path("-24,-56 24,-56 0,-30 -24,-6 24,-6"):
        pen.disc(x, y, 0.05, tones.detail)
    pen.box(-0.56, 0.14, 0.56, 0.72, tones.figure)
    pen.curve(path("-46,12 46,12 50,26 46,40 -46,40 -50,26"), tones.detail)
    for half in pen.halves():
        half.line([(0.66, 0.04), (0.66, 0.58)], 0.34, tones.figure)
        half.disc(0.66, 0.04, 0.09, tones.detail)
        half.polygon([(0.46, 0.7), (0.68, 0.7), (0.64, 0.96), (0.56, 0.96)], tones.figure)


# Comedy


def moustache(pen: Pen, tones: Tones) -> None:
    """Joke spectacles with a nose and a moustache."""
    for half in pen.halves():
        half.disc(0.44, -0.3, 0.38, tones.figure)
        half.disc(0.44, -0.3, 0.29, tones.behind)
        half.line([(0.2, -0.76), (0.48, -0.88), (0.76, -0.74)], 0.14, tones.figure)
        half.curve(path("0,36 28,28 62,52 95,36 80,76 40,84 8,66"), tones.figure)
    pen.line([(-0.1, -0.36), (0.1, -0.36)], 0.1, tones.figure)
    pen.curve(path("0,-30 16,2 24,24 0,38 -24,24 -16,2"), tones.detail)


def bow_tie(pen: Pen, tones: Tones) -> None:
    """A dotted bow tie."""
    for half in pen.halves():
        half.curve(path("5,0 40,-30 86,-52 95,0 86,52 40,30"), tones.figure)
        for x, y in ((0.42, 0.02), (0.62, -0.22), (0.64, 0.24), (0.82, 0.02)):
            half.disc(x, y, 0.075, tones.detail)
    pen.curve(path("-17,-20 17,-20 20,0 17,20 -17,20 -20,0"), tones.detail)


def duck(pen: Pen, tones: Tones) -> None:
    """A bath duck on waves."""
    pen.curve(path("-95,-12 -60,8 -20,6 10,-8 55,0 72,32 50,66 -10,74 -66,60 -90,22"), tones.figure)
    pen.disc(0.32, -0.38, 0.4, tones.figure)
    pen.curve([(0.62, -0.46), (0.98, -0.42), (0.94, -0.24), (0.62, -0.22)], tones.detail)
    pen.disc(0.42, -0.5, 0.075, tones.behind)
    pen.curve(path("-45,16 -10,20 20,14 2,48 -35,46"), tones.detail)
    for x in (-0.6, 0.0, 0.6):
        pen.arc(x, 0.72, 0.3, 20, 160, 0.07, tones.detail)


def cake(pen: Pen, tones: Tones) -> None:
    """A cake of three tiers with a lit candle."""
    pen.ellipse(0, -0.86, 0.07, 0.12, tones.detail)
    pen.line([(0, -0.7), (0, -0.5)], 0.07, tones.figure)
    for half, top, bottom in ((0.34, -0.5, -0.06), (0.58, -0.06, 0.4), (0.82, 0.4, 0.86)):
        pen.box(-half, top, half, bottom, tones.figure)
        count = round(half * 8)
        for i in range(count):
            x = -half + 2 * half * (i + 0.5) / count
            pen.line([(x, top + 0.02), (x, top + (0.16 if i % 2 else 0.1))], 1.7 * half / count, tones.detail)
    pen.line([(-0.94, 0.9), (0.94, 0.9)], 0.08, tones.figure)


def top_hat(pen: Pen, tones: Tones) -> None:
    """A top hat with a rabbit in it."""
    for half in pen.halves():
        half.ellipse(0.2, -0.6, 0.14, 0.38, tones.detail)
        half.ellipse(0.2, -0.56, 0.06, 0.26, tones.figure)
    pen.disc(0, -0.08, 0.36, tones.detail)
    for half in pen.halves():
        half.disc(0.14, -0.14, 0.05, tones.figure)
    pen.polygon([(-0.05, -0.06), (0.05, -0.06), (0, 0.01)], tones.figure)
    pen.polygon([(-0.54, 0.1), (0.54, 0.1), (0.46, 0.95), (-0.46, 0.95)], tones.figure)
    pen.line([(-0.78, 0.12), (0.78, 0.12)], 0.15, tones.figure)
    pen.polygon([(-0.525, 0.24), (0.525, 0.24), (0.508, 0.42), (-0.508, 0.42)], tones.detail)


# Romance


def heart(pen: Pen, tones: Tones) -> None:
    """A heart with a smaller one in it."""
    for size, colour in ((0.98, tones.figure), (0.42, tones.detail)):
        pen.polygon([(x * size, y * size) for x, y in _heart()], colour)


def rose(pen: Pen, tones: Tones) -> None:
    """A rose on its stem."""
    pen.line([(0.0, -0.2), (0.04, 0.4), (-0.04, 0.98)], 0.06, tones.detail)
    pen.curve([(0.02, 0.5), (0.3, 0.24), (0.62, 0.3), (0.4, 0.56)], tones.detail)
    pen.curve([(0.0, 0.72), (-0.28, 0.44), (-0.6, 0.5), (-0.4, 0.76)], tones.detail)
    pen.curve(path("-56,-50 -30,-92 30,-92 56,-50 36,2 -36,2"), tones.figure)
    for x, y, radius, start, end in (
        (0, -0.46, 0.36, 150, 400),
        (0.02, -0.5, 0.22, 10, 230),
        (0.0, -0.52, 0.09, 180, 420),
    ):
        pen.arc(x, y, radius, start, end, 0.05, tones.behind)
    pen.curve([(-0.2, 0.06), (0.0, -0.08), (0.2, 0.06), (0.0, 0.2)], tones.detail)


def envelope(pen: Pen, tones: Tones) -> None:
    """A letter sealed with a heart."""
    pen.box(-0.95, -0.58, 0.95, 0.66, tones.figure)
    for tip in ((-0.95, 0.64), (0.95, 0.64)):
        pen.line([tip, (0.0, -0.06)], 0.04, tones.behind)
    pen.line([(-0.93, -0.56), (0.0, 0.2), (0.93, -0.56)], 0.06, tones.behind)
    pen.polygon([(x * 0.4, y * 0.4 + 0.12) for x, y in _heart()], tones.detail)


# Thriller


def crosshair(pen: Pen, tones: Tones) -> None:
    """The view through a telescopic sight."""
    pen.ring(0, 0, 0.76, 0.11, tones.figure)
    pen.ring(0, 0, 0.44, 0.045, tones.figure)
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        pen.line([(0.2 * x, 0.2 * y), (0.95 * x, 0.95 * y)], 0.055, tones.figure)
    pen.disc(0, 0, 0.11, tones.detail)


def eye(pen: Pen, tones: Tones) -> None:
    """A staring eye."""
    lid = [(-0.98 + 0.14 * i, -0.6 * math.sin(math.pi * i / 14)) for i in range(15)]
    pen.polygon([*lid, *((x, -y) for x, y in reversed(lid))], tones.figure)
    pen.disc(0, 0, 0.46, tones.behind)
    pen.disc(0, 0, 0.39, tones.detail)
    pen.disc(0, 0, 0.2, tones.behind)
    pen.disc(0.12, -0.13, 0.08, tones.figure)
    for x in (-0.6, -0.3, 0.0, 0.3, 0.6):
        y = -0.66 + 0.5 * x * x
        pen.line([(x, y), (x * 1.2, y - 0.2)], 0.055, tones.figure)


def keyhole(pen: Pen, tones: Tones) -> None:
    """A lock's plate with light behind the keyhole."""
    pen.curve(path("0,-100 56,-86 62,0 56,86 0,100 -56,86 -62,0 -56,-86"), tones.figure)
    pen.disc(0, -0.24, 0.29, tones.detail)
    pen.polygon([(-0.11, -0.1), (0.11, -0.1), (0.27, 0.56), (-0.27, 0.56)], tones.detail)
    for y in (-0.8, 0.8):
        pen.disc(0, y, 0.07, tones.behind)


# Action


def car(pen: Pen, tones: Tones) -> None:
    """A fast car and its slipstream."""
    pen.curve(path("-98,26 -94,2 -60,-4 -34,-34 14,-36 44,-4 86,6 98,28 90,36 -90,36"), tones.figure)
    pen.polygon([(-0.46, -0.04), (-0.28, -0.25), (-0.09, -0.25), (-0.09, -0.04)], tones.behind)
    pen.polygon([(-0.01, -0.04), (-0.01, -0.25), (0.11, -0.25), (0.3, -0.04)], tones.behind)
    for x in (-0.55, 0.56):
        pen.disc(x, 0.34, 0.25, tones.behind)
        pen.disc(x, 0.34, 0.2, tones.figure)
        pen.disc(x, 0.34, 0.09, tones.detail)
    pen.disc(0.88, 0.15, 0.06, tones.detail)
    for y, start, end in ((-0.62, -0.8, 0.1), (-0.76, -0.4, 0.5), (0.7, -0.9, -0.1), (0.8, 0.0, 0.8)):
        pen.line([(start, y), (end, y)], 0.045, tones.detail)


def explosion(pen: Pen, tones: Tones) -> None:
    """A jagged flash."""
    for size, colour in ((0.98, tones.figure), (0.62, tones.detail), (0.3, tones.behind)):
        pen.polygon(_star(13, size, size * 0.6, wobble=0.16), colour)


def helicopter(pen: Pen, tones: Tones) -> None:
    """A helicopter with its searchlight on."""
    pen.polygon([(0.3, 0.22), (0.98, 0.95), (0.3, 0.98)], tones.detail)
    pen.line([(-0.75, -0.62), (0.95, -0.62)], 0.06, tones.figure)
    pen.line([(0.1, -0.6), (0.1, -0.3)], 0.08, tones.figure)
    pen.curve(path("-28,-30 20,-40 60,-20 72,10 40,28 -10,24 -36,0"), tones.figure)
    pen.polygon([(-0.2, -0.22), (-0.98, -0.2), (-0.98, -0.08), (-0.2, 0.08)], tones.figure)
    pen.polygon([(-0.98, -0.44), (-0.84, -0.44), (-0.78, -0.12), (-0.98, -0.08)], tones.figure)
    pen.curve([(0.28, -0.2), (0.5, -0.14), (0.6, 0.06), (0.28, 0.06)], tones.behind)
    pen.line([(-0.2, 0.44), (0.56, 0.44)], 0.06, tones.figure)
    for x in (-0.04, 0.36):
        pen.line([(x, 0.22), (x, 0.44)], 0.05, tones.figure)


# Crime


def magnifier(pen: Pen, tones: Tones) -> None:
    """A magnifying glass over a fingerprint."""
    pen.line([(0.3, 0.3), (0.86, 0.86)], 0.22, tones.figure)
    pen.disc(-0.22, -0.22, 0.7, tones.figure)
    pen.disc(-0.22, -0.22, 0.57, tones.behind)
    for i, radius in enumerate((0.44, 0.33, 0.22, 0.11)):
        pen.arc(-0.22, -0.16, radius, 165 - 12 * i, 385 + 10 * i, 0.05, tones.detail)


def fedora(pen: Pen, tones: Tones) -> None:
    """A hat and a turned-up collar without a face."""
    pen.curve(path("-56,-28 -46,-82 -18,-96 0,-88 18,-96 46,-82 56,-28"), tones.figure)
    pen.polygon([(-0.56, -0.46), (0.56, -0.46), (0.58, -0.26), (-0.58, -0.26)], tones.detail)
    pen.curve(path("-98,-24 -50,-30 0,-24 50,-30 98,-24 50,-6 0,0 -50,-6"), tones.figure)
    for half in pen.halves():
        half.polygon([(0.5, 0.3), (0.08, 0.98), (0.95, 0.98), (0.82, 0.58)], tones.figure)
    pen.polygon([(-0.1, 0.66), (0.1, 0.66), (0.15, 0.98), (-0.15, 0.98)], tones.detail)


def skyline(pen: Pen, tones: Tones) -> None:
    """A city block at night with a few lit windows."""
    towers = (
        (-0.95, -0.55, 0.1),
        (-0.58, -0.3, -0.55),
        (-0.3, 0.1, -0.2),
        (0.06, 0.36, -0.85),
        (0.36, 0.62, -0.1),
        (0.6, 0.95, -0.42),
    )
    for left, right, top in towers:
        pen.box(left, top, right, 0.95, tones.figure)
    pen.line([(0.21, -0.8), (0.21, -0.98)], 0.035, tones.figure)
    pen.polygon([(-0.58, -0.55), (-0.44, -0.75), (-0.3, -0.55)], tones.figure)
    for left, right, top in towers:
        columns = max(2, round((right - left) / 0.13))
        for row in range(int((0.8 - top) / 0.17)):
            for column in range(columns):
                if (row * 7 + column * 5 + round(top * 20)) % 4 < 2:
                    x, y = left + (right - left) * (column + 0.5) / columns, top + 0.14 + 0.17 * row
                    pen.box(x - 0.03, y - 0.045, x + 0.03, y + 0.045, tones.detail)


# Adventure


def mountains(pen: Pen, tones: Tones) -> None:
    """Two snow-capped peaks and a sun."""
    pen.disc(0.52, -0.6, 0.24, tones.detail)
    pen.polygon([(-0.98, 0.8), (-0.3, -0.86), (0.42, 0.8)], tones.figure)
    pen.polygon(path("-30,-86 -52,-33 -40,-22 -30,-36 -18,-20 -6,-32"), tones.detail)
    pen.polygon([(-0.1, 0.8), (0.46, -0.2), (0.98, 0.8)], tones.figure)
    pen.polygon(path("46,-20 28,12 40,22 50,10 62,12"), tones.detail)
    pen.line([(-0.1, 0.8), (0.18, 0.3)], 0.03, tones.behind)


def compass(pen: Pen, tones: Tones) -> None:
    """A compass rose."""
    pen.ring(0, 0, 0.78, 0.07, tones.figure)
    pen.polygon(_star(4, 0.62, 0.16, turn=45), tones.detail)
    for quarter in range(4):
        turned = pen.turned(90 * quarter)
        turned.polygon([(0, -0.98), (0.17, -0.17), (0, 0)], tones.figure)
        turned.polygon([(0, -0.98), (-0.17, -0.17), (0, 0)], tones.detail)
    pen.disc(0, 0, 0.07, tones.behind)


def ship(pen: Pen, tones: Tones) -> None:
    """A sailing ship on the waves."""
    pen.line([(-0.05, -0.95), (-0.05, 0.4)], 0.055, tones.figure)
    pen.polygon([(0.02, -0.86), (0.66, 0.2), (0.02, 0.26)], tones.figure)
    pen.curve([(-0.12, -0.74), (-0.1, 0.2), (-0.66, 0.2), (-0.4, -0.16)], tones.detail)
    pen.polygon([(-0.05, -0.98), (0.26, -0.9), (-0.05, -0.82)], tones.detail)
    pen.curve(path("-86,36 0,42 90,34 60,76 0,82 -56,76"), tones.figure)
    for i in range(4):
        pen.arc(-0.72 + 0.48 * i, 0.72, 0.24, 10, 170, 0.07, tones.detail)


# Horror


def drips(pen: Pen, tones: Tones) -> None:
    """Drops that run down."""
    pen.curve(path("-96,-80 -60,-98 60,-98 96,-80 90,-56 0,-50 -90,-56"), tones.figure)
    for x, bottom, width in (
        (-0.82, -0.05, 0.2),
        (-0.5, 0.62, 0.24),
        (-0.17, 0.1, 0.18),
        (0.14, 0.78, 0.26),
        (0.48, -0.1, 0.2),
        (0.8, 0.4, 0.24),
    ):
        pen.line([(x, -0.8), (x, bottom)], width, tones.figure)
        pen.disc(x, bottom, width * 0.62, tones.figure)
    for x, bottom in ((-0.53, 0.6), (0.11, 0.76), (0.77, 0.38)):
        pen.line([(x, bottom - 0.22), (x, bottom)], 0.05, tones.detail)
    pen.disc(0.48, 0.42, 0.09, tones.figure)
    pen.polygon([(0.4, 0.39), (0.48, 0.2), (0.56, 0.39)], tones.figure)


def bat(pen: Pen, tones: Tones) -> None:
    """A bat before the moon."""
    pen.disc(0, -0.08, 0.72, tones.detail)
    for half in pen.halves():
        half.polygon(path("0,-22 24,-20 42,-50 98,-34 84,2 78,34 62,12 46,16 38,42 24,20 10,26 0,50"), tones.figure)
        half.polygon([(0.02, -0.3), (0.16, -0.56), (0.19, -0.26)], tones.figure)
    pen.ellipse(0, 0.06, 0.17, 0.36, tones.figure)
    pen.disc(0, -0.24, 0.19, tones.figure)
    for x in (-0.07, 0.07):
        pen.disc(x, -0.26, 0.035, tones.detail)


def skull(pen: Pen, tones: Tones) -> None:
    """A skull."""
    pen.curve(path("0,-95 56,-80 80,-30 66,14 44,34 42,78 0,86 -42,78 -44,34 -66,14 -80,-30 -56,-80"), tones.figure)
    for half in pen.halves():
        half.ellipse(0.35, -0.14, 0.23, 0.26, tones.behind)
        half.disc(0.35, -0.1, 0.08, tones.detail)
        half.line([(0.13, 0.56), (0.13, 0.82)], 0.045, tones.behind)
    pen.polygon([(0, 0.1), (0.12, 0.34), (-0.12, 0.34)], tones.behind)


# Sci-Fi


def rocket(pen: Pen, tones: Tones) -> None:
    """A flying rocket."""
    pen.curve(path("0,98 20,62 14,42 -14,42 -20,62"), tones.detail)
    for half in pen.halves():
        half.polygon([(0.22, 0.02), (0.6, 0.4), (0.6, 0.66), (0.2, 0.46)], tones.detail)
    pen.curve(path("0,-100 24,-60 32,-10 24,42 0,48 -24,42 -32,-10 -24,-60"), tones.figure)
    pen.disc(0, -0.26, 0.17, tones.detail)
    pen.disc(0, -0.26, 0.11, tones.behind)
    for x, y in path("-70,-60 66,-72 82,-6 -86,4 -60,86"):
        pen.polygon([(x + a, y + b) for a, b in _star(4, 0.1, 0.03)], tones.figure)


def planet(pen: Pen, tones: Tones) -> None:
    """A ringed planet and its moon."""
    tilted = pen.turned(-20)
    tilted.ellipse(0, 0, 0.98, 0.27, tones.detail)
    tilted.ellipse(0, -0.01, 0.8, 0.17, tones.behind)
    pen.disc(0, 0, 0.6, tones.figure)
    front = [(math.cos(t), math.sin(t)) for t in (math.radians(9 * i) for i in range(21))]
    outer, inner = [(0.98 * x, 0.27 * y) for x, y in front], [(0.8 * x, 0.17 * y) for x, y in front]
    tilted.polygon([*outer, *reversed(inner)], tones.detail)
    pen.disc(0.7, -0.72, 0.12, tones.detail)
    pen.disc(-0.74, 0.7, 0.06, tones.figure)


def saucer(pen: Pen, tones: Tones) -> None:
    """A flying saucer and its beam."""
    pen.polygon([(-0.26, -0.2), (0.26, -0.2), (0.72, 0.95), (-0.72, 0.95)], tones.detail)
    pen.sector(0, -0.44, 0.42, 180, 360, tones.detail)
    pen.ellipse(0, -0.34, 0.95, 0.26, tones.figure)
    pen.ellipse(0, -0.44, 0.46, 0.1, tones.behind)
    for x in (-0.62, -0.22, 0.22, 0.62):
        pen.disc(x, -0.26 - 0.1 * abs(x), 0.06, tones.detail)
    pen.curve(path("-20,80 -30,66 -10,56 14,62 26,50 38,60 24,80"), tones.figure)
    for x in (-0.16, 0.16):
        pen.box(x - 0.035, 0.74, x + 0.035, 0.92, tones.figure)


# Family


def cottage(pen: Pen, tones: Tones) -> None:
    """A house with smoke from its chimney."""
    pen.box(0.3, -0.62, 0.5, -0.1, tones.figure)
    for x, y, radius in ((0.42, -0.78, 0.09), (0.56, -0.88, 0.08), (0.7, -0.93, 0.06)):
        pen.disc(x, y, radius, tones.detail)
    pen.polygon([(-0.9, 0.06), (0, -0.74), (0.9, 0.06)], tones.figure)
    pen.box(-0.68, 0.04, 0.68, 0.9, tones.figure)
    pen.curve(path("-16,90 -16,50 0,38 16,50 16,90"), tones.detail)
    pen.box(-0.16, 0.6, 0.16, 0.9, tones.detail)
    for x in (-0.52, 0.3):
        pen.box(x, 0.22, x + 0.22, 0.46, tones.detail)
    pen.polygon([(x * 0.15, y * 0.15 - 0.22) for x, y in _heart()], tones.detail)


def balloon(pen: Pen, tones: Tones) -> None:
    """A striped hot-air balloon."""
    for x in (-0.14, 0.14):
        pen.line([(x * 2.2, 0.3), (x, 0.72)], 0.025, tones.figure)
    shape = path("0,-98 50,-82 72,-40 56,4 22,42 -22,42 -56,4 -72,-40 -50,-82")
    for width, colour in ((1.0, tones.figure), (0.62, tones.detail), (0.24, tones.figure)):
        pen.curve([(x * width, y) for x, y in shape], colour)
    pen.box(-0.16, 0.7, 0.16, 0.95, tones.figure)


def cat(pen: Pen, tones: Tones) -> None:
    """A sitting cat."""
    pen.arc(0.42, 0.52, 0.4, -60, 110, 0.12, tones.figure)
    pen.curve(path("0,-20 36,14 50,70 40,95 -40,95 -50,70 -36,14"), tones.figure)
    pen.ellipse(0, -0.38, 0.44, 0.37, tones.figure)
    for half in pen.halves():
        half.polygon([(0.1, -0.66), (0.4, -0.96), (0.44, -0.4)], tones.figure)
        half.ellipse(0.17, -0.42, 0.085, 0.1, tones.detail)
        half.ellipse(0.17, -0.42, 0.03, 0.08, tones.behind)
        for y in (-0.24, -0.16):
            half.line([(0.16, -0.22), (0.62, y - 0.06)], 0.02, tones.detail)
    pen.polygon([(-0.06, -0.29), (0.06, -0.29), (0, -0.21)], tones.detail)


# Animation


def monster(pen: Pen, tones: Tones) -> None:
    """A friendly monster."""
    for half in pen.halves():
        half.line([(0.3, -0.6), (0.42, -0.9)], 0.07, tones.figure)
        half.disc(0.42, -0.9, 0.09, tones.detail)
    feet = path("72,92 48,78 24,92 0,78 -24,92 -48,78 -72,92")
    pen.curve([(-0.74, 0.1), (-0.5, -0.6), (0, -0.76), (0.5, -0.6), (0.74, 0.1), *feet], tones.figure)
    for x, y, radius in ((-0.26, -0.2, 0.2), (0.22, -0.24, 0.25)):
        pen.disc(x, y, radius, tones.detail)
        pen.disc(x + 0.04, y + 0.03, radius * 0.45, tones.behind)
    pen.sector(0, 0.18, 0.34, 0, 180, tones.behind)
    pen.polygon([(-0.16, 0.18), (-0.02, 0.18), (-0.09, 0.32)], tones.detail)


def fish(pen: Pen, tones: Tones) -> None:
    """A round fish and its bubbles."""
    pen.curve([(-0.44, 0.1), (-0.96, -0.32), (-0.84, 0.1), (-0.96, 0.52)], tones.detail)
    pen.curve([(-0.14, -0.34), (0.1, -0.68), (0.44, -0.3)], tones.detail)
    pen.ellipse(0.12, 0.1, 0.68, 0.5, tones.figure)
    for x in (-0.26, -0.02):
        pen.arc(x - 0.3, 0.1, 0.42, -48, 48, 0.08, tones.detail)
    pen.disc(0.48, -0.02, 0.14, tones.detail)
    pen.disc(0.51, -0.02, 0.065, tones.behind)
    pen.arc(0.66, 0.22, 0.14, 90, 190, 0.05, tones.behind)
    for x, y, radius in ((0.8, -0.42, 0.09), (0.68, -0.7, 0.12), (0.88, -0.9, 0.07)):
        pen.ring(x, y, radius, 0.035, tones.figure)


def robot(pen: Pen, tones: Tones) -> None:
    """A tin robot."""
    pen.line([(0, -0.7), (0, -0.88)], 0.05, tones.figure)
    pen.disc(0, -0.9, 0.08, tones.detail)
    pen.box(-0.44, -0.72, 0.44, -0.12, tones.figure)
    pen.box(-0.56, -0.02, 0.56, 0.62, tones.figure)
    for half in pen.halves():
        half.disc(0.2, -0.46, 0.12, tones.detail)
        half.disc(0.2, -0.46, 0.05, tones.behind)
        half.line([(0.62, 0.08), (0.84, 0.32), (0.76, 0.56)], 0.12, tones.figure)
        half.box(0.17, 0.62, 0.39, 0.95, tones.figure)
    pen.box(-0.24, -0.27, 0.24, -0.2, tones.behind)
    pen.box(-0.36, 0.12, 0.1, 0.46, tones.detail)
    for y in (0.18, 0.38):
        pen.disc(0.33, y, 0.07, tones.detail)


# Music


def quavers(pen: Pen, tones: Tones) -> None:
    """Two notes under one beam."""
    pen.polygon([(-0.5, -0.66), (0.74, -0.95), (0.74, -0.66), (-0.5, -0.37)], tones.figure)
    for x, y in ((-0.44, 0.58), (0.68, 0.3)):
        pen.line([(x, -0.6), (x, y)], 0.12, tones.figure)
        pen.ellipse(x - 0.22, y + 0.04, 0.29, 0.22, tones.figure)
    pen.line([(-0.44, -0.28), (0.68, -0.54)], 0.06, tones.detail)


def record(pen: Pen, tones: Tones) -> None:
    """A gramophone record."""
    pen.disc(0, 0, 0.95, tones.figure)
    for radius in (0.82, 0.7, 0.58):
        pen.ring(0, 0, radius, 0.025, tones.behind)
    pen.disc(0, 0, 0.36, tones.detail)
    pen.ring(0, 0, 0.27, 0.025, tones.behind)
    pen.disc(0, 0, 0.07, tones.behind)


def guitar(pen: Pen, tones: Tones) -> None:
    """A guitar."""
    pen.box(-0.07, -0.8, 0.07, 0.1, tones.figure)
    pen.polygon([(-0.13, -0.98), (0.13, -0.98), (0.1, -0.7), (-0.1, -0.7)], tones.detail)
    pen.curve(path("0,-10 34,-6 30,26 52,60 30,94 -30,94 -52,60 -30,26 -34,-6"), tones.figure)
    pen.disc(0, 0.3, 0.16, tones.detail)
    pen.box(-0.2, 0.64, 0.2, 0.72, tones.detail)
    for x in (-0.03, 0.03):
        pen.line([(x, -0.76), (x, 0.66)], 0.018, tones.behind)


# Sport


def football(pen: Pen, tones: Tones) -> None:
    """A football."""
    pen.disc(0, 0, 0.92, tones.figure)
    pen.polygon(_star(5, 0.36, 0.29), tones.detail)
    for corner in range(5):
        turned = pen.turned(72 * corner)
        turned.line([(0, -0.34), (0, -0.66)], 0.045, tones.detail)
        turned.polygon(path("0,-60 20,-70 27,-88 0,-92 -27,-88 -20,-70"), tones.detail)
        turned.line([(0.2, -0.7), (0.39, -0.53)], 0.045, tones.detail)
        turned.line([(-0.2, -0.7), (-0.39, -0.53)], 0.045, tones.detail)
    pen.ring(0, 0, 0.94, 0.05, tones.figure)


def basketball(pen: Pen, tones: Tones) -> None:
    """A basketball with its seams."""
    pen.disc(0, 0, 0.92, tones.figure)
    for x in (-1.15, 1.15):
        pen.arc(x, 0, 0.8, 130 if x > 0 else -50, 230 if x > 0 else 50, 0.055, tones.behind)
    pen.line([(0, -0.9), (0, 0.9)], 0.055, tones.behind)
    pen.line([(-0.9, 0), (0.9, 0)], 0.055, tones.behind)


def trophy(pen: Pen, tones: Tones) -> None:
    """A cup with a star on it."""
    for x in (-0.5, 0.5):
        pen.ring(x, -0.48, 0.32, 0.09, tones.figure)
    pen.curve(path("-54,-90 54,-90 50,-30 16,14 -16,14 -50,-30"), tones.figure)
    pen.polygon([(-0.1, 0.06), (0.1, 0.06), (0.16, 0.56), (-0.16, 0.56)], tones.figure)
    pen.box(-0.36, 0.54, 0.36, 0.68, tones.figure)
    pen.box(-0.48, 0.68, 0.48, 0.95, tones.detail)
    pen.polygon([(x, y - 0.48) for x, y in _star(5, 0.28, 0.12)], tones.detail)


# Western


def cactus(pen: Pen, tones: Tones) -> None:
    """A cactus before the setting sun."""
    pen.disc(0.1, 0.02, 0.74, tones.detail)
    pen.line([(0, -0.74), (0, 0.9)], 0.3, tones.figure)
    pen.line([(0, 0.3), (-0.5, 0.3), (-0.5, -0.24)], 0.2, tones.figure)
    pen.line([(0, 0.08), (0.5, 0.08), (0.5, -0.46)], 0.2, tones.figure)
    pen.line([(-0.92, 0.92), (0.92, 0.92)], 0.1, tones.figure)


def badge(pen: Pen, tones: Tones) -> None:
    """A sheriff's star."""
    pen.polygon(_star(6, 0.86, 0.5), tones.figure)
    for x, y in _star(6, 0.88, 0.5)[::2]:
        pen.disc(x, y, 0.11, tones.figure)
    pen.ring(0, 0, 0.42, 0.05, tones.behind)
    pen.polygon(_star(5, 0.3, 0.13), tones.detail)


def horseshoe(pen: Pen, tones: Tones) -> None:
    """A horseshoe with its open end up."""
    pen.arc(0, 0.02, 0.66, -40, 220, 0.3, tones.figure)
    for half in pen.halves():
        half.line([(0.5, -0.42), (0.36, -0.8)], 0.3, tones.figure)
    for angle in (-30, 5, 40, 75, 105, 140, 175, 210):
        t = math.radians(angle)
        pen.disc(0.66 * math.cos(t), 0.02 + 0.66 * math.sin(t), 0.055, tones.detail)


MOTIFS: dict[str, tuple[Motif, ...]] = {
    "Drama": (profile, window, umbrella, street_lamp, armchair),
    "Comedy": (moustache, bow_tie, duck, cake, top_hat),
    "Romance": (heart, rose, envelope),
    "Thriller": (crosshair, eye, keyhole),
    "Action": (car, explosion, helicopter),
    "Crime": (magnifier, fedora, skyline),
    "Adventure": (mountains, compass, ship),
    "Horror": (drips, bat, skull),
    "Sci-Fi": (rocket, planet, saucer),
    "Family": (cottage, balloon, cat),
    "Animation": (monster, fish, robot),
    "Music": (quavers, record, guitar),
    "Sport": (football, basketball, trophy),
    "Western": (cactus, badge, horseshoe),
}


def _scallops(x: float) -> float:
    """The height of an umbrella's rim at x: five arches."""
    return 0.12 - 0.1 * abs(math.cos(math.pi * 2.5 * x / 0.88))


def _heart() -> list[Point]:
    """The corners of a heart in the unit square (the parametric one of https://mathworld.wolfram.com/HeartCurve.html)."""
    corners = []
    for t in (math.radians(9 * i) for i in range(40)):
        height = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        corners.append((math.sin(t) ** 3, -height / 16.5 - 0.12))
    return corners


def _star(tips: int, outer: float, inner: float, turn: float = 0.0, wobble: float = 0.0) -> list[Point]:
    """The corners of a star around (0, 0), first tip up. wobble: makes the tips unequal, always in the same way."""
    corners = []
    for i in range(2 * tips):
        angle = math.radians(180 * i / tips - 90 + turn)
        radius = inner if i % 2 else outer * (1 - wobble * (i * i % 7) / 6)
        corners.append((radius * math.cos(angle), radius * math.sin(angle)))
    return corners
