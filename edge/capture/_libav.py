"""The libav that OpenCV has loaded, called directly for what OpenCV leaves undone.

Only functions and fields that have stayed in place since FFmpeg 4 are used: the start of AVFrame
(libavutil/frame.h) and of AVPacket (libavcodec/packet.h).
"""

from __future__ import annotations

import ctypes
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, List, Optional, Tuple

import numpy as np

_PTS, _DATA = 8, 24  # bytes from the start of an AVPacket
_LINESIZE, _WIDTH, _HEIGHT, _FORMAT = 64, 104, 108, 116  # bytes from the start of an AVFrame
_PLANAR = re.compile(rb"yuvj?(420|422|444)p(10le|12le)?")
_AGAIN = -11  # AVERROR(EAGAIN)
# fourcc in lower case -> decoder
_DECODERS = {
    **dict.fromkeys(("h264", "avc1", "avc3", "x264", "davc"), b"h264"),
    **dict.fromkeys(("hevc", "hvc1", "hev1"), b"hevc"),
    **dict.fromkeys(("mpg1", "mpg2", "mpeg", "m2v1", "xdvc", "hdv2", "hdv3"), b"mpeg2video"),
    **dict.fromkeys(("fmp4", "mp4v", "xvid", "divx", "dx50"), b"mpeg4"),
    **dict.fromkeys(("dvsd", "dvc ", "dvcp", "dvpp", "dv25", "dv5p", "dvhd"), b"dvvideo"),
    **dict.fromkeys(("apch", "apcn", "apcs", "apco", "ap4h", "ap4x"), b"prores"),
    **dict.fromkeys(("mjpg", "avrn", "avdj"), b"mjpeg"),
    **dict.fromkeys(("avdn", "avdh"), b"dnxhd"),
    "ffv1": b"ffv1",
    "hfyu": b"huffyuv",
}


@lru_cache(maxsize=4)
def library(name: str) -> Optional[Any]:
    """A library of libav in this process, such as "libavutil"; None if OpenCV brought none."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    found = re.search(rf"(/\S*/{name}[-.][^/\s]*)$", maps, re.MULTILINE)
    try:
        return ctypes.CDLL(found[1]) if found else None
    except OSError:
        return None


class Decoder:
    """A decoder for packets, whose pictures may be interlaced.

    Args:
        fourcc: of the codec.

    Raises:
        LookupError: there is no such decoder.
    """

    def __init__(self, fourcc: str) -> None:
        codec, util = library("libavcodec"), library("libavutil")
        name = _DECODERS.get(fourcc.lower())
        if codec is None or util is None or name is None:
            raise LookupError(fourcc)
        self._codec, self._util = codec, util
        for call in (codec.avcodec_find_decoder_by_name, codec.avcodec_alloc_context3):
            call.restype, call.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        codec.avcodec_find_decoder_by_name.argtypes = [ctypes.c_char_p]
        codec.av_packet_alloc.restype = util.av_frame_alloc.restype = ctypes.c_void_p
        util.av_get_pix_fmt_name.restype = ctypes.c_char_p
        found = codec.avcodec_find_decoder_by_name(name)
        self._context = ctypes.c_void_p(codec.avcodec_alloc_context3(found)) if found else None
        if not self._context or codec.avcodec_open2(self._context, ctypes.c_void_p(found), None):
            raise LookupError(fourcc)
        self._packet = ctypes.c_void_p(codec.av_packet_alloc())
        self._frame = ctypes.c_void_p(util.av_frame_alloc())

    def send(self, data: Optional[np.ndarray]) -> None:
        """Give it the next packet [n] u8, copied; None = there are no more.

        Raises:
            OSError: no memory is left.
        """
        if data is None:
            self._codec.avcodec_send_packet(self._context, None)
            return
        if self._codec.av_new_packet(self._packet, ctypes.c_int(data.size)):
            raise OSError("no memory for a packet")
        place = ctypes.c_void_p.from_address((self._packet.value or 0) + _DATA)
        ctypes.memmove(place, data.ctypes.data, data.size)
        self._codec.avcodec_send_packet(self._context, self._packet)
        self._codec.av_packet_unref(self._packet)

    def receive(self) -> Optional[bool]:
        """Take the next picture; None if it needs another packet, False at the end."""
        answer = self._codec.avcodec_receive_frame(self._context, self._frame)
        return True if answer == 0 else None if answer == _AGAIN else False

    def planes(self) -> Optional[Tuple[List[np.ndarray], int]]:
        """The picture's planes Y, U, V and how many bits they have beyond 8.

        Returns:
            Views, [H,W] and smaller, of the picture that was received, until the next call; None
            if they lie otherwise.
        """
        at = self._frame.value or 0
        width, height, kind = (
            ctypes.c_int.from_address(at + o).value for o in (_WIDTH, _HEIGHT, _FORMAT)
        )
        match = _PLANAR.fullmatch(self._util.av_get_pix_fmt_name(ctypes.c_int(kind)) or b"")
        if not match or width < 2 or height < 2:
            return None
        wide, high = match[1] == b"444", match[1] != b"420"
        sizes = [(height, width)] + 2 * [
            (height if high else -(-height // 2), width if wide else -(-width // 2))
        ]
        bits = int(match[2][:2]) if match[2] else 8
        found = [self._plane(at, i, rows, columns, bits) for i, (rows, columns) in enumerate(sizes)]
        planes = [plane for plane in found if plane is not None]
        return (planes, bits - 8) if len(planes) == len(sizes) else None

    def _plane(
        self, at: int, index: int, rows: int, columns: int, bits: int
    ) -> Optional[np.ndarray]:
        address = ctypes.c_void_p.from_address(at + 8 * index).value
        pitch = ctypes.c_int.from_address(at + _LINESIZE + 4 * index).value
        kind = np.dtype("<u2") if bits > 8 else np.dtype(np.uint8)
        if not address or pitch < columns * kind.itemsize:  # rows from bottom to top, too
            return None
        memory = memoryview((ctypes.c_ubyte * (pitch * rows)).from_address(address))
        return np.ndarray((rows, columns), kind, memory, strides=(pitch, kind.itemsize))

    def close(self) -> None:
        """Free everything; may be called twice."""
        for free, name in (
            (self._codec.avcodec_free_context, "_context"),
            (self._codec.av_packet_free, "_packet"),
            (self._util.av_frame_free, "_frame"),
        ):
            pointer = getattr(self, name)
            if pointer:
                free(ctypes.byref(pointer))
                setattr(self, name, ctypes.c_void_p(None))
