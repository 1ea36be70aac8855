"""Draws a film's poster. Its parts are chosen at random, and only some of them by the film's genres.

This decides what a network can learn from the sample: it can recognise a genre only by the parts that depend on it.
"""

import io
import random
from typing import NamedTuple

from PIL import Image, ImageEnhance

from sample import titles
from sample.backdrops import BACKDROPS
from sample.canvas import QUALITY, Canvas
from sample.films import GENRES, Film
from sample.layouts import LAYOUTS, Design
from sample.lettering import FACES
from sample.motifs import MOTIFS
from sample.palettes import PALETTES

# The probability that a part belongs to one of the film's genres, rather than to any genre. Each is independent.
MOTIF_SHARE = 0.75
PALETTE_SHARE = 0.85
FACE_SHARE = 0.35
LAYOUT_SHARE = 0.3
BACKDROP_SHARE = 0.3


class Habits(NamedTuple):
    """Typefaces, layouts and backdrops that a genre's posters have more often than others."""

    faces: tuple[str, ...]
    layouts: tuple[str, ...]
    backdrops: tuple[str, ...]


HABITS = {
    "Action": Habits(("racing", "gothic"), ("band", "shout"), ("rays", "stripes")),
    "Adventure": Habits(("slab", "grotesque"), ("vista", "framed"), ("hills", "sun")),
    "Animation": Habits(("grotesque", "racing"), ("pattern", "disc"), ("dots", "rays")),
    "Comedy": Habits(("grotesque", "slab"), ("headline", "pattern"), ("dots", "stripes")),
    "Crime": Habits(("typewriter", "gothic"), ("counterchange", "shout"), ("stripes", "plain")),
    "Drama": Habits(("roman", "airy"), ("classic", "bleed"), ("plain", "hills")),
    "Family": Habits(("grotesque", "book"), ("framed", "headline"), ("sun", "hills")),
    "Horror": Habits(("gothic", "roman"), ("bleed", "classic"), ("plain", "rings")),
    "Music": Habits(("italic", "airy"), ("pattern", "disc"), ("rings", "rays")),
    "Romance": Habits(("italic", "book"), ("disc", "classic"), ("sun", "plain")),
    "Sci-Fi": Habits(("airy", "gothic"), ("classic", "vista"), ("stars", "rings")),
    "Sport": Habits(("racing", "slab"), ("band", "counterchange"), ("stripes", "rays")),
    "Thriller": Habits(("gothic", "typewriter"), ("bleed", "counterchange"), ("rings", "plain")),
    "Western": Habits(("slab", "roman"), ("vista", "framed"), ("sun", "rays")),
}


def jpeg(film: Film) -> bytes:
    """The film's poster, a JPEG of 268 x 182 (height x width): the same bytes for the same id, title and genres."""
    if film.original:
        return _reprint(jpeg(film.original))
    rng = rng_for(film)
    return paint(design(film, rng), rng).jpeg(rng)


def rng_for(film: Film) -> random.Random:
    """The random numbers of the film's poster, the same for the same id, title and genres."""
    return random.Random("|".join((film.imdb_id, film.title, *film.genres)))


def design(film: Film, rng: random.Random) -> Design:
    """The parts of the film's poster."""
    return Design(
        title=film.name,
        stars=titles.stars(rng),
        tagline=titles.tagline(rng),
        billing=titles.billing(film.year, rng),
        palette=rng.choice(PALETTES[_genre(film, PALETTE_SHARE, rng)]),
        motif=rng.choice(MOTIFS[_genre(film, MOTIF_SHARE, rng)]),
        face=FACES[rng.choice(HABITS[_genre(film, FACE_SHARE, rng)].faces)],
        backdrop=BACKDROPS[rng.choice(HABITS[_genre(film, BACKDROP_SHARE, rng)].backdrops)],
        layout=LAYOUTS[rng.choice(HABITS[_genre(film, LAYOUT_SHARE, rng)].layouts)],
    )


def paint(design: Design, rng: random.Random) -> Canvas:
    """The painted poster, before it is scaled down."""
    canvas = Canvas(design.palette.ground)
    design.layout(canvas, design, rng)
    return canvas


def _genre(film: Film, share: float, rng: random.Random) -> str:
    """One of the film's genres with probability `share`, otherwise any."""
    own = [genre for genre in film.genres if genre in GENRES]
    return rng.choice(own if own and rng.random() < share else GENRES)


def _reprint(poster: bytes) -> bytes:
    """The poster as another print shows it, a little brighter."""
    file = io.BytesIO()
    ImageEnhance.Brightness(Image.open(io.BytesIO(poster))).enhance(1.06).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
