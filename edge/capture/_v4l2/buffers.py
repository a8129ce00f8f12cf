"""The buffers that a camera fills: the driver's, mapped, or the slots of the ring.

`Buffers` is the protocol of all kinds: `prepare` before the stream starts, `queue_free` before
each wait, for each filled buffer `requeue` or `deliver`, and at the end `unmap`, `return_slots`.
"""

from __future__ import annotations

import errno
import logging
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Tuple

import numpy as np

from edge.capture._ring import MMAP, USERPTR, Ring, Slot
from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.format import PictureFormat
from edge.capture._v4l2.picture import Converter, rows_view

log = logging.getLogger(__name__)

_MAPPED = 4  # buffers: one being filled, one waiting, one being converted, one in reserve


class Refused(Exception):
    """The driver or the GPU does not accept this kind of buffers."""


class DamagedFrame(Exception):
    """The bytes of a frame are no valid image."""


class Buffers(Protocol):
    """One kind of buffers that a camera fills."""

    memory_type: int  # the kernel's number of the memory type

    def prepare(self, ring: Ring) -> None:
        """Request buffers and queue them in the driver."""

    def queue_free(self, ring: Ring) -> bool:
        """Queue the buffers that became free; False if the driver has none to fill."""

    def requeue(self, index: int) -> None:
        """Queue a filled buffer again; its frame is dropped."""

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """A filled buffer as a slot; None if the ring has no free slot.

        Raises:
            DamagedFrame: its bytes are no valid image.
        """

    def unmap(self) -> None:
        """Unmap the driver's memory; call it after the stream has stopped."""

    def return_slots(self) -> None:
        """Return our slots to the ring; call it after the driver has freed its buffers."""


class MmapBuffers:
    """The driver's buffers, mapped; each frame is copied or converted into a slot."""

    memory_type = raw.MMAP

    def __init__(self, io: Io, fd: int, convert: Converter) -> None:
        self._io, self._fd, self._convert = io, fd, convert
        self._mappings: List[Any] = []
        self._views: List[np.ndarray] = []

    def prepare(self, ring: Ring) -> None:
        """Map the driver's buffers and queue them."""
        count = calls.request_buffers(self._io, self._fd, self.memory_type, _MAPPED)
        if count == 0:
            raise OSError(errno.ENOMEM, "no buffers")
        for index in range(count):
            buffer = calls.query_buffer(self._io, self._fd, index)
            self._mappings.append(self._io.mmap(self._fd, buffer.length, buffer.m.offset))
            self._views.append(np.frombuffer(self._mappings[-1], np.uint8))
            self.requeue(index)

    def queue_free(self, ring: Ring) -> bool:
        """Nothing to do: each buffer is queued again once its frame is converted."""
        return True

    def requeue(self, index: int) -> None:
        """Queue the buffer again."""
        calls.queue_mapped(self._io, self._fd, index)

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """Convert into a free slot and queue the buffer again."""
        slot = ring.acquire()
        if slot is None:
            self.requeue(index)
            return None
        whole = False
        try:
            good = self._convert.convert(slot, ring.memory, self._views[index][:used_bytes])
            self.requeue(index)
            whole = good
        finally:
            if not whole:
                ring.cancel(slot)
        if not whole:
            raise DamagedFrame
        slot.transfer, slot.copies = MMAP, 1
        return slot

    def return_slots(self) -> None:
        """Nothing to do: the driver had no slot of ours."""

    def unmap(self) -> None:
        """Unmap; our views are deleted first, because a view keeps its mapping alive."""
        self._views.clear()
        while self._mappings:
            mapping = self._mappings.pop()
            try:
                self._io.munmap(mapping)
            except BufferError:
                # The traceback of a stored exception has a view of it; the garbage collector unmaps
                # it together with the exception.
                log.debug("a mapped buffer is still in use")


def queue_free_slots(ring: Ring, queued: Mapping[int, Slot], queue: Callable[[Slot], None]) -> bool:
    """Queue every free slot in the driver; if the driver has none at all, wait for one.

    Args:
        ring: the slots' ring.
        queued: slots in the driver, by index; `queue` adds to it.
        queue: queues one slot.

    Returns:
        Whether the driver has at least one.
    """
    slot = ring.acquire_free()
    while slot is not None:
        queue(slot)
        slot = ring.acquire_free()
    if not queued:
        slot = ring.acquire()
        if slot is not None:
            queue(slot)
    return bool(queued)


class UserptrBuffers:
    """The ring's slots themselves (USERPTR): the camera writes the memory that the loop reads."""

    memory_type = raw.USERPTR

    def __init__(
        self, io: Io, fd: int, picture: PictureFormat, shape: Tuple[int, ...], ring: Ring
    ) -> None:
        self._io, self._fd, self._ring = io, fd, ring
        self._picture, self._shape = picture, shape
        self._surplus: List[Slot] = []  # slots beyond the driver's number of buffers
        self._queued: Dict[int, Slot] = {}  # in the driver, by index
        self._indices: Dict[
            int, int
        ] = {}  # by id of the slot, constant: new memory would be pinned again
        self._arrays: Dict[int, np.ndarray] = {}  # the memory behind the slot's image, by index
        self._count = 0

    def prepare(self, ring: Ring) -> None:
        """Queue the free slots.

        Raises:
            Refused: the driver does not accept them.
        """
        try:
            self._count = calls.request_buffers(self._io, self._fd, self.memory_type, ring.count)
            self.queue_free(ring)
        except OSError as error:
            # EINVAL: the type or this memory is not supported; EFAULT, ENOMEM: it cannot be pinned.
            if error.errno in (errno.EINVAL, errno.EFAULT, errno.ENOMEM):
                raise Refused(error.strerror or str(error)) from error
            raise

    def queue_free(self, ring: Ring) -> bool:
        """Queue every free slot; if the driver has none at all, wait for one."""
        return queue_free_slots(ring, self._queued, self._queue)

    def requeue(self, index: int) -> None:
        """Queue the same slot again."""
        place = self._arrays[index]
        calls.queue_user(self._io, self._fd, index, place.ctypes.data, place.nbytes)

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """The filled slot itself."""
        slot = self._queued.pop(index)
        slot.transfer, slot.copies = USERPTR, 0
        return slot

    def unmap(self) -> None:
        """Nothing to do: nothing was mapped."""

    def return_slots(self) -> None:
        """Return the slots to the ring."""
        for slot in [*self._queued.values(), *self._surplus]:
            self._ring.cancel(slot)
        self._queued.clear()
        self._surplus.clear()

    def _queue(self, slot: Slot) -> None:
        index = self._indices.setdefault(id(slot), len(self._indices))
        if index >= self._count:
            self._surplus.append(slot)
            return
        self._queued[index] = slot
        if index not in self._arrays:
            self._arrays[index] = self._array_of(slot)
        self.requeue(index)

    def _array_of(self, slot: Slot) -> np.ndarray:
        """The slot's memory; larger than the frame only if the driver needs more."""
        picture, frame_bytes = self._picture, int(np.prod(self._shape))
        tight = picture.stride * picture.rows == frame_bytes >= picture.size_bytes
        if tight and slot.image.flags.c_contiguous:
            return slot.shape_to(self._shape, self._ring.memory)
        room = self._ring.memory.allocate((max(picture.size_bytes, frame_bytes),))
        slot.image = rows_view(room, picture, self._shape)
        slot.device_ptr = self._ring.memory.device_ptr(room)
        return room
