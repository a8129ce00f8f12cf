"""A few frame buffers that go round between a camera's thread and the loop.

A slot is free, being filled, ready (the newest whole frame) or held by the loop. Nothing is
allocated after the first frame of a size, and nothing is ever copied.
"""

from __future__ import annotations

import threading
from typing import Callable, List, Optional, Tuple

import numpy as np

Allocate = Callable[[Tuple[int, ...]], np.ndarray]


def aligned_bytes(shape: Tuple[int, ...]) -> np.ndarray:
    """Plain uint8 memory that begins on a page, as drivers want it."""
    size = int(np.prod(shape))
    raw = np.empty(size + 4096, np.uint8)
    start = -raw.ctypes.data % 4096
    return raw[start : start + size].reshape(shape)


class Slot:
    """One buffer and the time of what is in it."""

    def __init__(self) -> None:
        self.image: np.ndarray = np.empty((0, 0, 3), np.uint8)
        self.t_ns = 0  # monotonic, at capture
        self.arrival_ns = 0  # monotonic, when the buffer was full
        self.index = 0  # counts the frames of the source, dropped ones too
        self.layout = "bgr"
        self.device_ptr = 0

    def shape_to(self, shape: Tuple[int, ...], allocate: Allocate) -> np.ndarray:
        """The buffer in this shape: the same memory unless the shape is new."""
        if self.image.shape != shape:
            self.image = allocate(shape)
        return self.image


class Ring:
    """The slots of one camera.

    One thread fills (`acquire`, then `publish` or `cancel`), another takes (`take`, `release`).
    A live source never waits: when no slot is free the ready one is given up, and the gap shows in
    the index. A recording waits until the loop has taken the ready frame.
    """

    def __init__(self, count: int, live: bool, allocate: Allocate = aligned_bytes) -> None:
        self.live = live
        self.count = count
        self.allocate = allocate
        self.dropped = 0
        self._free: List[Slot] = [Slot() for _ in range(count)]
        self._ready: Optional[Slot] = None
        self._closed = False
        self.changed = threading.Condition()

    def acquire(self, timeout_s: float = 0.5) -> Optional[Slot]:
        """A slot to fill, None when none came free in time or the ring is closed."""
        with self.changed:
            if not self.live:
                self.changed.wait_for(lambda: self._closed or not self._ready, timeout_s)
                if self._closed or self._ready:
                    return None
            if not self._free and self.live and self._ready:
                self._free.append(self._ready)
                self._ready = None
                self.dropped += 1
            if not self._free:
                self.changed.wait_for(lambda: self._closed or bool(self._free), timeout_s)
            return self._free.pop() if self._free and not self._closed else None

    def acquire_free(self) -> Optional[Slot]:
        """A slot nobody uses, at once or None; never gives up the ready frame.

        For drivers that are handed several buffers to fill ahead of time.
        """
        with self.changed:
            return self._free.pop() if self._free and not self._closed else None

    def cancel(self, slot: Slot) -> None:
        """Give back a slot that was not filled."""
        with self.changed:
            self._free.append(slot)
            self.changed.notify_all()

    def publish(self, slot: Slot) -> None:
        """Make a filled slot the newest frame; the one before it, if untaken, is dropped."""
        with self.changed:
            if self._ready:
                self._free.append(self._ready)
                self.dropped += 1
            self._ready = slot
            self.changed.notify_all()

    def take(self) -> Optional[Slot]:
        """The newest frame if there is one that was not taken; hold it until `release`."""
        with self.changed:
            slot, self._ready = self._ready, None
            if slot:
                self.changed.notify_all()
            return slot

    def release(self, slot: Slot) -> None:
        """Give a taken frame back."""
        self.cancel(slot)

    @property
    def has_frame(self) -> bool:
        """Whether `take` would give one."""
        return self._ready is not None

    def close(self) -> None:
        """Wake whoever waits; nothing more is acquired."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
