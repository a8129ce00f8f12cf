"""A few frame buffers that go round between a camera's thread and the loop.

A slot is free, being filled, ready (the newest whole frame) or held by the loop. Nothing is
allocated after the first frame of a size, and nothing is ever copied.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from edge.capture._memory import FrameMemory, Imported, PlainMemory

# How a frame came into its slot, for metrics and `edge doctor`.
DECODED = "decoded"  # by software, into the ring's memory
DRAWN = "drawn"
USERPTR = "userptr"  # the camera writes into the ring's memory: no copy
DMABUF = "dmabuf"  # the GPU reads the driver's buffer: no copy
MMAP = "mmap"  # copied or converted once from the driver's buffer

SLICE_S = 0.2  # waits for a driver are cut into these, so that close() is heard
_LATE_NS = 10_000_000_000  # a driver's time further back than this is of another clock


def taken_ns(told_ns: int, arrival_ns: int) -> int:
    """When a frame was taken: as its driver told, if that can be by our monotonic clock."""
    return told_ns if arrival_ns - _LATE_NS < told_ns <= arrival_ns else arrival_ns


class Slot:
    """One buffer and the time of what is in it."""

    def __init__(self) -> None:
        self.image: np.ndarray = np.empty((0, 0, 3), np.uint8)
        self.t_ns = 0  # monotonic, at capture
        self.arrival_ns = 0  # monotonic, when the buffer was full
        self.index = 0  # counts the frames of the source, dropped ones too
        self.layout = "bgr"
        self.device_ptr = 0  # the same bytes as the GPU sees them
        self.transfer = DECODED  # how the frame came here
        self.copies = 0  # times the CPU moved the whole frame to bring it here
        self.lent: Optional[Imported] = None  # the image is a driver's buffer, not the ring's

    def shape_to(self, shape: Tuple[int, ...], memory: FrameMemory) -> np.ndarray:
        """The buffer in this shape: the same memory unless the shape is new."""
        self.return_lent()
        if self.image.shape != shape:
            self._free(memory)
            self.image = memory.allocate(shape)
            self.device_ptr = memory.device_ptr(self.image)
        return self.image

    def lend(self, image: np.ndarray, lent: Imported, memory: FrameMemory) -> None:
        """Let a driver's buffer take the place of the slot's own memory, which is freed."""
        self.return_lent()
        self._free(memory)
        self.image, self.lent, self.device_ptr = image, lent, lent.pointer

    def return_lent(self) -> None:
        """Let go of a driver's buffer; nobody may look at the frame any more."""
        lent, self.lent = self.lent, None
        if lent is not None:
            self.image, self.device_ptr = np.empty((0, 0, 3), np.uint8), 0
            lent.close()

    def _free(self, memory: FrameMemory) -> None:
        if self.image.size:
            memory.free(self.image)


class Ring:
    """The slots of one camera.

    One thread fills (`acquire`, then `publish` or `cancel`), another takes (`take`, `release`).
    A live source never waits: when no slot is free the ready one is given up, and the gap shows in
    the index. A recording waits until the loop has taken the ready frame.
    """

    def __init__(
        self,
        count: int,
        live: bool,
        memory: Optional[FrameMemory] = None,
        on_frame: Callable[[], None] = lambda: None,
    ) -> None:
        self.live = live
        self.count = count
        self.memory: FrameMemory = memory or PlainMemory()
        self.dropped = 0
        self.transfer = ""  # how the last frame came here
        self.host_copies = 0  # of whole frames by the CPU, so far
        self.resting = False  # the filling thread waits on purpose: nobody should call it stalled
        self.rested_ns = 0  # monotonic, when it last did
        self._on_frame = on_frame
        self._free: List[Slot] = [Slot() for _ in range(count)]
        self._ready: Optional[Slot] = None
        self._closed = False
        self.changed = threading.Condition()

    def acquire(self, timeout_s: float = 0.5) -> Optional[Slot]:
        """A slot to fill, None when none came free in time or the ring is closed."""
        with self.changed:
            if not self._spare() and not self._closed:
                with self.rest():
                    self.changed.wait_for(lambda: self._closed or self._spare(), timeout_s)
            if self._closed or not self._spare():
                return None
            if self._free:
                return self._free.pop()
            slot, self._ready = self._ready, None
            self.dropped += 1
            return slot

    def acquire_free(self) -> Optional[Slot]:
        """A slot nobody uses, at once or None; never gives up the ready frame.

        For drivers that are handed several buffers to fill ahead of time.
        """
        with self.changed:
            return self._free.pop() if self._free and not self._closed else None

    def withdraw(self, slots: Sequence[Slot]) -> List[Slot]:
        """Those of some slots that nobody uses, taken out until `cancel`; of a closed ring, too."""
        with self.changed:
            free = [s for s in slots if s in self._free]
            for slot in free:
                self._free.remove(slot)
            return free

    def _spare(self) -> bool:
        if self.live:
            return bool(self._free) or self._ready is not None
        return bool(self._free) and self._ready is None

    @contextlib.contextmanager
    def rest(self) -> Iterator[None]:
        """Marks a wait that is no fault of the source: for the loop, or for a frame's due time."""
        self.resting = True
        try:
            yield
        finally:
            self.rested_ns = time.monotonic_ns()
            self.resting = False

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
            self.transfer = slot.transfer
            self.host_copies += slot.copies
            self.changed.notify_all()
        self._on_frame()

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

    def renew(self) -> None:
        """Fresh free slots in place of those that a thread hung in a driver may still write to."""
        with self.changed:
            self._free = [Slot() for _ in range(self.count - 1)]
            self.changed.notify_all()

    @property
    def has_frame(self) -> bool:
        """Whether `take` would give one."""
        return self._ready is not None

    def close(self) -> None:
        """Wake whoever waits; nothing more is acquired."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
