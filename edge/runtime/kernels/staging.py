"""Copies frames that the GPU cannot read in place into memory that it can read."""

from __future__ import annotations

import threading
import weakref
from typing import List, Optional, Sequence

import numpy as np

from edge.runtime._cuda.memory import PAIR, Buffer, Device, Stream
from edge.runtime._frames import staged
from edge.structures import Frame

_stagings: weakref.WeakKeyDictionary[Device, StagingMemory] = weakref.WeakKeyDictionary()


def staging_of(device: Device) -> StagingMemory:
    """The staging memory of a device; one for all its networks."""
    return _stagings.setdefault(device, StagingMemory(device))


class _Copy:
    """A buffer, and the frame that was copied into it."""

    def __init__(self, buffer: Buffer, frame: Frame) -> None:
        self.buffer = buffer
        self.frame: weakref.ReferenceType[Frame] = weakref.ref(frame)

    def free_for(self, nbytes: int) -> bool:
        """Whether the frame has left the loop, so that one of this size may be copied here."""
        return self.frame() is None and self.buffer.nbytes >= nbytes


class StagingMemory:
    """Copies of frames, shared by all networks of a device: a frame is copied once at most.

    A buffer is used again when its frame has left the loop. By then every network has read it,
    because each `run` waits for its stream. From any thread: the loop executes networks in two.

    Args:
        device: the GPU.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._copies: List[_Copy] = []
        self._lock = threading.Lock()
        self.copies = 0  # frames copied so far
        self.users = 0  # networks that use it; the last one closes it

    def pointers(self, frames: Sequence[Frame], stream: Stream) -> List[int]:
        """The GPU's address of each frame; rows have the same strides as in the image.

        Args:
            frames: those that the GPU cannot read are copied, if they are not copied yet.
            stream: copies are queued there.

        Raises:
            TempError: no GPU memory.
        """
        with self._lock:
            return [f.device_ptr or self._pointer(f, stream) for f in frames]

    def _pointer(self, frame: Frame, stream: Stream) -> int:
        known = next((c for c in self._copies if c.frame() is frame), None)
        return (known or self._copied(frame, stream)).buffer.pointer

    def _copied(self, frame: Frame, stream: Stream) -> _Copy:
        image = frame.image
        nbytes = image.strides[0] * (image.shape[0] - 1) + int(np.prod(image.shape[1:]))
        copy = self._free(frame, nbytes)
        there = copy.buffer.view((nbytes,), np.uint8)
        np.copyto(np.ndarray(image.shape, np.uint8, there.data, strides=image.strides), image)
        copy.buffer.upload(stream, nbytes)
        if copy.buffer.kind == PAIR:
            stream.synchronize()  # networks on other streams read it, too
        self.copies += 1
        staged[frame.camera] += 1
        return copy

    def _free(self, frame: Frame, nbytes: int) -> _Copy:
        found: Optional[_Copy] = next((c for c in self._copies if c.free_for(nbytes)), None)
        if found is None:
            found = _Copy(self._device.buffer(nbytes, what=f"frames of {frame.camera}"), frame)
            self._copies.append(found)
        found.frame = weakref.ref(frame)
        return found

    def close(self) -> None:
        """Free all buffers; may be called twice. No stream may still read them."""
        while self._copies:
            self._copies.pop().buffer.close()
