"""Draws a sheet of the sample's posters: `python -m sample.sheet FILE.png [--films 40]`."""

import argparse
import io
from pathlib import Path

from PIL import Image

from postergenre.errors import InputError, run
from postergenre.files import atomic_write
from sample import films, poster
from sample.films import Film

# Pixels: the size of a poster on the sheet, and the space around it.
WIDTH, HEIGHT, GAP = 120, 177, 9
COLUMNS = 10
WALL = (238, 236, 231)


def choose(catalogue: Path, count: int) -> list[Film]:
    """`count` films that have a poster, spread evenly over the catalogue.

    Raises:
        InputError: `count` is less than 1 or more than there are.
    """
    with_poster = [film for film in films.read(catalogue).values() if film.poster and not film.is_gone]
    if not 1 <= count <= len(with_poster):
        raise InputError(
            f"--films is {count}; it should be between 1 and {len(with_poster)}, the posters of {catalogue}"
        )
    return [with_poster[i * len(with_poster) // count] for i in range(count)]


def sheet(chosen: list[Film]) -> Image.Image:
    """The films' posters in rows of COLUMNS. 256 colours keep the file small."""
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    wall = Image.new("RGB", (columns * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + GAP), WALL)
    for i, film in enumerate(chosen):
        picture = Image.open(io.BytesIO(poster.jpeg(film))).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        wall.paste(picture, (GAP + i % columns * (WIDTH + GAP), GAP + i // columns * (HEIGHT + GAP)))
    # Pillow dithers only towards a given palette. A quarter of the pixels is enough to find a good one.
    palette = wall.reduce(2).quantize(256, kmeans=1)
    return wall.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description="Draw a sheet of the sample's posters.")
    parser.add_argument("file", type=Path, metavar="FILE.png")
    parser.add_argument("--films", type=int, default=4 * COLUMNS)
    options = parser.parse_args()
    with atomic_write(options.file) as new:
        sheet(choose(films.CATALOGUE, options.films)).save(new, "PNG", optimize=True)


if __name__ == "__main__":
    run(main)
