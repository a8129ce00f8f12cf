"""A live stream that is decoded by software or by GStreamer."""

from __future__ import annotations

import time
from typing import Optional, Protocol

from edge.capture._ring import Ring, Slot
from edge.errors import TempError


class Video(Protocol):
    """What decodes: `_opencv.Video` here, `_decoder.video.RemoteVideo` in another process."""

    grabbed_ns: int  # monotonic, when the last frame was decoded

    def grab(self) -> bool:
        """Decode the next frame; False if there is none or the stream was closed."""

    def retrieve(self, slot: Slot, ring: Ring) -> bool:
        """Convert the decoded frame into a slot's memory; False if that fails."""

    def close(self) -> None:
        """Release the stream; from any thread."""


class Stream:
    """A live source; it drops frames and never waits for the loop.

    Args:
        video: the open stream; closed by `close`.
        shown: the URI with its password masked.
        timeout_s: the stream counts as broken after this time without a frame.
        advice: added to the error; says what to check.
    """

    live = True

    def __init__(self, video: Video, shown: str, timeout_s: float, advice: str) -> None:
        self._video, self._shown = video, shown
        self._timeout_s, self._advice = timeout_s, advice
        self._index = 0
        self._closed = False

    def read(self, ring: Ring) -> Optional[Slot]:
        """The next frame; without a free slot it is lost, and the index counts it.

        Raises:
            TempError: the stream broke.
        """
        began = time.monotonic()
        got = self._video.grab()
        t_ns = self._video.grabbed_ns
        if self._closed:
            return None
        # After a time-out, OpenCV still returns the frame that was left in its decoder.
        if not got or time.monotonic() - began >= self._timeout_s:
            raise TempError(f"{self._shown}: no more frames; {self._advice}")
        index, self._index = self._index, self._index + 1
        slot = ring.acquire(0.0)
        if slot is None:
            return None
        try:
            fine = self._video.retrieve(slot, ring)
        except BaseException:
            ring.cancel(slot)
            raise
        if not fine:
            ring.cancel(slot)
            if self._closed:
                return None
            raise TempError(f"{self._shown}: a frame cannot be decoded; {self._advice}")
        slot.index, slot.t_ns, slot.arrival_ns = index, t_ns, time.monotonic_ns()
        return slot

    def close(self) -> None:
        """Release the stream, at the latest when a running read returns."""
        self._closed = True
        self._video.close()
