"""The turn that a JPEG file asks for (EXIF tag 0x0112)."""

from __future__ import annotations

import struct
from pathlib import Path

_TURNED = (5, 6, 7, 8)  # width and height change places
_HEAD = 1 << 16


def orientation(path: Path) -> int:
    """1 = as stored; 1 to 8 as EXIF has it; 1 for anything that is no JPEG with EXIF."""
    with path.open("rb") as file:
        data = file.read(_HEAD)
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return _tag(data[at + 10 : at + 2 + length])
        if marker == 0xDA:
            break
        at += 2 + length
    return 1


def is_turned(path: Path) -> bool:
    """Whether width and height of the shown picture are those of the stored one, swapped."""
    return orientation(path) in _TURNED


def _tag(block: bytes) -> int:
    """The orientation in a TIFF block."""
    ends = {b"II": "<", b"MM": ">"}.get(block[:2])
    try:
        if ends is None:
            return 1
        start = struct.unpack(ends + "I", block[4:8])[0]
        count = struct.unpack(ends + "H", block[start : start + 2])[0]
        for row in range(count):
            entry = block[start + 2 + 12 * row : start + 14 + 12 * row]
            tag, _, _, value = struct.unpack(ends + "HHIH", entry[:10])
            if tag == 0x0112 and 1 <= value <= 8:
                return int(value)
    except struct.error:
        pass
    return 1
