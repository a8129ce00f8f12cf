"""Notices that OpenCV gives an old picture as a new one, because libav cannot convert the new one.

OpenCV 5 ignores what libswscale answers. For an interlaced picture that is an error: the buffer
keeps the picture before, or what was in memory. Only libav's log tells. Its callback is set around
single conversions: of the first frame, and of frames that look exactly like the one before.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Callable, List, Optional

import numpy as np

from edge.capture._libav import library

_ERROR = 16  # AV_LOG_ERROR of libavutil/log.h; lower numbers are worse
_ROWS, _COLUMNS = 16, 32  # pixels of a picture that are compared
_lock = threading.Lock()
_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Refusals:
    """Checks the conversions of one stream."""

    def __init__(self) -> None:
        self._sample: Optional[np.ndarray] = None

    def is_stale(self, image: np.ndarray, convert: Callable[[], Any]) -> bool:
        """Whether a picture is not the one that was decoded last.

        Args:
            image: [H,W,...] u8, as OpenCV gave it.
            convert: converts the same frame once more.
        """
        rows, columns = image.shape[:2]
        sample = image[:: max(1, rows // _ROWS), :: max(1, columns // _COLUMNS)]
        known, self._sample = self._sample, sample.copy()
        if known is not None and not np.array_equal(known, sample):
            return False
        return _is_refused(convert)


def _is_refused(convert: Callable[[], Any]) -> bool:
    """Whether libav logs that it cannot convert a picture."""
    util = library("libavutil")
    if util is None:
        return False
    util.av_log_set_callback.argtypes = [ctypes.c_void_p]
    util.av_log_set_callback.restype = None
    here = threading.get_ident()
    refused: List[Optional[bytes]] = []

    def note(_: Any, level: int, text: Optional[bytes], arguments: Any) -> None:
        if level <= _ERROR and threading.get_ident() == here:
            refused.append(text)

    called = _CALLBACK(note)
    with _lock:
        util.av_log_set_callback(ctypes.cast(called, ctypes.c_void_p))
        try:
            convert()
        finally:
            quiet = util.av_log_default_callback  # OpenCV set the level before
            util.av_log_set_callback(ctypes.cast(quiet, ctypes.c_void_p))
    return bool(refused)
