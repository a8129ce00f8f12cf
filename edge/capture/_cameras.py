"""All cameras of the program: the newest frame of each as one list."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Callable, List, Optional, Sequence

from edge.capture._memory import FrameMemory, PlainMemory
from edge.capture._ring import Ring, Slot
from edge.capture._source import RECORDING
from edge.capture._supervisor import Supervisor
from edge.errors import EdgeError
from edge.settings import config
from edge.structures import CameraState, Frame

CameraList = List[Supervisor]
CLOSE_S = 0.8  # for all threads together; a thread that needs longer hangs in a driver


class Lease:
    """A borrowed slot; returns it to its ring at most once."""

    __slots__ = ("_ring", "_slot")

    def __init__(self, ring: Ring, slot: Slot) -> None:
        self._ring = ring
        self._slot: Optional[Slot] = slot

    def release(self) -> None:
        """Return the slot; later calls do nothing."""
        slot, self._slot = self._slot, None
        if slot is not None:
            self._ring.release(slot)


class Cameras:
    """Every camera, each read by its own thread; a failed camera never stops the others.

    Args:
        cameras: their order is the order of frames and states.
        capture: ring size and time-outs.
        memory: holds the frames; None = plain memory.
    """

    def __init__(
        self,
        cameras: Sequence[config.Camera],
        capture: config.Capture,
        memory: Optional[FrameMemory] = None,
    ) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self._memory: FrameMemory = memory or PlainMemory()
        self._cameras: List[Supervisor] = []
        self._cameras = self.planned(cameras, capture)

    def start(self) -> None:
        """Start all reading threads, which open the sources; returns at once."""
        for camera in self._cameras:
            camera.start()

    def planned(self, cameras: Sequence[config.Camera], capture: config.Capture) -> CameraList:
        """Cameras for a new configuration; a healthy camera with the same settings is reused."""
        named = [dataclasses.replace(c, name=c.name or f"cam{i}") for i, c in enumerate(cameras)]
        here = {c.settings_key: c for c in self._cameras if c.error is None}
        return [
            here.get((c, capture)) or Supervisor(c, capture, self._memory, self._wake)
            for c in named
        ]

    def swap(self, planned: CameraList) -> Callable[[], None]:
        """Replace the cameras. Call it between two steps, while no frame is borrowed.

        Returns:
            A function that closes the removed cameras and then starts the new ones. It takes a
            while; call it once, from any thread.
        """
        with self._changed:
            before, self._cameras = self._cameras, list(planned)
        kept = set(before) & set(planned)
        gone = [c for c in before if c not in kept]

        def settle() -> None:
            _end(gone)
            for camera in planned:
                if camera not in kept and not self._closed:
                    camera.start()

        return settle

    @property
    def lossless(self) -> bool:
        """Whether all are recordings that wait for the loop, so that no frame is dropped."""
        return all(c.kind == RECORDING for c in self._cameras)

    def take(self, timeout_s: float) -> List[Frame]:
        """The newest frame of each camera that has one.

        Waits for at least one frame, and for a frame of every healthy recording, so that
        synchronised recordings advance together. Never waits for a particular live camera.

        Returns:
            Frames in the cameras' order: views of ring buffers, borrowed until `release`. Empty
            at the time-out, or once all cameras are finished.
        """
        end_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        with self._changed:
            while not self._complete():
                left_ns = end_ns - time.monotonic_ns()
                if left_ns <= 0 or self.ended:
                    return []
                self._changed.wait(min(left_ns, self._until_deadline_ns()) / 1e9)
            return [] if self._closed else [f for c in self._cameras for f in _take(c)]

    def release(self, frames: Sequence[Frame]) -> None:
        """Return the frames' buffers; releasing a frame twice is harmless."""
        for frame in frames:
            if isinstance(frame.slot, Lease):
                frame.slot.release()

    def states(self) -> List[CameraState]:
        """The state of each camera, in the cameras' order."""
        return [c.state() for c in self._cameras]

    @property
    def failures(self) -> List[EdgeError]:
        """The error of each camera that failed for good, in the cameras' order."""
        return [c.error for c in self._cameras if c.error is not None]

    @property
    def ended(self) -> bool:
        """Whether every camera ended or failed for good and no frame is left to take."""
        return self._closed or all(c.finished and not c.ring.has_frame for c in self._cameras)

    def close(self) -> None:
        """End all threads; borrowed frames stay readable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        _end(self._cameras)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _awaited(self) -> List[Supervisor]:
        """Healthy recordings whose next frame is not there yet."""
        now_ns = time.monotonic_ns()
        return [
            c
            for c in self._cameras
            if c.waits_for_loop and not c.ring.has_frame and c.deadline_ns() > now_ns
        ]

    def _complete(self) -> bool:
        return any(c.ring.has_frame for c in self._cameras) and not self._awaited()

    def _until_deadline_ns(self) -> int:
        """Time until an awaited recording counts as stalled, and the others go on without it."""
        now_ns = time.monotonic_ns()
        return min((c.deadline_ns() - now_ns for c in self._awaited()), default=1 << 62)


def _end(cameras: Sequence[Supervisor]) -> None:
    """End the threads of all cameras in parallel."""
    for camera in cameras:
        camera.stop()
    end = time.monotonic() + CLOSE_S
    for camera in cameras:
        camera.join(max(0.0, end - time.monotonic()))


def _take(camera: Supervisor) -> List[Frame]:
    slot = camera.ring.take()
    if slot is None:
        return []
    lease = Lease(camera.ring, slot)
    return [
        Frame(
            slot.image,
            slot.index,
            slot.t_ns,
            camera.name,
            slot.arrival_ns,
            slot.device_ptr,
            slot.layout,
            lease,
            slot.still,
            slot.view,
        )
    ]
