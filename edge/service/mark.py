"""Mark annotated pictures and videos as written by this program, so that only they are replaced."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

MARK = b"annotated by edge-pose"
_ENDS = 4096  # bytes at the start and the end of a file that may hold the mark


def is_marked(path: Path) -> bool:
    """Whether a file is an annotated picture or video of this program.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_ENDS)
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _ENDS))
        return MARK in head or MARK in file.read()


def marked_jpeg(data: bytes) -> bytes:
    """A JPEG with the mark as a comment (ITU-T T.81, B.2.4.5) behind its first segment, APP0."""
    behind = 4 + int.from_bytes(data[4:6], "big")  # SOI and a marker of 2 bytes each, a length
    comment = b"\xff\xfe" + struct.pack(">H", len(MARK) + 2) + MARK
    return data[:behind] + comment + data[behind:]


def marked_png(data: bytes) -> bytes:
    """A PNG with the mark as a chunk tEXt (PNG 3, section 11.3.3.2) behind the header, IHDR."""
    behind = 8 + 4 + 4 + 13 + 4
    body = b"tEXt" + b"Software\0" + MARK
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:behind] + chunk + data[behind:]


def mark_mp4(path: Path) -> None:
    """Append the mark to an MP4 as a box `free`, which players skip (ISO/IEC 14496-12, 8.1.2).

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("ab") as file:
        file.write(struct.pack(">I", 8 + len(MARK)) + b"free" + MARK)
