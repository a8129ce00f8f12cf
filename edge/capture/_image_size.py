"""The size of an image from its header, so that no memory is given to one that is too large."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Callable, Optional, Tuple

import numpy as np

Size = Tuple[int, int]  # width, height in pixels

# Frame headers SOF0..SOF15 without DHT, JPG and DAC (ITU T.81, table B.1).
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_JPEG_STEPS = 1 << 16  # markers and fill bytes before the frame header; more is damage
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}  # lengths of the versions in use
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags of TIFF 6.0, section 8
_TIFF_SHORT, _TIFF_LONG, _TIFF_LONG8 = 3, 4, 16


def image_size(path: Path) -> Optional[Size]:
    """Width and height in the header of a PNG, JPEG, BMP, WebP or TIFF file.

    Returns:
        None if it is no file of these formats, (0, 0) if its header is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
        read = _reader_of(head)
        if read is None:
            return None
        try:
            width, height = read(file, head)
        except (struct.error, ValueError, OverflowError):
            return 0, 0
    return (width, height) if width > 0 and height > 0 else (0, 0)


def jpeg_size(data: np.ndarray) -> Optional[Size]:
    """Width and height in px in the header of a JPEG in memory; None if it is no JPEG.

    Args:
        data: u8 bytes, borrowed; only the header is read.
    """
    if data[:2].tobytes() != b"\xff\xd8":
        return None
    try:
        return _walk_jpeg(lambda at, count: data[at : at + count].tobytes())
    except (struct.error, ValueError):
        return None


def is_cut_off(path: Path) -> bool:
    """Whether the end of a JPEG, PNG or WebP file is missing.

    libjpeg would fill the missing part of a JPEG with grey, if it has no end marker. Always False
    for BMP and TIFF, whose decoders refuse a file that is cut off.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
        read = _reader_of(head)
        if read is not _jpeg:
            return _ends_early(file, head, read)
        try:
            _jpeg(file, head)
        except (struct.error, ValueError):
            return True
        return b"\xff\xd9" not in file.read()


def _ends_early(file: BinaryIO, head: bytes, read: Optional[Callable[..., Size]]) -> bool:
    """Whether a file is shorter than its header says, or has no last chunk."""
    size = file.seek(0, 2)
    if read is _webp:
        return size < 8 + int.from_bytes(head[4:8], "little")
    if read is _png:
        file.seek(0)
        return b"IEND" not in file.read()  # anything may follow it
    return False


def _reader_of(head: bytes) -> Optional[Callable[[BinaryIO, bytes], Size]]:
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return _png
    if head[:3] == b"\xff\xd8\xff":
        return _jpeg
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return _bmp
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff
    return None


def _png(file: BinaryIO, head: bytes) -> Size:
    width, height = struct.unpack(">II", head[16:24])
    return (width, height) if head[12:16] == b"IHDR" else (0, 0)


def _jpeg(file: BinaryIO, head: bytes) -> Size:
    def read(at: int, count: int) -> bytes:
        file.seek(at)
        return file.read(count)

    return _walk_jpeg(read)


def _walk_jpeg(read: Callable[[int, int], bytes]) -> Size:
    """Walk from marker to marker (ITU-T T.81, annex B); a thumbnail in a segment is skipped.

    Args:
        read: gives the bytes at an offset, at most as many as asked for.

    Raises:
        ValueError, struct.error: the header is damaged or cut off.
    """
    at = 2
    for _ in range(_JPEG_STEPS):
        mark, code = struct.unpack(">BB", read(at, 2))
        if mark != 0xFF:
            raise ValueError("no marker")
        if code == 0xFF:  # a fill byte
            at += 1
        elif code in _JPEG_ALONE:
            at += 2
        elif code in _JPEG_FRAMES:
            _, height, width = struct.unpack(">BHH", read(at + 4, 5))
            return width, height
        else:
            (length,) = struct.unpack(">H", read(at + 2, 2))
            at += 2 + max(length, 2)
    raise ValueError("no frame header")


def _bmp(file: BinaryIO, head: bytes) -> Size:
    """The header of 12 bytes has 16-bit sizes; a negative height means top to bottom."""
    (length,) = struct.unpack("<I", head[14:18])
    layout = "<HH" if length == 12 else "<ii"
    width, height = struct.unpack_from(layout, head, 18)
    return width, abs(height)


def _webp(file: BinaryIO, head: bytes) -> Size:
    """Three kinds of first chunk (RFC 9649, sections 2.5 to 2.7)."""
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and head[20:21] == b"\x2f" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("unknown first chunk")


def _tiff(file: BinaryIO, head: bytes) -> Size:
    """The first directory's two tags; magic 43 is BigTIFF with 64-bit offsets."""
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in (head[2], head[3])
    (where,) = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])
    file.seek(where)
    (count,) = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
    found = {}
    for _ in range(min(count, 4096)):
        entry = file.read(20 if big else 12)
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT):
            found[tag] = _tiff_number(order, kind, entry[12 if big else 8 :])
    return found.get(_TIFF_WIDTH, 0), found.get(_TIFF_HEIGHT, 0)


def _tiff_number(order: str, kind: int, raw: bytes) -> int:
    code = {_TIFF_SHORT: "H", _TIFF_LONG: "I", _TIFF_LONG8: "Q"}.get(kind)
    if code is None:
        raise ValueError("no whole number")
    return int(struct.unpack_from(order + code, raw)[0])
