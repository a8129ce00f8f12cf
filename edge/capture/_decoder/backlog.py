"""Drops the frames that a stream has ready when it opens: they are seconds old."""

from __future__ import annotations

import time
from typing import Callable, Protocol

MAX_S = 2.0  # then it counts as live
_WAITED_S = 0.002  # a frame that was ready is decoded from memory
_REAL_TIME = 0.5  # share of a frame's own duration that a live stream takes at least


class Timed(Protocol):
    """A stream with time stamps."""

    @property
    def media_ms(self) -> float:
        """The stream's own time of the last frame; 0 if it has none."""

    def grab(self) -> bool:
        """Decode the next frame; False if there is none."""


class Backlog:
    """Skips frames that come faster than their own time stamps advance.

    To find codec and rate, libav reads up to 5 s of a stream while it opens it, and many servers
    send what they kept since the last key frame. Such frames would all get the time at which they
    are decoded, and people in them would move many times too fast.

    Args:
        clock_s: a monotonic clock.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self.skipped = 0

    def skip(self, stream: Timed, got: bool) -> bool:
        """Go on to the first live frame.

        Args:
            stream: its first frame was grabbed.
            got: the result of that.

        Returns:
            Whether there is a frame.
        """
        begun_s = before_s = self._clock_s()
        media_ms, step_ms = stream.media_ms, 0.0
        while got and before_s - begun_s < MAX_S:
            # The first two frames often have the same stamp.
            if not step_ms and self.skipped > 2:
                return True
            got = stream.grab()
            now_s, now_ms = self._clock_s(), stream.media_ms
            step_ms = max(0.0, now_ms - media_ms)
            self.skipped += 1
            took_s = now_s - before_s
            if step_ms and took_s > max(_WAITED_S, _REAL_TIME * step_ms / 1e3):
                return got
            before_s, media_ms = now_s, now_ms
        return got
