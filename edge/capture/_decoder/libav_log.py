"""Reads libav's log for what OpenCV does not tell.

- A new resolution. OpenCV's FFmpeg backend keeps the first size: it gives the upper left corner of
  a larger picture, and reads behind the end of a smaller one. Every decoder of libav logs that it
  chooses a format for its pictures, at its start and whenever their size or format changes; some
  log the size as well.
- A picture that OpenCV 5 cannot convert, because it is interlaced: OpenCV gives the one before.
- Each connection, so that endless redirects can be ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import select

_STDOUT, _STDERR = 1, 2  # OpenCV prints the log to the first, libav itself to the second
_DEBUG = "48"  # AV_LOG_DEBUG of libavutil/log.h
_FORMAT = b"chosen by get_format()"
# H.264; MJPEG
_SIZE = re.compile(rb"(?:Reinit context to |sof0: picture: )(\d{1,5}x\d{1,5})\b")
_INTERLACED = b"Cannot convert interlaced"
_CONNECTION = b"Starting connection attempt"
_BLOCK = 65536
_F_SETPIPE_SZ = 1031  # linux/fcntl.h
_PAGE_BYTES, _ROOM_BYTES = 4096, 1 << 18
_IOLBF = 1  # stdio.h: each line is written when it ends


class LibavLog:
    """Takes over this process's output; what is written there is never shown.

    Both ends of the pipe never block, except while `hold` is in force: a log that nobody reads in
    time loses lines, not frames.
    """

    def __init__(self) -> None:
        os.environ["OPENCV_FFMPEG_LOGLEVEL"] = _DEBUG  # read at the first stream
        self._pipe, end = os.pipe()
        os.set_blocking(self._pipe, False)
        os.set_blocking(end, False)
        os.dup2(end, _STDOUT)
        os.dup2(end, _STDERR)
        os.close(end)
        libc = ctypes.CDLL(None)
        stdout = ctypes.c_void_p.in_dll(libc, "stdout")
        libc.setvbuf(stdout, None, _IOLBF, ctypes.c_size_t(0))
        self._resize(_ROOM_BYTES)
        self._size, self._rest = "", b""
        self._changed = self._interlaced = False
        self.connections = 0  # that libav began so far

    def hold(self, on: bool) -> None:
        """Have libav wait while a page of log is unread; another thread must `read` meanwhile."""
        self._resize(_PAGE_BYTES if on else _ROOM_BYTES)
        os.set_blocking(_STDOUT, on)

    def _resize(self, nbytes: int) -> None:
        with contextlib.suppress(OSError):  # more than the user's pipes may have, or not empty
            fcntl.fcntl(self._pipe, _F_SETPIPE_SZ, nbytes)

    def read(self, timeout_s: float = 0.0) -> None:
        """Read what was logged; waits for something if there is nothing."""
        select.select([self._pipe], [], [], timeout_s)
        text = self._rest
        with contextlib.suppress(BlockingIOError):
            while len(text) < 1 << 24:
                text += os.read(self._pipe, _BLOCK)
        whole, _, self._rest = text.rpartition(b"\n")
        sizes = _SIZE.findall(whole)
        if _FORMAT in whole:
            self._changed, self._size = True, "another size"
        if sizes:
            self._size = sizes[-1].decode("ascii")
        self._interlaced = self._interlaced or _INTERLACED in whole
        self.connections += whole.count(_CONNECTION)

    def change(self) -> str:
        """The new size, as "640x480", if the pictures changed since the last call; else "".

        "another size" if the decoder does not log it.
        """
        self.read()
        changed, self._changed = self._changed, False
        return self._size if changed else ""

    def is_interlaced(self) -> bool:
        """Whether an interlaced picture could not be converted since the last call."""
        self.read()
        interlaced, self._interlaced = self._interlaced, False
        return interlaced
