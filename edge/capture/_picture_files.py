"""Image files: why one cannot be read, and how many pictures are in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional, Tuple

import numpy as np

from edge.capture._opencv import cv2

KINDS = "PNG, JPEG, BMP, WebP or TIFF"
_HEIF = "heif-convert IN OUT.jpg"
_CONVERT = "ffmpeg -i IN OUT.png"
# First bytes of a file from an offset on -> name, and how to convert it.
_FOREIGN: Tuple[Tuple[int, bytes, str, str], ...] = (
    *(
        (4, b"ftyp" + brand, "a HEIC picture", _HEIF)
        for brand in (b"hei", b"hev", b"mif1", b"msf1")
    ),
    (4, b"ftypavi", "an AVIF picture", _CONVERT),
    (4, b"ftypcrx", "a raw picture of a camera", "export it as JPEG"),
    (0, b"\xff\x0a", "a JPEG XL picture", "djxl IN OUT.png"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture", "djxl IN OUT.png"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _CONVERT),
    (0, b"FUJIFILMCCD", "a raw picture of a camera", "export it as JPEG"),
    (0, b"IIRO", "a raw picture of a camera", "export it as JPEG"),
    (0, b"8BPS", "a Photoshop file", "export it as PNG"),
    (0, b"gimp xcf", "a GIMP file", "export it as PNG"),
    (0, b"%PDF", "a PDF document", "pdftoppm -png IN OUT"),
    (0, b"\0\0\1\0", "an icon file", _CONVERT),
    (0, b"v/1\1", "an OpenEXR picture", _CONVERT),
    (0, b"#?RADIANCE", "a Radiance HDR picture", _CONVERT),
    (0, b"qoif", "a QOI picture", _CONVERT),
    (0, b"DDS ", "a DDS texture", _CONVERT),
    (0, b"PK\3\4", "a ZIP archive", "unzip it"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it"),
)
_RAW = (
    ".cr2",
    ".nef",
    ".arw",
    ".dng",
    ".rw2",
    ".pef",
    ".srw",
)  # their first bytes are those of TIFF
_PNM = re.compile(rb"P[1-7]\s")
_TEXT = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]+")
_VIDEO = re.compile(
    rb"....(ftyp|moov|mdat|wide)|\x1aE\xdf\xa3|RIFF....AVI |OggS|FLV\1|0&\xb2u", re.S
)
_HEAD_BYTES = 4096
_CACHE_BYTES = 32 << 20  # of pictures that are decoded at once


def foreign(path: Path) -> str:
    """What a picture of a kind that is not read is, and the way out; "" if it is none.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
    for at, start, name, convert in _FOREIGN:
        if head[at : at + len(start)] == start:
            return f"is {name}, which is not read; convert it: {convert}"
    if path.suffix.lower() in _RAW:
        return "is a raw picture of a camera, which is not read; export it as JPEG"
    if _PNM.match(head):
        return f"is a PNM picture, which is not read; convert it: {_CONVERT}"
    return ""


def why_no_picture(path: Path) -> str:
    """Why a file whose name promises a picture is none.

    Raises:
        OSError: the file cannot be read.
    """
    if path.is_dir():
        return "is a folder, not a picture; rename it"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "is empty (zero bytes); copy it again"
    if not any(head):
        return "is all zeros at its start: it was not written or copied to its end; copy it again"
    other = foreign(path)
    if other:
        return other
    if head[:3] == b"GIF":
        return "is a GIF; name it .gif to play it"
    if _VIDEO.match(head):
        return "is a video, not a picture; give it the name of a video, such as .mp4"
    if _TEXT.fullmatch(head):
        page = b"<html" in head.lower() or b"<!doctype" in head.lower()
        return f"is {'a web page' if page else 'text'}, not a picture; download it again"
    return f"is no {KINDS} image, or its start is damaged"


def is_animated_png(path: Path) -> bool:
    """Whether a PNG has several pictures: a chunk acTL before its data (PNG 3, section 11.3.6)."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    data = head.find(b"IDAT")
    return head[:4] == b"\x89PNG" and 0 < head.find(b"acTL") < (data if data > 0 else len(head))


class Pages:
    """The pictures of one file of several: a TIFF or an animated WebP."""

    def __init__(self) -> None:
        self._of: Optional[Path] = None
        self._first = 0
        self._decoded: Tuple[np.ndarray, ...] = ()

    @staticmethod
    def count(path: Path) -> int:
        """How many there are; 1 if OpenCV cannot tell."""
        if not hasattr(cv2, "imcount") or not _may_have_pages(path):
            return 1
        try:
            return max(1, int(cv2.imcount(str(path), cv2.IMREAD_COLOR)))
        except cv2.error:
            return 1

    def read(self, path: Path, page: int, nbytes: int) -> Optional[np.ndarray]:
        """One picture [H,W,3] u8 BGR, borrowed; None if it is damaged.

        Args:
            path: the file.
            page: from 0.
            nbytes: of one picture; a few of them are decoded at once.
        """
        if path != self._of or not self._first <= page < self._first + len(self._decoded):
            self._of, self._first, self._decoded = path, page, ()
            count = max(1, min(16, _CACHE_BYTES // max(1, nbytes)))
            try:
                fine, found = cv2.imreadmulti(
                    str(path), start=page, count=count, flags=cv2.IMREAD_COLOR
                )
            except cv2.error:
                return None
            self._decoded = tuple(found) if fine else ()
        at = page - self._first
        return self._decoded[at] if at < len(self._decoded) else None


def webp_rate_hz(path: Path) -> float:
    """Pictures per second of an animated WebP, by the mean of its frames' durations; 0 if unknown.

    A chunk ANMF has its duration in ms in bytes 12 to 14 (RFC 9649, section 2.7.1.1).
    """
    with path.open("rb") as file:
        data = file.read(_CACHE_BYTES)
    times_ms = []
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ANMF":
            times_ms.append(int.from_bytes(data[at + 20 : at + 23], "little"))
        at += 8 + size + size % 2
    total_ms = sum(times_ms)
    return 1e3 * len(times_ms) / total_ms if total_ms else 0.0


def is_animated_webp(path: Path) -> bool:
    """Whether a WebP has the flag for animation (RFC 9649, section 2.7.1)."""
    with path.open("rb") as file:
        head = file.read(32)
    return head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def _may_have_pages(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4)
    return head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") or is_animated_webp(path)
