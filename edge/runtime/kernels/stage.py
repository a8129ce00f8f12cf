"""Frames that the GPU cannot see, brought to memory that it can: the one copy that is left then."""

from __future__ import annotations

import threading
import weakref
from typing import List, Optional, Sequence

import numpy as np

from edge.runtime._cuda.memory import PAIR, Buffer, Device, Stream
from edge.runtime._frames import staged
from edge.structures import Frame

_stages: weakref.WeakKeyDictionary[Device, Stage] = weakref.WeakKeyDictionary()


def stage_of(device: Device) -> Stage:
    """The one of a device."""
    return _stages.setdefault(device, Stage(device))


class _Place:
    """A buffer and the frame in it."""

    def __init__(self, buffer: Buffer, frame: Frame) -> None:
        self.buffer = buffer
        self.frame: weakref.ReferenceType[Frame] = weakref.ref(frame)

    def free_for(self, nbytes: int) -> bool:
        """Whether the frame that is here has left the loop, and another of that size fits."""
        return self.frame() is None and self.buffer.nbytes >= nbytes


class Stage:
    """Memory shared by all networks of a device, so that each frame is copied once at most.

    A place is written again when its frame has left the loop: by then every network has run on it,
    since each `run` waits for its stream. From any thread: the loop's networks run in two.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._places: List[_Place] = []
        self._lock = threading.Lock()
        self.copies = 0  # frames copied so far
        self.users = 0  # networks that hold it; the last one closes it

    def pointers(self, frames: Sequence[Frame], stream: Stream) -> List[int]:
        """Where the GPU finds the bytes of each frame, rows as far apart as the image's."""
        with self._lock:
            return [f.device_ptr or self._pointer(f, stream) for f in frames]

    def _pointer(self, frame: Frame, stream: Stream) -> int:
        known = next((p for p in self._places if p.frame() is frame), None)
        return (known or self._bring(frame, stream)).buffer.pointer

    def _bring(self, frame: Frame, stream: Stream) -> _Place:
        image = frame.image
        nbytes = image.strides[0] * (image.shape[0] - 1) + int(np.prod(image.shape[1:]))
        place = self._free(frame, nbytes)
        room = place.buffer.view((nbytes,), np.uint8)
        np.copyto(np.ndarray(image.shape, np.uint8, room.data, strides=image.strides), image)
        place.buffer.upload(stream, nbytes)
        if place.buffer.kind == PAIR:
            stream.synchronize()  # networks on other streams read it, too
        self.copies += 1
        staged[frame.camera] += 1
        return place

    def _free(self, frame: Frame, nbytes: int) -> _Place:
        found: Optional[_Place] = next((p for p in self._places if p.free_for(nbytes)), None)
        if found is None:
            found = _Place(self._device.buffer(nbytes, what=f"frames of {frame.camera}"), frame)
            self._places.append(found)
        found.frame = weakref.ref(frame)
        return found

    def close(self) -> None:
        """Give everything back; may be called twice. No stream may still read it."""
        while self._places:
            self._places.pop().buffer.close()
