"""The driver's buffers, exported as DMA-BUF and imported into the GPU.

For drivers that do not accept our memory. Each slot keeps its buffer, so the camera fills a buffer
again only after the loop has released its slot.
"""

from __future__ import annotations

import errno
import logging
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge.capture._memory import Imported
from edge.capture._ring import DMABUF, Ring, Slot
from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.buffers import Refused, queue_free_slots
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.format import PictureFormat
from edge.capture._v4l2.picture import rows_view
from edge.errors import EdgeError

log = logging.getLogger(__name__)
# The driver cannot export buffers, or not these.
_NO_EXPORT = (errno.EINVAL, errno.ENOTTY, errno.ENOMEM, errno.EOPNOTSUPP)


class DmabufBuffers:
    """Buffers whose frames stay in the driver's memory; the contract is `buffers.Buffers`.

    Args:
        io: the system calls.
        fd: the open camera.
        picture: the camera's format.
        shape: of a frame.
        ring: the slots, and the memory that imports into the GPU.
    """

    memory_type = raw.MMAP

    def __init__(
        self,
        io: Io,
        fd: int,
        picture: PictureFormat,
        shape: Tuple[int, ...],
        ring: Ring,
    ) -> None:
        self._ring = ring
        self._io, self._fd, self._picture, self._shape = io, fd, picture, shape
        self._mappings: List[Any] = []
        self._imports: List[Imported] = []
        self._indices: Dict[int, int] = {}  # by id of the slot
        self._queued: Dict[int, Slot] = {}  # in the driver, by index
        self._surplus: List[Slot] = []  # slots beyond the driver's number of buffers
        self._slots: Dict[int, Slot] = {}  # by index, wherever the slot is

    def prepare(self, ring: Ring) -> None:
        """Map, import and queue the driver's buffers.

        Raises:
            Refused: the driver does not export them, or the GPU does not accept them.
        """
        count = calls.request_buffers(self._io, self._fd, self.memory_type, ring.count)
        try:
            for index in range(count):
                self._import(index)
        except OSError as error:
            if error.errno in _NO_EXPORT:
                raise Refused(error.strerror or str(error)) from error
            raise
        except EdgeError as error:
            raise Refused(str(error)) from error
        self.queue_free(ring)

    def _import(self, index: int) -> None:
        buffer = calls.query_buffer(self._io, self._fd, index)
        self._mappings.append(self._io.mmap(self._fd, buffer.length, buffer.m.offset))
        export = calls.export_buffer(self._io, self._fd, index)
        try:
            self._imports.append(
                self._ring.memory.import_dmabuf(export, self._picture.stride, self._picture.rows)
            )
        finally:
            self._io.close(export)  # the import has its own reference to the buffer

    def queue_free(self, ring: Ring) -> bool:
        """Queue the buffer of every free slot; if the driver has none at all, wait for one."""
        return queue_free_slots(ring, self._queued, self._queue)

    def _queue(self, slot: Slot) -> None:
        index = self._indices.setdefault(id(slot), len(self._indices))
        if index >= len(self._imports):
            self._surplus.append(slot)
            return
        if slot.lent is not self._imports[index]:
            self._lend(slot, index)
        self._queued[index] = slot
        self.requeue(index)

    def _lend(self, slot: Slot, index: int) -> None:
        """Use a driver's buffer as the slot's memory."""
        # The view of the whole mapping keeps it from being closed.
        whole = np.frombuffer(self._mappings[index], np.uint8)
        image = rows_view(whole, self._picture, self._shape)
        slot.lend(image, self._imports[index], self._ring.memory)
        self._slots[index] = slot

    def requeue(self, index: int) -> None:
        """Queue the same buffer again."""
        calls.queue_mapped(self._io, self._fd, index)

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """The filled slot itself."""
        slot = self._queued.pop(index)
        slot.transfer, slot.copies = DMABUF, 0
        return slot

    def unmap(self) -> None:
        """End imports and mappings, but keep those of slots that the loop still holds."""
        self._surplus += self._ring.withdraw(list(self._slots.values()))
        for slot in [*self._queued.values(), *self._surplus]:
            slot.return_lent()
        for index, imported in enumerate(self._imports):
            owner = self._slots.get(index)
            if owner is None or owner.lent is not imported:
                imported.close()
        self._imports.clear()
        while self._mappings:
            mapping = self._mappings.pop()
            try:
                self._io.munmap(mapping)
            except BufferError:
                log.debug("a mapped buffer is still in use")

    def return_slots(self) -> None:
        """Return the slots to the ring."""
        for slot in [*self._queued.values(), *self._surplus]:
            self._ring.cancel(slot)
        self._queued.clear()
        self._surplus.clear()
