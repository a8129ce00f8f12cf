"""The memory a camera fills: the driver's own, mapped, or the ring's.

Both kinds follow one protocol: `prepare` before the stream starts, `feed` before each wait, then
for each filled buffer either `requeue` it or `deliver` it as a slot; at the end `unmap`, `drop`.
"""

from __future__ import annotations

import errno
import logging
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Tuple

import numpy as np

from edge.capture._ring import MMAP, USERPTR, Ring, Slot
from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.format import Picture
from edge.capture._v4l2.picture import Convert, look

log = logging.getLogger(__name__)

_MAPPED = 4  # buffers: one being filled, one waiting, one being converted, one to spare


class Refused(Exception):
    """The driver does not take memory of ours."""


class Garbage(Exception):
    """The bytes of a frame are no picture."""


class Buffers(Protocol):
    """Where frames arrive."""

    memory: int  # the kernel's number of the kind

    def prepare(self, ring: Ring) -> None:
        """Ask the driver for buffers and hand them over."""

    def feed(self, ring: Ring) -> bool:
        """Hand over what came free; False when the driver has nothing to fill."""

    def requeue(self, index: int) -> None:
        """Have a buffer filled anew: its frame is not wanted."""

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """A filled buffer as a slot, None when the ring has none free.

        Raises:
            Garbage: there is no picture in it.
        """

    def unmap(self) -> None:
        """Let go of the driver's memory; the stream is off."""

    def drop(self) -> None:
        """Take our own memory back; the driver has forgotten it."""


class Mapped:
    """Buffers of the driver; each frame is converted from there into a slot."""

    memory = raw.MMAP

    def __init__(self, io: Io, fd: int, convert: Convert) -> None:
        self._io, self._fd, self._convert = io, fd, convert
        self._maps: List[Any] = []
        self._views: List[np.ndarray] = []

    def prepare(self, ring: Ring) -> None:
        """Map the driver's buffers and hand them over."""
        count = calls.request_buffers(self._io, self._fd, self.memory, _MAPPED)
        if count == 0:
            raise OSError(errno.ENOMEM, "no buffers")
        for index in range(count):
            buffer = calls.query_buffer(self._io, self._fd, index)
            self._maps.append(self._io.mmap(self._fd, buffer.length, buffer.m.offset))
            self._views.append(np.frombuffer(self._maps[-1], np.uint8))
            self.requeue(index)

    def feed(self, ring: Ring) -> bool:
        """Nothing to do: every buffer goes back as soon as it is converted."""
        return True

    def requeue(self, index: int) -> None:
        """Have it filled anew."""
        calls.queue_mapped(self._io, self._fd, index)

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """Convert into a free slot; the buffer goes back to the driver at once."""
        slot = ring.acquire()
        if slot is None:
            self.requeue(index)
            return None
        whole = False
        try:
            good = self._convert.into(slot, ring.memory, self._views[index][:used_bytes])
            self.requeue(index)
            whole = good
        finally:
            if not whole:
                ring.cancel(slot)
        if not whole:
            raise Garbage
        slot.transfer, slot.copies = MMAP, 1
        return slot

    def drop(self) -> None:
        """Nothing of ours was lent."""

    def unmap(self) -> None:
        """Unmap; our views must go first, or they would keep the mapping alive."""
        self._views.clear()
        while self._maps:
            mapping = self._maps.pop()
            try:
                self._io.munmap(mapping)
            except BufferError:
                # The traceback of an error that somebody keeps looks into it; it is unmapped by
                # the garbage collector together with that.
                log.debug("a mapped buffer is still in use")


def feed_free(ring: Ring, given: Mapping[int, Slot], give: Callable[[Slot], None]) -> bool:
    """Give every free slot; when the driver has none at all, wait for one.

    Args:
        ring: whose slots.
        given: what the driver has; `give` adds to it.
        give: hands one over.

    Returns:
        Whether the driver has any.
    """
    slot = ring.acquire_free()
    while slot is not None:
        give(slot)
        slot = ring.acquire_free()
    if not given:
        slot = ring.acquire()
        if slot is not None:
            give(slot)
    return bool(given)


class Lent:
    """The ring's own slots: the camera fills the very memory the loop reads."""

    memory = raw.USERPTR

    def __init__(
        self, io: Io, fd: int, picture: Picture, shape: Tuple[int, ...], ring: Ring
    ) -> None:
        self._io, self._fd, self._ring = io, fd, ring
        self._picture, self._shape = picture, shape
        self._spare: List[Slot] = []  # more than the driver has indices for
        self._given: Dict[int, Slot] = {}  # by index: in the driver's hands
        self._indices: Dict[int, int] = {}  # of a slot, for ever: a new place costs a new pinning
        self._places: Dict[int, np.ndarray] = {}  # by index, the memory behind the slot's image
        self._count = 0

    def prepare(self, ring: Ring) -> None:
        """Hand over the free slots.

        Raises:
            Refused: the driver does not take them.
        """
        try:
            self._count = calls.request_buffers(self._io, self._fd, self.memory, ring.count)
            self.feed(ring)
        except OSError as error:
            # EINVAL: no such kind, or not this memory; EFAULT, ENOMEM: it cannot be pinned.
            if error.errno in (errno.EINVAL, errno.EFAULT, errno.ENOMEM):
                raise Refused(error.strerror or str(error)) from error
            raise

    def feed(self, ring: Ring) -> bool:
        """Hand over every free slot; when the driver has none at all, wait for one."""
        return feed_free(ring, self._given, self._give)

    def requeue(self, index: int) -> None:
        """Have the same slot filled anew."""
        place = self._places[index]
        calls.queue_user(self._io, self._fd, index, place.ctypes.data, place.nbytes)

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """The slot as it is."""
        slot = self._given.pop(index)
        slot.transfer, slot.copies = USERPTR, 0
        return slot

    def unmap(self) -> None:
        """Nothing was mapped."""

    def drop(self) -> None:
        """Give the slots back to the ring."""
        for slot in [*self._given.values(), *self._spare]:
            self._ring.cancel(slot)
        self._given.clear()
        self._spare.clear()

    def _give(self, slot: Slot) -> None:
        index = self._indices.setdefault(id(slot), len(self._indices))
        if index >= self._count:
            self._spare.append(slot)
            return
        self._given[index] = slot
        if index not in self._places:
            self._places[index] = self._place(slot)
        self.requeue(index)

    def _place(self, slot: Slot) -> np.ndarray:
        """The slot's memory; more than the frame's own only when the driver wants more."""
        picture, frame_bytes = self._picture, int(np.prod(self._shape))
        tight = picture.stride * picture.rows == frame_bytes >= picture.size_bytes
        if tight and slot.image.flags.c_contiguous:
            return slot.shape_to(self._shape, self._ring.memory)
        room = self._ring.memory.allocate((max(picture.size_bytes, frame_bytes),))
        slot.image = look(room, picture, self._shape)
        slot.device_ptr = self._ring.memory.device_ptr(room)
        return room
