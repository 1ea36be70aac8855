"""Finds damage in PNG files, and overlooks it where no pixel depends on it."""

import zlib

START = b"\x89PNG\r\n\x1a\n"
# Optional chunks that change how pixels look: transparency, and the orientation in EXIF.
USED = {b"tRNS", b"eXIf"}
# The bit of a chunk's first letter that says that a reader may do without it.
OPTIONAL = 0x20


def read(data: bytes) -> bytes:
    """A file that starts with `START` without what its pixels do not need: texts, profiles, what is behind its end.

    An optional chunk with a wrong checksum is left out too. If the file is cut off, all pixels that came are kept.

    Raises:
        ValueError: the checksum of a needed chunk is wrong.
    """
    parts, position, name = [START], len(START), b""
    while name != b"IEND" and (header := data[position : position + 8])[4:]:
        name, start = header[4:], position + 8
        position = start + int.from_bytes(header[:4], "big") + 4
        body, checksum = data[start : position - 4], data[position - 4 : position]
        is_cut, is_optional = position > len(data), bool(name[0] & OPTIONAL)
        if (is_optional and name not in USED) or (is_cut and name != b"IDAT"):
            continue
        chunk = _chunk(name, body)
        if is_cut or chunk.endswith(checksum):
            parts.append(chunk)
        elif not is_optional:
            raise ValueError(f"the checksum of its {name.decode('ascii', 'backslashreplace')} is wrong")
    return b"".join(parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
