"""The highest rate of the loop's steps."""

from __future__ import annotations

import threading
import time
from typing import List, Sequence

from edge.stages import Cameras
from edge.structures import CameraState, Frame


class RateLimit:
    """The cameras, with a limit to how often frames are taken; the sources drop those in between.

    The limits may be set from any thread and hold from the next step on.

    Args:
        cameras: where frames come from.
    """

    def __init__(self, cameras: Cameras) -> None:
        self._cameras = cameras
        self._due_ns = 0
        self.max_hz = 0  # steps per second that were asked for; 0 = as the cameras give frames
        self.degraded_hz = 0.0  # the same, while the machine cannot do more
        self.slow_hz = 0.0  # the same, while everybody moves slowly; see `set_slow_hz`
        self._faster = threading.Event()

    def set_slow_hz(self, hz: float) -> None:
        """Limit the rate while everybody moves slowly; 0 ends that and a wait for the next step."""
        before, self.slow_hz = self.slow_hz, hz
        if before and not hz:
            self._faster.set()

    def take(self, timeout_s: float) -> List[Frame]:
        """The newest frame of each camera that has one, but not before the next step is due."""
        self._faster.clear()  # before the limits are read: else a change in between would be lost
        limits_hz = (self.max_hz, self.degraded_hz, self.slow_hz)
        hz = min((hz for hz in limits_hz if hz > 0), default=0.0)
        if not hz:
            return self._cameras.take(timeout_s)
        wait_s = (self._due_ns - time.monotonic_ns()) * 1e-9
        if wait_s > 0:
            woken = self._faster.wait(min(wait_s, timeout_s, 1.0))
            if wait_s > timeout_s and not woken:
                return []
        frames = self._cameras.take(timeout_s)
        if frames:
            now_ns = time.monotonic_ns()
            period_ns = int(10**9 / hz)
            next_ns = self._due_ns + period_ns  # on the beat, unless that was missed
            self._due_ns = next_ns if next_ns > now_ns else now_ns + period_ns
        return frames

    def release(self, frames: Sequence[Frame]) -> None:
        """Give the buffers of these frames back."""
        self._cameras.release(frames)

    def states(self) -> List[CameraState]:
        """The state of each camera."""
        return self._cameras.states()

    @property
    def ended(self) -> bool:
        """Whether no more frames will come."""
        return self._cameras.ended
