"""A pen that draws flat shapes in its own coordinates, so that motifs can be placed, scaled, turned and mirrored."""

import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

# Straight pieces between two points of a curve: shorter than a pixel at the size of a poster.
STEPS = 8


class Pen:
    """Draws on a Pillow canvas. (0, 0) is the pen's place, x goes right, y goes down, 1 is `size` canvas pixels."""

    def __init__(
        self, canvas: ImageDraw.ImageDraw, place: Point, size: float, angle: float = 0.0, mirrored: bool = False
    ) -> None:
        """angle: degrees, clockwise. mirrored: swaps left and right before turning."""
        self.canvas, self.place, self.size, self.angle, self.mirrored = canvas, place, size, angle, mirrored
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        flip = -1.0 if mirrored else 1.0
        self._matrix = np.array([[cos * flip, sin * flip], [-sin, cos]]) * size
        self._place = np.array(place, dtype=np.float64)

    def at(self, x: float, y: float, size: float, angle: float = 0.0, mirrored: bool = False) -> "Pen":
        """A pen at a point of this one, which must be neither turned nor mirrored. size: in this pen's units."""
        place = self._canvas_points([(x, y)])[0]
        return Pen(self.canvas, (float(place[0]), float(place[1])), size * self.size, angle, mirrored)

    def turned(self, angle: float) -> "Pen":
        """This pen, turned further by `angle` degrees."""
        further = -angle if self.mirrored else angle
        return Pen(self.canvas, self.place, self.size, self.angle + further, self.mirrored)

    def halves(self) -> tuple["Pen", "Pen"]:
        """This pen and its mirror image, for symmetrical shapes."""
        return self, Pen(self.canvas, self.place, self.size, self.angle, not self.mirrored)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the polygon with these corners."""
        self._fill(self._canvas_points(points), colour)

    def curve(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the closed smooth curve through these points (a Catmull-Rom spline)."""
        self._fill(self._canvas_points(_spline(points)), colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        centre = self._canvas_points([(x, y)])[0]
        self._dot(centre, radius * self.size, colour)

    def ellipse(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """Fill an ellipse with the half axes `across` and `down`."""
        self.polygon([(x + across * math.cos(t), y + down * math.sin(t)) for t in _turn(0, 360, 40)], colour)

    def sector(self, x: float, y: float, radius: float, start: float, end: float, colour: Colour) -> None:
        """Fill a slice of a circle; degrees, clockwise from the right."""
        rim = [(x + radius * math.cos(t), y + radius * math.sin(t)) for t in _turn(start, end, 40)]
        self.polygon([(x, y), *rim], colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line with round ends and joints."""
        path, pixels = self._canvas_points(points), max(1, round(width * self.size))
        self.canvas.line([tuple(point) for point in path.tolist()], colour, pixels, joint="curve")
        for end in (path[0], path[-1]):
            self._dot(end, pixels / 2 - 0.5, colour)

    def arc(self, x: float, y: float, radius: float, start: float, end: float, width: float, colour: Colour) -> None:
        """Draw a part of a circle's rim with round ends; degrees, clockwise from the right."""
        rim = [(math.cos(t), math.sin(t)) for t in _turn(start, end, 40)]
        outer, inner = radius + width / 2, radius - width / 2
        self.polygon(
            [
                *((x + outer * a, y + outer * b) for a, b in rim),
                *((x + inner * a, y + inner * b) for a, b in rim[::-1]),
            ],
            colour,
        )
        for a, b in (rim[0], rim[-1]):
            self.disc(x + radius * a, y + radius * b, width / 2, colour)

    def ring(self, x: float, y: float, radius: float, width: float, colour: Colour) -> None:
        """Draw a circle's rim, `width` to the inside."""
        centre, pixels = self._canvas_points([(x, y)])[0], radius * self.size
        box = [*(centre - pixels).tolist(), *(centre + pixels).tolist()]
        self.canvas.ellipse(box, outline=colour, width=max(1, round(width * self.size)))

    def _canvas_points(self, points: Sequence[Point] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(points, dtype=np.float64) @ self._matrix + self._place

    def _fill(self, points: npt.NDArray[np.float64], colour: Colour) -> None:
        self.canvas.polygon(points.ravel().tolist(), colour)

    def _dot(self, centre: npt.NDArray[np.float64], radius: float, colour: Colour) -> None:
        self.canvas.ellipse([*(centre - radius).tolist(), *(centre + radius).tolist()], colour)


@cache
def path(points: str) -> tuple[Point, ...]:
    """Points from `x,y x,y ...` in hundredths of the pen's unit."""
    pairs = (pair.split(",") for pair in points.split())
    return tuple((float(x) / 100, float(y) / 100) for x, y in pairs)


def _turn(start: float, end: float, pieces: int) -> Iterable[float]:
    """Radians from `start` to `end` degrees."""
    return (math.radians(start + (end - start) * i / pieces) for i in range(pieces + 1))


def _spline(points: Sequence[Point]) -> npt.NDArray[np.float64]:
    """Points (STEPS * n, 2) on the closed Catmull-Rom spline through n points."""
    p = np.asarray(points, dtype=np.float64)
    before, after, beyond = np.roll(p, 1, axis=0), np.roll(p, -1, axis=0), np.roll(p, -2, axis=0)
    t = np.linspace(0, 1, STEPS, endpoint=False)[None, :, None]
    a, b = 2 * p, after - before
    c, d = 2 * before - 5 * p + 4 * after - beyond, -before + 3 * p - 3 * after + beyond
    path = (a[:, None] + b[:, None] * t + c[:, None] * t**2 + d[:, None] * t**3) / 2
    return path.reshape(-1, 2)
