"""All cameras of the program as one source of lists of frames."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Callable, List, Optional, Sequence

from edge.capture._camera import Camera
from edge.capture._memory import FrameMemory, PlainMemory
from edge.capture._ring import Ring, Slot
from edge.capture._source import RECORDING
from edge.errors import EdgeError
from edge.settings import config
from edge.structures import CameraState, Frame

CameraList = List[Camera]
CLOSE_S = 0.8  # for all threads together; whoever needs longer hangs in a driver


class Lease:
    """The right to one slot, given back at most once."""

    __slots__ = ("_ring", "_slot")

    def __init__(self, ring: Ring, slot: Slot) -> None:
        self._ring = ring
        self._slot: Optional[Slot] = slot

    def release(self) -> None:
        """Give the slot back; later calls do nothing."""
        slot, self._slot = self._slot, None
        if slot is not None:
            self._ring.release(slot)


class Cameras:
    """Every camera, each read by its own thread; one that fails never stops the others.

    Args:
        cameras: in the order in which frames and states are given.
        capture: how they are supervised.
        memory: that the frames live in; None = plain memory.
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
        self._cameras: List[Camera] = []
        self._cameras = self.planned(cameras, capture)

    def start(self) -> None:
        """Open all of them, each in its own thread; returns at once."""
        for camera in self._cameras:
            camera.start()

    def planned(self, cameras: Sequence[config.Camera], capture: config.Capture) -> CameraList:
        """The cameras of another configuration; one that is well and stays as it is, is itself."""
        named = [dataclasses.replace(c, name=c.name or f"cam{i}") for i, c in enumerate(cameras)]
        here = {c.made_of: c for c in self._cameras if c.error is None}
        return [
            here.get((c, capture)) or Camera(c, capture, self._memory, self._wake) for c in named
        ]

    def swap(self, planned: CameraList) -> Callable[[], None]:
        """From now on these are the cameras; called between two steps, when no frame is out.

        Returns:
            Ends the cameras that go, then starts those that come, which takes a while; to be
            called once, from any thread.
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
        """Whether all are recordings of which every frame is given, however slow the loop."""
        return all(c.kind == RECORDING for c in self._cameras)

    def take(self, timeout_s: float) -> List[Frame]:
        """The newest frame of each camera that has one.

        Waits until at least one is there and, so that synchronised recordings stay so frame by
        frame, until every recording that is well has one. Never waits for a camera.

        Returns:
            Frames in the cameras' order: views of ring buffers, borrowed until `release`. Nothing
            at time-out, or as soon as all cameras are over.
        """
        end_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        with self._changed:
            while not self._complete():
                left_ns = end_ns - time.monotonic_ns()
                if left_ns <= 0 or self.ended:
                    return []
                self._changed.wait(min(left_ns, self._until_due_ns()) / 1e9)
            return [] if self._closed else [f for c in self._cameras for f in _take(c)]

    def release(self, frames: Sequence[Frame]) -> None:
        """Give their buffers back; a frame given back already is left alone."""
        for frame in frames:
            if isinstance(frame.slot, Lease):
                frame.slot.release()

    def states(self) -> List[CameraState]:
        """How each camera is."""
        return [c.state() for c in self._cameras]

    @property
    def failures(self) -> List[EdgeError]:
        """Why cameras failed for good, in the cameras' order."""
        return [c.error for c in self._cameras if c.error is not None]

    @property
    def ended(self) -> bool:
        """Whether all ended or failed for good and no frame is left to take."""
        return self._closed or all(c.over and not c.ring.has_frame for c in self._cameras)

    def close(self) -> None:
        """End all threads; frames not given back stay readable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        _end(self._cameras)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _awaited(self) -> List[Camera]:
        """Recordings that are well and still owe their next frame."""
        now_ns = time.monotonic_ns()
        return [
            c
            for c in self._cameras
            if c.waits_for_loop and not c.ring.has_frame and c.due_ns() > now_ns
        ]

    def _complete(self) -> bool:
        return any(c.ring.has_frame for c in self._cameras) and not self._awaited()

    def _until_due_ns(self) -> int:
        """Until the next stall, which lets the others go; a frame or an end wakes by itself."""
        now_ns = time.monotonic_ns()
        return min((c.due_ns() - now_ns for c in self._awaited()), default=1 << 62)


def _end(cameras: Sequence[Camera]) -> None:
    """End their threads, all at the same time."""
    for camera in cameras:
        camera.leave()
    end = time.monotonic() + CLOSE_S
    for camera in cameras:
        camera.join(max(0.0, end - time.monotonic()))


def _take(camera: Camera) -> List[Frame]:
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
        )
    ]
