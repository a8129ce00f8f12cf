"""One start for recordings that are opened together, so that their times can be compared."""

from __future__ import annotations

import threading
from typing import Optional

# Recordings that begin within this time of the first one begin with it. A busy machine opens
# several files slowly. At native rate the time must not exceed the lateness that playback makes up
# for (edge.capture.file).
TOGETHER_NS = 20_000_000_000
TOGETHER_NATIVE_NS = 500_000_000


class CommonStart:
    """The monotonic time at which the recordings of a group begin. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun_ns: Optional[int] = None

    def begin_ns(self, now_ns: int, within_ns: int = TOGETHER_NS) -> int:
        """The start of a recording whose first frame is read now."""
        with self._lock:
            begun_ns = self._begun_ns
            if begun_ns is None or not 0 <= now_ns - begun_ns <= within_ns:
                begun_ns = self._begun_ns = now_ns
            return begun_ns


START = CommonStart()
