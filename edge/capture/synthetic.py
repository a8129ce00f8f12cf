"""People without a camera: synthetic://walk?people=3&width=640&height=480&fps=30&seed=1.

The path names motions, with commas: walk run jog stand wave reach squat crouch sit jump fall lie;
they are dealt out to the people in turn (`motion=` does the same). `clip=FILE` plays motion
capture instead: .bvh, or joint angles in DeepMimic's format. Options:

- people, seed; view 0..3: four cameras around the same people, in step as long as one is open;
  camera=DISTANCE,HEIGHT,ANGLE in m, m, degrees; event_s: when the first person falls; markers=1
  draws the keypoints.
- rate=native (default) runs at fps and drops what the loop is too slow for, like a camera;
  rate=max gives every frame as fast as it is taken. frames=N ends it.
- Faults, at frames counted from the opening: stall_at with stall_s, garbage_at (one frame of
  noise), resize_at (three quarters of the size from there on), fail_at.

`Synthetic.ground_truth` gives the exact keypoints of each frame; `Scene` does without any picture.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Optional

import cv2
import numpy as np

from edge.capture._ring import DRAWN, Ring, Slot
from edge.capture._source import (
    CAMERA,
    PLAYBACK,
    RECORDING,
    Address,
    CaptureOptions,
    EndOfStream,
)
from edge.capture._synthetic.address import NEVER, Order, read
from edge.capture._synthetic.draw import Canvas
from edge.capture._synthetic.scene import SKELETON, Scene, Setup
from edge.errors import ConfigError, TempError
from edge.structures import Poses

__all__ = ["Scene", "Setup", "Synthetic", "kind", "open_source"]


def kind(address: Address) -> str:
    """RECORDING at rate=max; else CAMERA, or PLAYBACK if it has an end.

    Raises:
        ConfigError: an option. NoInputError, DataError: the clip.
    """
    order = read(address)
    if not order.native:
        return RECORDING
    return PLAYBACK if order.frames else CAMERA


def open_source(address: Address, options: CaptureOptions) -> Synthetic:
    """Open a scene.

    Raises:
        ConfigError: an option. NoInputError, DataError: the clip.
    """
    order = read(address)
    if order.width * order.height > options.max_megapixels * 1e6:
        raise ConfigError(
            f"{address.uri}: {order.width}x{order.height} is more than capture.max_megapixels = "
            f"{options.max_megapixels:g}"
        )
    return Synthetic(order, options)


class _Clock:
    """When a scene began. All its open cameras share one, so that they show the same instant."""

    def __init__(self) -> None:
        self.start_ns = time.monotonic_ns()


_clocks: weakref.WeakValueDictionary[Setup, _Clock] = weakref.WeakValueDictionary()
_clocks_lock = threading.Lock()


def _clock(setup: Setup) -> _Clock:
    with _clocks_lock:
        clock = _clocks.get(setup)
        if clock is None:
            clock = _clocks[setup] = _Clock()
        return clock


class Synthetic:
    """One camera's view of a scene, as frames.

    Args:
        order: what the address says.
        options: the time-out counts for a stall.
    """

    def __init__(self, order: Order, options: CaptureOptions) -> None:
        self.live = order.native
        self._order, self._options = order, options
        self._period_ns = 1e9 / order.setup.rate_hz
        self._index = -1  # of the last frame, counted from the opening
        self._stalled = False
        self._closed = threading.Event()
        sizes = [(order.width, order.height), order.resized]
        count = 2 if order.faults.resize_at != NEVER else 1
        self._canvases = [
            Canvas(Scene(order.setup, *s, order.view), order.markers) for s in sizes[:count]
        ]
        self._clock: Optional[_Clock] = _clock(order.setup)
        self._start_ns = self._clock.start_ns
        # Who comes later sees the scene as the others see it by then.
        self._first = self._elapsed() if self.live else 0

    def scene(self, index: int) -> Scene:
        """The scene as the frame of that index has it; another one after `resize_at`."""
        return self._canvas(index).scene

    def ground_truth(self, index: int, skeleton: str = SKELETON) -> Poses:
        """Exact people of the frame with that index, see `Scene.poses`."""
        return self.scene(index).poses(self._first + index, skeleton)

    def read(self, ring: Ring) -> Optional[Slot]:
        """Draw the next frame into a slot; None when the ring gave none, or once it is closed.

        Raises:
            EndOfStream: after `frames`. TempError: `fail_at`, or a stall beyond the time-out.
        """
        index = self._wait_for_next(ring) if self.live else self._index + 1
        if self._order.frames and index >= self._order.frames:
            raise EndOfStream
        if self._closed.is_set() or not self._faults(index):
            return None
        slot = ring.acquire()
        if slot is not None:
            self._fill(slot, index, ring)
            self._index = index
        return slot

    def close(self) -> None:
        """End a read that waits."""
        self._closed.set()
        self._clock = None

    def _elapsed(self) -> int:
        return int((time.monotonic_ns() - self._start_ns) / self._period_ns)

    def _due_ns(self, index: int) -> int:
        return self._start_ns + round((self._first + index) * self._period_ns)

    def _wait_for_next(self, ring: Ring) -> int:
        """Sleep until the next frame is due; late frames but the newest are lost."""
        index = max(self._index + 1, self._elapsed() - self._first)
        with ring.rest():
            while not self._closed.is_set():
                left_s = (self._due_ns(index) - time.monotonic_ns()) / 1e9
                if left_s <= 0:
                    break
                self._closed.wait(left_s)
        return index

    def _happens(self, at: int, index: int) -> bool:
        return at != NEVER and self._index < at <= index

    def _faults(self, index: int) -> bool:
        """Whether to go on; a frame that was lost does not save from its fault."""
        faults, timeout_s = self._order.faults, self._options.timeout_s
        if self._happens(faults.fail_at, index):
            raise TempError(f"{self._order.uri}: fails at frame {faults.fail_at}, as told")
        if self._stalled or not self._happens(faults.stall_at, index):
            return True
        self._stalled = True
        self._closed.wait(min(faults.stall_s, timeout_s))
        if faults.stall_s > timeout_s and not self._closed.is_set():
            raise TempError(f"{self._order.uri}: no frame for {timeout_s:g} s")
        return not (self.live or self._closed.is_set())  # a camera's frame is stale by now

    def _canvas(self, index: int) -> Canvas:
        resize_at = self._order.faults.resize_at
        return self._canvases[-1 if resize_at != NEVER and index >= resize_at else 0]

    def _fill(self, slot: Slot, index: int, ring: Ring) -> None:
        canvas, done = self._canvas(index), False
        try:
            image = slot.shape_to(canvas.shape, ring.memory)
            if self._happens(self._order.faults.garbage_at, index):
                _noise(image)
            else:
                canvas.draw(self._first + index, image)
            done = True
        finally:
            if not done:
                ring.cancel(slot)
        slot.index, slot.layout, slot.transfer = index, "bgr", DRAWN
        slot.t_ns, slot.arrival_ns = self._due_ns(index), time.monotonic_ns()


def _noise(image: np.ndarray) -> None:
    cv2.randu(image, np.zeros(3), np.full(3, 256.0))
