"""The driver's own buffers, read by the GPU where they are: EXPBUF, then an import of the DMA-BUF.

For drivers that do not take memory of ours. Slot and buffer belong together for ever, so the camera
fills a buffer again only after the loop has given its slot back.
"""

from __future__ import annotations

import errno
import logging
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge.capture._memory import Imported
from edge.capture._ring import DMABUF, Ring, Slot
from edge.capture._v4l2 import calls, raw
from edge.capture._v4l2.buffers import Refused, feed_free
from edge.capture._v4l2.calls import Io
from edge.capture._v4l2.format import Picture
from edge.capture._v4l2.picture import look
from edge.errors import EdgeError

log = logging.getLogger(__name__)
# The driver has no such request, or not for this memory.
_NO_EXPORT = (errno.EINVAL, errno.ENOTTY, errno.ENOMEM, errno.EOPNOTSUPP)


class Exported:
    """Frames stay in the driver's memory; the contract is `_v4l2_buffers.Buffers`.

    Args:
        io: the way to the kernel.
        fd: the open camera.
        picture: what it gives.
        shape: of a frame.
        ring: whose slots go round.
    """

    memory = raw.MMAP

    def __init__(
        self,
        io: Io,
        fd: int,
        picture: Picture,
        shape: Tuple[int, ...],
        ring: Ring,
    ) -> None:
        self._ring = ring
        self._io, self._fd, self._picture, self._shape = io, fd, picture, shape
        self._maps: List[Any] = []
        self._imports: List[Imported] = []
        self._indices: Dict[int, int] = {}  # of a slot
        self._given: Dict[int, Slot] = {}  # by index: in the driver's hands
        self._spare: List[Slot] = []  # more than the driver has buffers
        self._slots: Dict[int, Slot] = {}  # by index, wherever they are

    def prepare(self, ring: Ring) -> None:
        """Map and import the driver's buffers, then hand them over.

        Raises:
            Refused: the driver does not export them, or the GPU does not take them.
        """
        count = calls.request_buffers(self._io, self._fd, self.memory, ring.count)
        try:
            for index in range(count):
                self._import(index)
        except OSError as error:
            if error.errno in _NO_EXPORT:
                raise Refused(error.strerror or str(error)) from error
            raise
        except EdgeError as error:
            raise Refused(str(error)) from error
        self.feed(ring)

    def _import(self, index: int) -> None:
        buffer = calls.query_buffer(self._io, self._fd, index)
        self._maps.append(self._io.mmap(self._fd, buffer.length, buffer.m.offset))
        export = calls.export_buffer(self._io, self._fd, index)
        try:
            self._imports.append(
                self._ring.memory.import_dmabuf(export, self._picture.stride, self._picture.rows)
            )
        finally:
            self._io.close(export)  # an import holds the buffer by itself

    def feed(self, ring: Ring) -> bool:
        """Hand over every free slot's buffer; when the driver has none at all, wait for one."""
        return feed_free(ring, self._given, self._give)

    def _give(self, slot: Slot) -> None:
        index = self._indices.setdefault(id(slot), len(self._indices))
        if index >= len(self._imports):
            self._spare.append(slot)
            return
        if slot.lent is not self._imports[index]:
            self._lend(slot, index)
        self._given[index] = slot
        self.requeue(index)

    def _lend(self, slot: Slot, index: int) -> None:
        """Make a driver's buffer the slot's memory."""
        # Through an array of the whole: that one keeps the mapping from being closed.
        whole = np.frombuffer(self._maps[index], np.uint8)
        image = look(whole, self._picture, self._shape)
        slot.lend(image, self._imports[index], self._ring.memory)
        self._slots[index] = slot

    def requeue(self, index: int) -> None:
        """Have the same buffer filled anew."""
        calls.queue_mapped(self._io, self._fd, index)

    def deliver(self, ring: Ring, index: int, used_bytes: int) -> Optional[Slot]:
        """The slot as it is."""
        slot = self._given.pop(index)
        slot.transfer, slot.copies = DMABUF, 0
        return slot

    def unmap(self) -> None:
        """Let go of imports and mappings; a slot that the loop still holds keeps its own."""
        self._spare += self._ring.withdraw(list(self._slots.values()))
        for slot in [*self._given.values(), *self._spare]:
            slot.return_lent()
        for index, imported in enumerate(self._imports):
            slot_there = self._slots.get(index)
            if slot_there is None or slot_there.lent is not imported:
                imported.close()
        self._imports.clear()
        while self._maps:
            mapping = self._maps.pop()
            try:
                self._io.munmap(mapping)
            except BufferError:
                log.debug("a mapped buffer is still in use")

    def drop(self) -> None:
        """Give the slots back to the ring."""
        for slot in [*self._given.values(), *self._spare]:
            self._ring.cancel(slot)
        self._given.clear()
        self._spare.clear()
