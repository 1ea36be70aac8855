"""The canvas of a poster: larger than the poster, scaled down at the end for smooth edges, with a little grain."""

import io
import random
from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from sample.lettering import Box, Setting, draw
from sample.pen import Colour, Pen

# Pixels, as public thumbnails of posters have them.
WIDTH, HEIGHT = 182, 268
# Canvas pixels per poster pixel, in both directions.
SCALE = 3
# Distance of letters from the edge, in poster pixels.
MARGIN = 10.0
QUALITY = 88
# The grain's standard deviation, in grey levels of 256: it looks like paper, not like noise.
GRAIN = 2.2


class Canvas:
    """An unfinished poster. Coordinates are in poster pixels from the upper left corner."""

    def __init__(self, ground: Colour) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), ground)
        self.pen = Pen(ImageDraw.Draw(self.image), (0, 0), SCALE)
        self.settings: list[Setting] = []

    def wash(self, box: Box, top: Colour, bottom: Colour) -> None:
        """Fill a box with a gradient from `top` to `bottom`."""
        left, upper, right, lower = (round(side * SCALE) for side in box)
        share = np.linspace(0, 1, lower - upper)[:, None, None]
        column = np.array(top) * (1 - share) + np.array(bottom) * share
        gradient = Image.fromarray(column.round().astype(np.uint8))
        self.image.paste(gradient.resize((right - left, lower - upper), Image.Resampling.NEAREST), (left, upper))

    def fade(self, top: float, bottom: float, colour: Colour) -> None:
        """Blend the picture into a colour: not at all at `top`, fully from `bottom` down."""
        start, end, height = round(top * SCALE), round(bottom * SCALE), HEIGHT * SCALE
        share = np.clip((np.arange(start, height) - start) / (end - start), 0, 1)
        mask = Image.fromarray((share * 255).astype(np.uint8)[:, None]).resize(
            (WIDTH * SCALE, height - start), Image.Resampling.NEAREST
        )
        self.image.paste(colour, (0, start), mask)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Lighten a disc, most in its centre. strength: 0 to 1."""
        size = round(2 * radius * SCALE)
        light = Image.radial_gradient("L").point([round((255 - level) * strength) for level in range(256)])
        mask = light.resize((size, size), Image.Resampling.BILINEAR)
        self.image.paste(colour, (round((x - radius) * SCALE), round((y - radius) * SCALE)), mask)

    def letter(self, setting: Setting, colour: Colour) -> None:
        """Draw a text, and remember its setting."""
        self.settings.append(setting)
        draw(self.image, setting, colour, SCALE)

    def jpeg(self, rng: random.Random) -> bytes:
        """The finished poster as the bytes of a JPEG file."""
        grain = ImageChops.offset(_grain(), rng.randrange(WIDTH), rng.randrange(HEIGHT))
        finished = ImageChops.add(self.image.reduce(SCALE), grain, offset=-128)
        file = io.BytesIO()
        finished.save(file, "JPEG", quality=QUALITY, subsampling=0)
        return file.getvalue()


@cache
def _grain() -> Image.Image:
    """Noise around the grey level 128, in the poster's size."""
    noise = np.random.default_rng(0).normal(128, GRAIN, (HEIGHT, WIDTH))
    return Image.fromarray(noise.round().astype(np.uint8)).convert("RGB")
