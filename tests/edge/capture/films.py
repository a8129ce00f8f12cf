"""Small recordings whose frames can be told apart, and headers of pictures."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Dict, Iterator, Tuple

import numpy as np

from edge.capture._opencv import cv2  # type: ignore[attr-defined]  # it sets what libav says before libav is loaded

BITS = 8
# Three frames each of 64 x 64 px, made with x264: red and progressive, blue and interlaced (MBAFF).
PROGRESSIVE = base64.b64decode(
    "AAAAAWdkAAqs2UQmwEQAAAMABAAAAwDIPEiWWAAAAAFo6+PLIsAAAAFliIQAM//+3zL4FM3Fic7MgFyelMJcdjcWv4MCh"
    "iHwPreQlj+QgQAAAAFBmiJsQr/+OI3AAAAAAQGeQXkK/ww5"
)
INTERLACED = base64.b64decode(
    "AAAAAWdkABWs2URNgIgAAAMACAAAAwGQ+KFMsAAAAAFo+6PLIsAAAAFliIILAz/23zL4FNaFDnRCM2R0vckjQZkZ5tE/k"
    "XF5NRkWyPX0wQAAAAFBmiFeQr/+vV1AAAAAAQGeQN+Qrwyp"
)


def picture(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A frame that carries its number as a row of black and white blocks."""
    image = np.full((height, width, 3), 40, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            image[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 255
    return image


def number_of(image: np.ndarray) -> int:
    """The number that `picture` wrote, after lossy coding too."""
    rows, columns = image.shape[:2]
    middles = [(2 * bit + 1) * columns // (2 * BITS) for bit in range(BITS)]
    return sum(int(image[rows // 4, x].mean() > 128) << bit for bit, x in enumerate(middles))


def film(
    path: Path,
    frames: int = 12,
    fps: float = 25,
    codec: str = "mp4v",
    size: Tuple[int, int] = (96, 64),
) -> Path:
    """Write a video; the suffix chooses the container."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)  # type: ignore[attr-defined]
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(number, *size))
    writer.release()
    return path


def _boxes(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        yield name, data[at : at + length]
        at += length


def index_first(mp4: bytes) -> bytes:
    """The same MP4 with its index before its pictures, so that a part of it can be played."""
    boxes: Dict[bytes, bytes] = dict(_boxes(mp4))
    moov = bytearray(boxes.pop(b"moov"))
    at = moov.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", moov, at)
    offsets = struct.unpack_from(f">{count}I", moov, at + 4)
    struct.pack_into(f">{count}I", moov, at + 4, *(o + len(moov) for o in offsets))
    return boxes.pop(b"ftyp") + bytes(moov) + b"".join(boxes.values())


def turned(mp4: bytes, degrees: int) -> bytes:
    """The same MP4, marked as filmed with the camera turned (matrix of the track header)."""
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    at = mp4.index(b"tkhd") + 4 + 40
    return mp4[:at] + matrix + mp4[at + 36 :]


def png_bomb(width: int, height: int) -> bytes:
    """A whole, valid grey PNG of that size: a few kilobytes that decode into gigabytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
