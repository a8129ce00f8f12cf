"""How often the loop turns at most."""

from __future__ import annotations

import time
from typing import List, Protocol, Sequence

from edge.structures import CameraState, Frame


class Cameras(Protocol):
    """What the loop takes frames from (edge.capture.Cameras)."""

    def take(self, timeout_s: float) -> List[Frame]:
        """The newest frame of each camera that has one; [] at time-out."""

    def release(self, frames: Sequence[Frame]) -> None:
        """Give their buffers back."""

    def states(self) -> List[CameraState]:
        """How each camera is."""

    @property
    def ended(self) -> bool:
        """Nothing more will come."""


class Pace:
    """The cameras, taken from at most so often; frames in between are dropped by the sources.

    Args:
        cameras: where frames come from.
    """

    def __init__(self, cameras: Cameras) -> None:
        self._cameras = cameras
        self._due_ns = 0
        self.max_hz = 0  # steps per second; 0 = as the cameras give them
        self.relief_hz = 0.0  # the same, where the machine cannot do more

    def take(self, timeout_s: float) -> List[Frame]:
        """As the cameras' own, but not before it is time."""
        hz = min((hz for hz in (self.max_hz, self.relief_hz) if hz > 0), default=0.0)
        if not hz:
            return self._cameras.take(timeout_s)
        wait_s = (self._due_ns - time.monotonic_ns()) * 1e-9
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s, 1.0))
            if wait_s > timeout_s:
                return []
        frames = self._cameras.take(timeout_s)
        if frames:
            now_ns = time.monotonic_ns()
            period_ns = int(10**9 / hz)
            next_ns = self._due_ns + period_ns  # on the beat, unless that was missed
            self._due_ns = next_ns if next_ns > now_ns else now_ns + period_ns
        return frames

    def release(self, frames: Sequence[Frame]) -> None:
        """Give their buffers back."""
        self._cameras.release(frames)

    def states(self) -> List[CameraState]:
        """How each camera is."""
        return self._cameras.states()

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self._cameras.ended
