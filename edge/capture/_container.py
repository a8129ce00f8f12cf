"""What a video file says of itself: its codec, how long it is shown, and whether it is cut off.

OpenCV tells neither. Read are the boxes of MP4 and MOV (ISO/IEC 14496-12) and the head of Matroska
and WebM (RFC 9559); all other files are unknown.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Dict, Iterator, Optional, Tuple

_MAX_MOOV = 64 << 20  # bytes
_HEAD = 1 << 18  # bytes of a Matroska file that hold its track list
_MAX_BOXES = 10_000
_MP4 = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp")
_INSIDE = (b"trak", b"mdia", b"minf", b"stbl")  # boxes whose content is boxes
_MATROSKA = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


@dataclass(frozen=True)
class Facts:
    """What is known of a file."""

    codec: str = ""  # fourcc of MP4, CodecID of Matroska
    shown_s: float = 0.0  # how long its video is shown, less than it is long after a trim
    cut_off: bool = False  # the file ends before its content
    audio_only: bool = False
    is_complete: bool = False  # its end is where the file says it is


def read_facts(path: Path) -> Facts:
    """What a file says of itself; an empty record if it is of another kind or damaged."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[4:8] in _MP4:
                return _of_mp4(file)
            return _of_matroska(file) if head[:4] == _MATROSKA else Facts()
    except (OSError, struct.error, ValueError):
        return Facts()


def _of_mp4(file: BinaryIO) -> Facts:
    end = file.seek(0, 2)
    cut_off, moov = False, b""
    for kind, start, stop in _boxes_of_file(file, end):
        cut_off = cut_off or stop > end
        if kind == b"moov" and stop - start <= _MAX_MOOV:
            file.seek(start)
            moov = file.read(stop - start)
    codec, shown_s, tracks = _of_moov(moov)
    return Facts(codec, shown_s, cut_off, bool(tracks) and not codec, not cut_off)


def _boxes_of_file(file: BinaryIO, end: int) -> Iterator[Tuple[bytes, int, int]]:
    """Kind, first byte of the content and end of each box; the last may end behind the file."""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        size, start = int.from_bytes(head[:4], "big"), at + 8
        if size == 1 and len(head) == 16:
            size, start = int.from_bytes(head[8:], "big"), at + 16
        stop = end if size == 0 else at + size
        if stop < start:
            return
        yield head[4:8], start, stop
        at = stop


def _boxes(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield kind, data[at + 8 : at + size]
        at += size


def _of_moov(moov: bytes) -> Tuple[str, float, int]:
    """Codec and seconds of the first video track, and the number of tracks."""
    scale, codec, shown_s, tracks = 0, "", 0.0, 0
    for kind, body in _boxes(moov):
        if kind == b"mvhd":
            scale = struct.unpack_from(">I", body, 20 if body[0] else 12)[0]
        if kind == b"trak":
            tracks += 1
            found, units = _of_track(body)
            if found and not codec:
                codec, shown_s = found, units / scale if scale else 0.0
    return codec, shown_s, tracks


def _of_track(trak: bytes) -> Tuple[str, int]:
    """Codec of a video track, "" of another one; its duration in units of the movie."""
    parts: Dict[bytes, bytes] = {}
    stack = [trak]
    while stack:
        for kind, body in _boxes(stack.pop()):
            parts.setdefault(kind, body)
            if kind in _INSIDE:
                stack.append(body)
    if parts.get(b"hdlr", b"")[8:12] != b"vide" or len(parts.get(b"stsd", b"")) < 16:
        return "", 0
    tkhd = parts.get(b"tkhd", b"\0")
    units = struct.unpack_from(">Q", tkhd, 28) if tkhd[0] else struct.unpack_from(">I", tkhd, 20)
    return parts[b"stsd"][12:16].decode("latin-1"), int(units[0])


def _of_matroska(file: BinaryIO) -> Facts:
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(_HEAD)
    found = re.search(rb"V_[A-Z0-9_/]{2,32}", head)
    codec = found[0].decode("ascii") if found else ""
    stop = _segment_end(head)
    audio_only = not codec and b"A_" in head
    return Facts(codec, 0.0, stop is not None and stop > end, audio_only, stop == end)


def _segment_end(head: bytes) -> Optional[int]:
    """Where the segment ends; None if it says nothing, as in a stream that was being written."""
    at = head.find(_SEGMENT)
    if at < 0 or at + 5 > len(head) or not head[at + 4]:
        return None
    length = 9 - head[at + 4].bit_length()  # bytes of the size
    raw = head[at + 4 : at + 4 + length]
    size = int.from_bytes(raw, "big") & ((1 << 7 * length) - 1)
    return None if size == (1 << 7 * length) - 1 else at + 4 + length + size


# fourcc or CodecID -> name, of codecs that builds of OpenCV often cannot decode
_UNDECODED = {
    "av01": "AV1",
    "v_av1": "AV1",
    "vvc1": "H.266 (VVC)",
    "vvi1": "H.266 (VVC)",
    "h266": "H.266 (VVC)",
    "evc1": "MPEG-5 EVC",
    "lvc1": "MPEG-5 LCEVC",
    "avs3": "AVS3",
    "apv1": "APV",
    "brxd": "Blackmagic RAW",
    "braw": "Blackmagic RAW",
    "r3d ": "RED RAW",
    "drac": "Dirac",
    "encv": "encrypted video (DRM)",
}
_DECODED = {
    "avc1": "H.264",
    "avc3": "H.264",
    "h264": "H.264",
    "v_mpeg4/iso/avc": "H.264",
    "hvc1": "H.265",
    "hev1": "H.265",
    "hevc": "H.265",
    "v_mpegh/iso/hevc": "H.265",
    "dvh1": "H.265 (Dolby Vision)",
    "dvhe": "H.265 (Dolby Vision)",
    "vp80": "VP8",
    "v_vp8": "VP8",
    "vp90": "VP9",
    "vp09": "VP9",
    "v_vp9": "VP9",
    "mp4v": "MPEG-4",
    "fmp4": "MPEG-4",
    "xvid": "MPEG-4",
    "mjpg": "MJPEG",
    "mpg2": "MPEG-2",
    "theo": "Theora",
}


def codec_name(code: str) -> str:
    """The usual name of a fourcc or CodecID; the code itself if it is unknown."""
    known = {**_DECODED, **_UNDECODED}
    return known.get(code.lower(), code.strip() if code.isprintable() else "")


def why_undecoded(code: str) -> str:
    """Why no frame of a file can be decoded, and the way out.

    Args:
        code: fourcc or CodecID of its video; "" = unknown.
    """
    name = codec_name(code)
    if not name:
        return "no frame of it can be decoded; re-export it"
    convert = "convert it to H.264: ffmpeg -i IN -c:v libx264 OUT.mp4"
    if code.lower() in _DECODED:
        return f"no frame of its {name} video can be decoded: it is damaged; re-export it"
    return f"its video is {name}, which this OpenCV cannot decode; {convert}"
