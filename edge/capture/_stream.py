"""A live stream that OpenCV decodes: what rtsp:// and csi:// have in common."""

from __future__ import annotations

import time
from typing import Optional

from edge.capture._opencv import Video
from edge.capture._ring import Ring, Slot
from edge.errors import TempError


class Stream:
    """Reads the newest frames and never waits for the loop.

    Args:
        video: opened.
        shown: the URI, without its password.
        timeout_s: without a frame for so long the stream is broken.
        advice: what to look at then.
    """

    live = True

    def __init__(self, video: Video, shown: str, timeout_s: float, advice: str) -> None:
        self._video, self._shown = video, shown
        self._timeout_s, self._advice = timeout_s, advice
        self._index = 0
        self._closed = False

    def read(self, ring: Ring) -> Optional[Slot]:
        """The next frame; it is lost, and counted, while the loop holds every slot.

        Raises:
            TempError: the stream broke.
        """
        began = time.monotonic()
        got = self._video.grab()
        t_ns = time.monotonic_ns()
        if self._closed:
            return None
        # OpenCV's call that timed out still gives the frame that was left in its decoder.
        if not got or time.monotonic() - began >= self._timeout_s:
            raise TempError(f"{self._shown}: no more frames; {self._advice}")
        index, self._index = self._index, self._index + 1
        slot = ring.acquire(0.0)
        if slot is None:
            return None
        if not self._video.retrieve(slot, ring):
            ring.cancel(slot)
            if self._closed:
                return None
            raise TempError(f"{self._shown}: a frame cannot be decoded; {self._advice}")
        slot.index, slot.t_ns, slot.arrival_ns = index, t_ns, time.monotonic_ns()
        return slot

    def close(self) -> None:
        """Let go of the stream, as soon as a read that is under way returns."""
        self._closed = True
        self._video.close()
