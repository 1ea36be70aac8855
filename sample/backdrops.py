"""Backdrops: patterns behind a motif, in tints so close to the ground colour that the motif stays clear."""

import math
import random
from collections.abc import Callable

from sample.canvas import HEIGHT, WIDTH, Canvas
from sample.palettes import Palette, mix
from sample.pen import Colour, Point

# Draws over the whole canvas, around the motif's centre.
Backdrop = Callable[[Canvas, Palette, Point, random.Random], None]


def plain(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """Only a light behind the motif."""
    canvas.glow(*middle, 120, mix(palette.ground, palette.spark, 0.35), 0.55)


def sun(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """A large disc, a little off the centre."""
    x, y = middle[0] + rng.uniform(-22, 22), middle[1] + rng.uniform(-16, 10)
    canvas.pen.disc(x, y, rng.uniform(54, 76), tint(palette, 0.3))


def rays(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """Rays from the motif's centre."""
    count, start, colour = rng.choice((10, 14, 18)), rng.uniform(0, 30), tint(palette, 0.2)
    for i in range(count):
        turn = start + 360 * i / count
        canvas.pen.sector(*middle, 320, turn, turn + 180 / count, colour)


def rings(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """Rings around the motif."""
    step = rng.uniform(16, 26)
    for i in range(9, 0, -1):
        canvas.pen.disc(*middle, step * (i + 0.6), tint(palette, 0.24) if i % 2 else tint(palette, 0.06))


def stripes(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """Broad slanting stripes."""
    width, lean = rng.uniform(16, 34), rng.choice((-90, 90, 0, 160))
    for i in range(-12, 24, 2):
        x = i * width
        canvas.pen.polygon(
            [(x, 0), (x + width, 0), (x + width + lean, HEIGHT), (x + lean, HEIGHT)], tint(palette, 0.16)
        )


def dots(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """Dots that shrink towards the bottom, as in a halftone print."""
    step, colour = rng.choice((13, 16, 20)), tint(palette, 0.26)
    for row in range(HEIGHT // step + 1):
        radius = step * 0.42 * (1 - row * step / HEIGHT * 1.15)
        for column in range(WIDTH // step + 2):
            if radius > 0.5:
                canvas.pen.disc((column + row % 2 / 2) * step, row * step, radius, colour)


def stars(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """Small stars, scattered."""
    colour = tint(palette, 0.6)
    for _ in range(70):
        canvas.pen.disc(rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.choice((0.5, 0.7, 0.9, 1.4)), colour)


def hills(canvas: Canvas, palette: Palette, middle: Point, rng: random.Random) -> None:
    """Three ranges of hills, one in front of the other."""
    for i in range(3):
        ridge(canvas, middle[1] + 12 + 26 * i, 12, tint(palette, 0.14 + 0.12 * i), rng)


BACKDROPS = {f.__name__: f for f in (plain, sun, rays, rings, stripes, dots, stars, hills)}


def tint(palette: Palette, share: float) -> Colour:
    """The ground colour with a share (0 to 1) of the accent in it."""
    return mix(palette.ground, palette.spark, share)


def ridge(canvas: Canvas, height: float, rise: float, colour: Colour, rng: random.Random) -> None:
    """Fill everything below a wavy line around `height` with an amplitude of about `rise`."""
    waves = [(rise / k, rng.uniform(0.7, 1.3) * k, rng.uniform(0, 2 * math.pi)) for k in (1, 2, 3)]
    line = [
        (x, height + sum(a * math.sin(k * x / 40 + phase) for a, k, phase in waves)) for x in range(-2, WIDTH + 4, 3)
    ]
    canvas.pen.polygon([*line, (WIDTH + 2, HEIGHT + 2), (-2, HEIGHT + 2)], colour)
