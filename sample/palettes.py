"""Colours that go together: three palettes for each genre."""

from dataclasses import dataclass

from sample.pen import Colour


@dataclass(frozen=True)
class Palette:
    """Five colours.

    ground: the background.
    shade: the colour into which the background fades.
    figure: the motif.
    spark: an accent.
    ink: letters that are legible on the ground.
    """

    ground: Colour
    shade: Colour
    figure: Colour
    spark: Colour
    ink: Colour

    @classmethod
    def of(cls, *colours: str) -> "Palette":
        """A palette from five colours as `rrggbb`, in the order of the fields."""
        return cls(*(_colour(colour) for colour in colours))

    def legible_on(self, *grounds: Colour) -> Colour:
        """The palette's colour that stands out best from all of `grounds`."""
        return max(
            (self.ink, self.figure, self.ground, self.shade, self.spark),
            key=lambda colour: min(contrast(colour, ground) for ground in grounds),
        )


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` mixed with a `share` (0 to 1) of `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _colour(digits: str) -> Colour:
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _luminance(colour: Colour) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (c / 255 for c in colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


PALETTES = {
    "Drama": (
        Palette.of("e8dcc4", "d3b48d", "3a3238", "9c4a2f", "2b2327"),
        Palette.of("39424e", "566573", "d9c7a7", "a8573d", "f1e8d8"),
        Palette.of("7a4b3a", "54302a", "f0d9b5", "d98e4a", "fbf1df"),
    ),
    "Comedy": (
        Palette.of("ffd23f", "ffb92e", "1f2a44", "ee4266", "1f2a44"),
        Palette.of("fff3d6", "ffdf9e", "d9480f", "0ead9f", "33261d"),
        Palette.of("5fd9c0", "38c0a6", "17324d", "ff5a4f", "0e2a3a"),
    ),
    "Romance": (
        Palette.of("f8c8cf", "f4a3b1", "a4133c", "fff0ee", "6b0f2a"),
        Palette.of("a8324f", "7a1f3d", "ffd9d2", "f7a1a6", "ffeee6"),
        Palette.of("fbe7dc", "f3c2b3", "d1495b", "8d4a6f", "5b2340"),
    ),
    "Thriller": (
        Palette.of("14213d", "0b1426", "f2f0e6", "fca311", "f2f0e6"),
        Palette.of("d8d6cb", "b0b3af", "1b1f24", "c1121f", "1b1f24"),
        Palette.of("1f3b4d", "0f2230", "d7e3e0", "e4572e", "eef4f2"),
    ),
    "Action": (
        Palette.of("c8420b", "a83008", "17120f", "ffc857", "fff3dd"),
        Palette.of("1b1b1e", "3d0f0a", "ff7b00", "ffd60a", "fff1dc"),
        Palette.of("ffb703", "fb9500", "1d1a16", "c1121f", "1d1a16"),
    ),
    "Crime": (
        Palette.of("1d2b24", "0f1813", "c9b26b", "a63d2f", "efe6c8"),
        Palette.of("55654f", "37443a", "f0e8cf", "d6a23a", "f6f0dc"),
        Palette.of("c8bb97", "a89b77", "23281f", "7d1d1a", "1e2019"),
    ),
    "Adventure": (
        Palette.of("f2d7a0", "e5b066", "0b5563", "b8452e", "073b44"),
        Palette.of("17707a", "0c4650", "f6d9a2", "f08a4b", "fdf1d6"),
        Palette.of("a9d6cf", "78b9bd", "274c5e", "e07a3f", "16323f"),
    ),
    "Horror": (
        Palette.of("0d0d0f", "2a0507", "c4121f", "e8e0d0", "efe6da"),
        Palette.of("7c0a12", "3c0408", "f1e4d3", "170506", "fbf2e6"),
        Palette.of("d9d3bf", "b3af97", "1a1412", "8f0d13", "1a1412"),
    ),
    "Sci-Fi": (
        Palette.of("10123b", "3a1d6e", "56e0e0", "ff5fa2", "e6f7ff"),
        Palette.of("04242f", "0b5060", "c9f2ec", "ffb84d", "ecfffb"),
        Palette.of("cfd8ea", "9fb2dc", "2a2f6e", "e2456f", "1a1d4c"),
    ),
    "Family": (
        Palette.of("9ad7f0", "d2eff7", "2e7d4f", "ffcf48", "12405c"),
        Palette.of("c6e79a", "9ed789", "bf3d26", "fff6d8", "1d4a2a"),
        Palette.of("fff4cf", "ffe59b", "1f78ad", "d5402f", "173e5c"),
    ),
    "Animation": (
        Palette.of("7a34e8", "b13ae0", "fff06a", "3ef0c5", "ffffff"),
        Palette.of("ff6fb1", "ff9a76", "3b1f8f", "ffe14d", "2a1466"),
        Palette.of("19c3e0", "4ae3b8", "751c9e", "fff06a", "0b2350"),
    ),
    "Music": (
        Palette.of("2a1045", "5b1a73", "f5b700", "ff4f79", "fff1cf"),
        Palette.of("dcc8f2", "bfa1e6", "4a1d73", "e08e00", "32114f"),
        Palette.of("6a2d8f", "3d1560", "ffd9f0", "37d5d6", "fff2fb"),
    ),
    "Sport": (
        Palette.of("16713d", "0e5230", "ffffff", "ffd84a", "ffffff"),
        Palette.of("1550c0", "0d3486", "ffffff", "ff5a4d", "ffffff"),
        Palette.of("f4f7f1", "cfe0d2", "12703f", "d7263d", "0b3f25"),
    ),
    "Western": (
        Palette.of("e08a4e", "cd7039", "2a140c", "f9d9a0", "2a140c"),
        Palette.of("efc98f", "dfa468", "6b2d17", "2f6f73", "3d1a0d"),
        Palette.of("8c3b1e", "5e2413", "f6cf8b", "e89a4a", "fdeccb"),
    ),
}
