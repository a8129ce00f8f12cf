"""Finds a change of resolution in libav's log, because OpenCV does not tell of it.

OpenCV's FFmpeg backend keeps the first size: it gives the upper left corner of a larger picture,
and reads behind the end of a smaller one. The H.264 decoder logs the new size; others do not.
"""

from __future__ import annotations

import ctypes
import os
import re

_STDOUT, _STDERR = 1, 2  # OpenCV prints the log to the first, libav itself to the second
_VERBOSE = "40"  # AV_LOG_VERBOSE of libavutil/log.h
_SIZE = re.compile(rb"Reinit context to (\d{1,5}x\d{1,5})\b")
_BLOCK = 65536


class LibavLog:
    """Takes over this process's output; what is written there is never shown.

    Both ends of the pipe never block: a log that nobody reads in time loses lines, not frames.
    """

    def __init__(self) -> None:
        os.environ["OPENCV_FFMPEG_LOGLEVEL"] = _VERBOSE  # read at the first stream
        self._pipe, end = os.pipe()
        os.set_blocking(self._pipe, False)
        os.set_blocking(end, False)
        os.dup2(end, _STDOUT)
        os.dup2(end, _STDERR)
        os.close(end)
        self._flush = ctypes.CDLL(None).fflush
        self._size = b""
        self._rest = b""

    def change(self) -> str:
        """The new size if it changed since the last call, as "640x480"; "" = it did not."""
        before = self._size
        for size in _SIZE.findall(self._text()):
            self._size = size
        return self._size.decode("ascii") if before not in (b"", self._size) else ""

    def _text(self) -> bytes:
        """What was logged, up to the last whole line."""
        self._flush(None)
        text = self._rest
        try:
            while True:
                text += os.read(self._pipe, _BLOCK)
        except BlockingIOError:
            pass
        whole, _, self._rest = text.rpartition(b"\n")
        return whole + b"\n"
