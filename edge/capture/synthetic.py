"""Drawn people without a camera: synthetic://walk?people=3&width=640&height=480&fps=30&seed=1.

The path is a comma-separated list of motions, assigned to the people in turn (`motion=` does the
same): walk run jog stand wave reach squat crouch sit jump fall lie. `clip=FILE` plays motion
capture instead: .bvh, or joint angles in DeepMimic's format. Options:

- people: how many; seed: other people for each seed; markers=1: draw the keypoints.
- view=0..3: one of four cameras around the same people, synchronised while one of them is open.
- camera=DISTANCE,HEIGHT,ANGLE in m, m, degrees; event_s: when the first person falls.
- rate=native (default) runs at fps and drops late frames, like a camera; rate=max waits for the
  loop and gives every frame. frames=N ends it after N frames.
- Faults at a frame number counted from the opening: stall_at with stall_s, garbage_at (one frame
  of noise), resize_at (three quarters of the size from this frame on), fail_at.

`Synthetic.ground_truth` gives the exact keypoints of each frame; `Scene` gives them without images.
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
from edge.capture._synthetic.address import NEVER, SyntheticRequest, read_request
from edge.capture._synthetic.draw import Canvas
from edge.capture._synthetic.scene import SKELETON, Scene, Setup
from edge.errors import ConfigError, TempError
from edge.structures import Poses

__all__ = ["Scene", "Setup", "Synthetic", "kind", "open_source"]


def kind(address: Address) -> str:
    """RECORDING at rate=max, else PLAYBACK with frames=N, else CAMERA.

    Raises:
        ConfigError: a wrong option. NoInputError, DataError: the clip cannot be read.
    """
    request = read_request(address)
    if not request.native:
        return RECORDING
    return PLAYBACK if request.frames else CAMERA


def open_source(address: Address, options: CaptureOptions) -> Synthetic:
    """Open a scene.

    Raises:
        ConfigError: a wrong option. NoInputError, DataError: the clip cannot be read.
    """
    request = read_request(address)
    if request.width * request.height > options.max_megapixels * 1e6:
        raise ConfigError(
            f"{address.uri}: {request.width}x{request.height} is more than "
            f"capture.max_megapixels = {options.max_megapixels:g}"
        )
    return Synthetic(request, options)


class _Clock:
    """The start of a scene. Its open cameras share one clock, so that they show the same time."""

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
        request: the options of the address.
        options: its time-out limits a stall.
    """

    def __init__(self, request: SyntheticRequest, options: CaptureOptions) -> None:
        self.live = request.native
        self._request, self._options = request, options
        self._period_ns = 1e9 / request.setup.rate_hz
        self._index = -1  # of the last frame since the opening
        self._stalled = False
        self._closed = threading.Event()
        sizes = [(request.width, request.height), request.resized]
        count = 2 if request.faults.resize_at != NEVER else 1
        self._canvases = [
            Canvas(Scene(request.setup, *s, request.view), request.markers) for s in sizes[:count]
        ]
        self._clock: Optional[_Clock] = _clock(request.setup)
        self._start_ns = self._clock.start_ns
        # A camera that is opened later starts at the current time of the scene.
        self._first = self._elapsed() if self.live else 0

    def scene(self, index: int) -> Scene:
        """The scene of the frame `index`; from `resize_at` on, the one of the other size."""
        return self._canvas(index).scene

    def ground_truth(self, index: int, skeleton: str = SKELETON) -> Poses:
        """The exact poses in the frame `index`, see `Scene.poses`."""
        return self.scene(index).poses(self._first + index, skeleton)

    def read(self, ring: Ring) -> Optional[Slot]:
        """Draw the next frame into a slot; None if no slot is free, and after `close`.

        Raises:
            EndOfStream: after `frames` frames.
            TempError: at `fail_at`, or at a stall longer than the time-out.
        """
        index = self._wait_for_next(ring) if self.live else self._index + 1
        if self._request.frames and index >= self._request.frames:
            raise EndOfStream
        if self._closed.is_set() or not self._faults(index):
            return None
        slot = ring.acquire()
        if slot is not None:
            self._fill(slot, index, ring)
            self._index = index
        return slot

    def close(self) -> None:
        """End a waiting read, and leave the scene's clock."""
        self._closed.set()
        self._clock = None

    def _elapsed(self) -> int:
        return int((time.monotonic_ns() - self._start_ns) / self._period_ns)

    def _due_ns(self, index: int) -> int:
        return self._start_ns + round((self._first + index) * self._period_ns)

    def _wait_for_next(self, ring: Ring) -> int:
        """Wait until the next frame is due; of late frames, only the newest is given."""
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
        """Apply the faults up to this frame, also those of lost frames; False = give no frame."""
        faults, timeout_s = self._request.faults, self._options.timeout_s
        if self._happens(faults.fail_at, index):
            raise TempError(f"{self._request.uri}: fails at frame {faults.fail_at}, as requested")
        if self._stalled or not self._happens(faults.stall_at, index):
            return True
        self._stalled = True
        self._closed.wait(min(faults.stall_s, timeout_s))
        if faults.stall_s > timeout_s and not self._closed.is_set():
            raise TempError(f"{self._request.uri}: no frame for {timeout_s:g} s")
        return not (self.live or self._closed.is_set())  # a camera's frame is too old by now

    def _canvas(self, index: int) -> Canvas:
        resize_at = self._request.faults.resize_at
        return self._canvases[-1 if resize_at != NEVER and index >= resize_at else 0]

    def _fill(self, slot: Slot, index: int, ring: Ring) -> None:
        canvas, done = self._canvas(index), False
        try:
            image = slot.shape_to(canvas.shape, ring.memory)
            if self._happens(self._request.faults.garbage_at, index):
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
