"""A ring of frame buffers between the reading thread of one camera and the loop.

A slot is free, being filled, ready (the newest complete frame) or held by the loop. The ring
allocates only at the first frame of each size, and copies no frame.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from edge.capture._memory import FrameMemory, Imported, PlainMemory
from edge.view import View

# How a frame came into its slot, for metrics and `edge doctor`.
DECODED = "decoded"  # by software, into the ring's memory
DRAWN = "drawn"
USERPTR = "userptr"  # the camera writes into the ring's memory: no copy
DMABUF = "dmabuf"  # the GPU reads the driver's buffer: no copy
MMAP = "mmap"  # copied or converted once from the driver's buffer

SLICE_S = 0.2  # longest single wait for a driver, so that close() takes effect soon
_LATE_NS = 10_000_000_000  # an older driver time stamp comes from another clock


def taken_ns(stamp_ns: int, arrival_ns: int) -> int:
    """When a frame was taken: the driver's stamp if it fits the monotonic clock, else arrival."""
    return stamp_ns if arrival_ns - _LATE_NS < stamp_ns <= arrival_ns else arrival_ns


def _nothing() -> None:
    """Memory that the CPU and the GPU share needs nothing after a write."""


class Slot:
    """One buffer, and index, time and layout of the frame in it."""

    def __init__(self) -> None:
        self.image: np.ndarray = np.empty((0, 0, 3), np.uint8)
        self.t_ns = 0  # monotonic, at capture
        self.arrival_ns = 0  # monotonic, when the buffer was full
        self.index = 0  # number of the frame, dropped frames included
        self.layout = "bgr"
        self.still = False  # a picture for itself; see Frame
        self.aspect = 1.0  # width over height of a pixel
        self.view: Optional[View] = None  # see Frame; the reading thread sets it
        self.device_ptr = 0  # the GPU's address of the same bytes; 0 = a GPU cannot read them
        self.transfer = DECODED  # how the frame came here
        self.copies = 0  # whole-frame copies by the CPU on the way here
        self.lent: Optional[Imported] = None  # set while `image` is a driver's buffer
        self.written = _nothing  # call it after the CPU has changed `image`

    def shape_to(self, shape: Tuple[int, ...], memory: FrameMemory) -> np.ndarray:
        """The buffer as an array of this shape; allocated only if the shape changed."""
        self.return_lent()
        if self.image.shape != shape:
            self._free(memory)
            self.image = memory.allocate(shape)
            self.device_ptr = memory.device_ptr(self.image)
        return self.image

    def lend(
        self,
        image: np.ndarray,
        lent: Imported,
        memory: FrameMemory,
        written: Callable[[], None] = _nothing,
    ) -> None:
        """Use a driver's buffer as the image; the slot's own memory is freed.

        Args:
            image: the buffer as the CPU sees it.
            lent: the buffer as the GPU sees it.
            memory: of the ring.
            written: makes what the CPU has written to the image visible to the GPU.
        """
        self.return_lent()
        self._free(memory)
        self.image, self.lent, self.device_ptr = image, lent, lent.pointer
        self.written = written

    def return_lent(self) -> None:
        """Return a driver's buffer; nobody may read the frame afterwards."""
        lent, self.lent = self.lent, None
        if lent is not None:
            self.image, self.device_ptr = np.empty((0, 0, 3), np.uint8), 0
            self.written = _nothing
            lent.close()

    def _free(self, memory: FrameMemory) -> None:
        if self.image.size:
            memory.free(self.image)


class Ring:
    """The slots of one camera.

    One thread fills slots (`acquire`, then `publish` or `cancel`), another takes them (`take`,
    then `release`). A live source never waits: without a free slot it overwrites the ready frame,
    and the index shows the gap. A recording waits until the loop has taken the ready frame.

    Args:
        count: how many slots.
        live: whether the source drops frames instead of waiting.
        memory: holds the frames; None = plain memory.
        on_frame: called after each published frame, by the filling thread.
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
        self.transfer = ""  # of the last frame
        self.host_copies = 0  # whole-frame copies by the CPU so far
        self.resting = False  # the filling thread waits on purpose: this is no stall
        self.rested_ns = 0  # monotonic, end of the last such wait
        self._on_frame = on_frame
        self._free: List[Slot] = [Slot() for _ in range(count)]
        self._ready: Optional[Slot] = None
        self._closed = False
        self.changed = threading.Condition()

    def acquire(self, timeout_s: float = 0.5) -> Optional[Slot]:
        """A slot to fill; None if none became free in time or the ring is closed."""
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
        """A free slot, or None; does not wait and never overwrites the ready frame.

        For drivers that are given several buffers to fill in advance.
        """
        with self.changed:
            return self._free.pop() if self._free and not self._closed else None

    def withdraw(self, slots: Sequence[Slot]) -> List[Slot]:
        """Take those of the slots that are free, until `cancel`; also from a closed ring."""
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
        """Mark a wait for the loop or for a frame's due time: it is no stall."""
        self.resting = True
        try:
            yield
        finally:
            self.rested_ns = time.monotonic_ns()
            self.resting = False

    def cancel(self, slot: Slot) -> None:
        """Return a slot that was not filled."""
        with self.changed:
            self._free.append(slot)
            self.changed.notify_all()

    def publish(self, slot: Slot) -> None:
        """Make a filled slot the newest frame; an earlier one that was not taken is dropped."""
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
        """The newest frame, or None; the caller holds it until `release`."""
        with self.changed:
            slot, self._ready = self._ready, None
            if slot:
                self.changed.notify_all()
            return slot

    def release(self, slot: Slot) -> None:
        """Return a taken frame."""
        self.cancel(slot)

    def renew(self) -> None:
        """Replace the free slots, because a thread that hangs in a driver may write to them."""
        with self.changed:
            self._free = [Slot() for _ in range(self.count - 1)]
            self.changed.notify_all()

    @property
    def has_frame(self) -> bool:
        """Whether `take` would return a frame."""
        return self._ready is not None

    def close(self) -> None:
        """Wake all waiting threads; no slot can be acquired any more."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
