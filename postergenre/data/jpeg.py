"""Finds damage in JPEG files. Pillow decodes a damaged one without a word, and leaves grey or noise in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import simplejpeg

START, END = b"\xff\xd8", b"\xff\xd9"
# A marker that a segment follows, or the end of the picture. Restart markers belong to the compressed pixels.
MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])")
HUFFMAN_TABLES, SCAN = 0xC4, 0xDA
# Kinds of frames; in the first two, all scans are Huffman codes of whole coefficients.
SEQUENTIAL, FRAMES = {0xC0, 0xC1}, {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
# Comments, colour profiles, previews. APP0, APP1 (EXIF) and APP14 stay: colours and orientation depend on them.
UNUSED = {0xFE, 0xEF, *range(0xE2, 0xEE)}
COEFFICIENTS = 64
# A hole has at least so many zeros. Sound files have as many, but not with every table of codes (`_Frame.has_hole`).
HOLE = bytes(32)
# libjpeg's warning of bytes between the last pixel and the end.
PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
MAX_PADDING = 512


@dataclass(frozen=True)
class Jpeg:
    """A JPEG file without what its pixels do not need.

    data: the file: no colour profile, no comment, no bytes between segments or behind the end, and a marker at its end.
    is_complete: whether its scans carry each coefficient of each component down to the last bit.
    has_hole: whether zeros stand where the codes allow none.
    """

    data: bytes
    is_complete: bool
    has_hole: bool

    def check(self, components: int) -> None:
        """Decode all coefficients strictly, into a picture of an eighth of the size.

        components: of the picture: 1, 3 or 4.

        Raises:
            ValueError: pixels are missing or wrong; the message says why.
        """
        if self.has_hole:
            raise ValueError("a hole of zeros")
        if not self.is_complete:
            raise ValueError("scans are missing")
        try:
            colours = "CMYK" if components == 4 else "GRAY"
            simplejpeg.decode_jpeg(self.data, colours, fastdct=True, min_height=1, min_width=1, strict=True)
        except ValueError as error:
            if not self._is_padding(str(error)):
                raise

    def _is_padding(self, warning: str) -> bool:
        """Whether the decoder warns of no more than padding behind the last pixel: one byte, or the same repeated.

        Where bytes differ, the decoder has lost its place on the way and did not reach the last codes.
        """
        if not (match := PADDING.search(warning)) or int(match[1]) > MAX_PADDING:
            return False
        end = len(self.data) - len(END)
        return len(set(self.data[end - int(match[1]) : end])) == 1


def read(data: bytes) -> Jpeg:
    """Take a file that starts with `START` apart.

    Raises:
        ValueError: a scan has no header.
    """
    parts, frame = [START], _Frame()
    for kind, segment, pixels in _segments(data):
        if kind not in UNUSED:
            parts += [bytes([0xFF, kind]), segment, pixels]
            frame.note(kind, segment[2:], pixels)
    return Jpeg(b"".join([*parts, END]), not any(frame.missing.values()), frame.has_hole)


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The kind of each marker before the end, its segment, and the compressed pixels that follow a scan's header."""
    position = len(START)
    while match := MARKER.search(data, position):
        kind, start = match[1][0], match.end()
        if kind == END[1]:
            return
        stop = position = start + int.from_bytes(data[start : start + 2], "big")
        if kind == SCAN:
            position = match.start() if (match := MARKER.search(data, stop)) else len(data)
        yield kind, data[start:stop], data[stop:position]


@dataclass
class _Frame:
    """What the segments so far say about the picture.

    kind: of the frame, one of `FRAMES`; 0 before it.
    missing: by component, the coefficients whose last bit has not come.
    first_codes: by Huffman table, the symbol whose code is all zeros.
    has_hole: whether zeros stand where the codes allow none. In a table of AC codes, 0 ends a block, and zeros are
        blocks of one colour. Any other symbol is a coefficient: no picture has block after block of equal ones.
    """

    kind: int = 0
    missing: dict[int, set[int]] = field(default_factory=dict)
    first_codes: dict[int, int] = field(default_factory=dict)
    has_hole: bool = False

    def note(self, kind: int, segment: bytes, pixels: bytes) -> None:
        """Take in one segment, without its length, and the pixels behind it."""
        if kind in FRAMES:
            self.kind = kind
            self.missing = {component: set(range(COEFFICIENTS)) for component in segment[6::3]}
        elif kind == HUFFMAN_TABLES:
            tables = memoryview(segment)
            while len(tables) > 17:
                self.first_codes[tables[0]] = tables[17]
                tables = tables[17 + sum(tables[1:17]) :]
        elif kind == SCAN:
            if len(segment) < 6:
                raise ValueError("a scan has no header")
            components, (first, last, bits) = segment[1:-3], segment[-3:]
            if bits & 0x0F == 0:
                for component in components[::2]:
                    self.missing.get(component, set()).difference_update(range(first, last + 1))
            codes = [self.first_codes.get(0x10 | table & 0x0F) for table in components[1::2]]
            unpadded = pixels[:-MAX_PADDING] + pixels[-MAX_PADDING:].rstrip(b"\0")
            self.has_hole |= self.kind in SEQUENTIAL and any(codes) and HOLE in unpadded
