"""The GPU, its streams, and buffers that the host and the GPU use together.

On a GPU that shares the board's memory (a Jetson) a buffer is one piece of page-locked memory with
two addresses, and nothing is ever copied. On a discrete GPU a buffer is page-locked host memory and
device memory. Copies between them happen only when asked for, and are counted in
`Device.host_copies`.
"""

from __future__ import annotations

import atexit
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from edge.errors import InternalError, UnavailableError
from edge.runtime._cuda.context import Active, drv, one_line

MAPPED, PAIR, DEVICE = "mapped", "pair", "device"
# CU_STREAM_NON_BLOCKING of cuda.h, which PyCUDA does not define: the stream does not wait for the
# default stream, on which other libraries may work.
_NON_BLOCKING = 1
_devices: Dict[int, Device] = {}
_opening = threading.Lock()


class Device:
    """One GPU and its primary context, shared by everything in this process; see `open_device`.

    Raises:
        UnavailableError: no driver, or no such GPU.
    """

    def __init__(self, index: int) -> None:
        try:
            drv.init()
            if index >= drv.Device.count():
                raise UnavailableError(
                    f"no GPU {index}: the NVIDIA driver sees {drv.Device.count()}; "
                    "`edge doctor` tells more"
                )
            device = drv.Device(index)
            attribute = drv.device_attribute
            self.name = str(device.name())
            self.compute_capability: Tuple[int, int] = tuple(device.compute_capability())
            self.integrated = bool(device.get_attribute(attribute.INTEGRATED))
            self.can_map = bool(device.get_attribute(attribute.CAN_MAP_HOST_MEMORY))
            self.context: Any = device.retain_primary_context()
        except (drv.Error, RuntimeError) as error:  # PyCUDA raises RuntimeError where no GPU is
            raise UnavailableError(
                f"the NVIDIA driver gives no GPU: {one_line(error)}; `edge doctor` tells more"
            ) from error
        self.index = index
        self.host_copies = 0  # between host and device memory, since the start

    @property
    def zero_copy(self) -> bool:
        """Whether the host and the GPU use the same memory."""
        return self.integrated and self.can_map

    def active(self, what: str) -> Active:
        """A `with` block in which this thread may use the GPU; `what` begins an error's line."""
        if self.context is None:
            raise InternalError(f"{what}: the GPU was closed")
        return Active(self.context, self.name, what)

    def buffer(self, nbytes: int, kind: str = "", what: str = "memory") -> Buffer:
        """Allocate memory.

        Args:
            nbytes: size.
            kind: MAPPED (one memory for both), PAIR (a host's and a GPU's, copied on request) or
                DEVICE (the GPU's alone); empty = MAPPED if the board shares memory, else PAIR.
            what: the use, for messages.

        Raises:
            TempError: no memory is left.
        """
        return Buffer(self, nbytes, kind or (MAPPED if self.zero_copy else PAIR), what)

    def stream(self) -> Stream:
        """A new queue of work."""
        return Stream(self)

    def close(self) -> None:
        """Release the context; may be called twice. All buffers must be closed before."""
        with _opening:
            _devices.pop(self.index, None)
            context, self.context = self.context, None
        if context is not None:
            context.detach()


def open_device(index: int = 0) -> Device:
    """The GPU, opened and its driver initialised by the first call in a process.

    Raises:
        UnavailableError: no driver, or no such GPU.
    """
    with _opening:
        if index not in _devices:
            _devices[index] = Device(index)
        return _devices[index]


@atexit.register
def _close_all() -> None:
    for device in list(_devices.values()):
        device.close()


class Buffer:
    """Memory that the GPU can use; see `Device.buffer`.

    `host` is a flat u8 view of the host's side; None for DEVICE. `pointer` is the address for the
    GPU. Both are void after `close`.
    """

    def __init__(self, device: Device, nbytes: int, kind: str, what: str) -> None:
        if kind not in (MAPPED, PAIR, DEVICE) or nbytes < 0:
            raise InternalError(f"{what}: a buffer of {nbytes} bytes of kind {kind!r}")
        self.kind = kind
        self.nbytes = nbytes
        self.host: Optional[np.ndarray] = None
        self.pointer = 0
        self._device = device
        self._what = what
        self._freed: List[Callable[[], None]] = []
        with device.active(what):
            try:
                self._allocate(max(nbytes, 1))
            except drv.Error:
                self._free()
                raise

    def _allocate(self, nbytes: int) -> None:
        if self.kind != DEVICE:
            mapped = self.kind == MAPPED
            flags = drv.host_alloc_flags.DEVICEMAP if mapped else drv.host_alloc_flags.PORTABLE
            host = drv.pagelocked_empty(nbytes, np.uint8, mem_flags=flags)
            self._freed.append(host.base.free)
            self.host = host[: self.nbytes]
            if mapped:
                self.pointer = int(host.base.get_device_pointer())
                return
        memory = drv.mem_alloc(nbytes)
        self._freed.append(memory.free)
        self.pointer = int(memory)

    def view(self, shape: Tuple[int, ...], dtype: Any) -> np.ndarray:
        """The first bytes of the host's side as an array; borrowed until `close`."""
        if self.host is None:
            raise InternalError(f"{self._what}: was closed, or the host has no view of it")
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.host[:count].view(dtype).reshape(shape)

    def upload(self, stream: Stream, nbytes: Optional[int] = None, start: int = 0) -> None:
        """Queue the copy to the GPU; does nothing for shared memory."""
        if self.kind == PAIR:
            stop = start + (self.nbytes - start if nbytes is None else nbytes)
            self._copied(
                drv.memcpy_htod_async, self.pointer + start, self._part(start, stop), stream.handle
            )

    def download(self, stream: Stream, nbytes: Optional[int] = None, start: int = 0) -> None:
        """Queue the copy to the host, valid after `Stream.synchronize`; nothing if shared."""
        if self.kind == PAIR:
            stop = start + (self.nbytes - start if nbytes is None else nbytes)
            self._copied(
                drv.memcpy_dtoh_async, self._part(start, stop), self.pointer + start, stream.handle
            )

    def _part(self, start: int, stop: int) -> np.ndarray:
        if self.host is None or not 0 <= start <= stop <= self.nbytes:
            raise InternalError(f"{self._what}: bytes {start} to {stop} of {self.nbytes}")
        return self.host[start:stop]

    def _copied(self, copy: Callable[..., None], *arguments: Any) -> None:
        with self._device.active(self._what):
            copy(*arguments)
        self._device.host_copies += 1

    def close(self) -> None:
        """Free the memory; may be called twice. No queued work may still use it."""
        if self._freed:
            with self._device.active(self._what):
                self._free()

    def _free(self) -> None:
        self.host, self.pointer = None, 0
        while self._freed:
            self._freed[-1]()
            self._freed.pop()


class Stream:
    """A queue of work on the GPU; `handle` is for PyCUDA, `number` is for TensorRT."""

    def __init__(self, device: Device) -> None:
        self._device = device
        with device.active("stream"):
            self.handle: Any = drv.Stream(_NON_BLOCKING)
            self.number = int(self.handle.handle)
        self.event: Any = None  # made when another stream waits for this one first

    def synchronize(self) -> None:
        """Wait until all queued work is done.

        Raises:
            TempError: some of it failed.
        """
        with self._device.active("GPU work"):
            self.handle.synchronize()

    def wait_for(self, other: Stream) -> None:
        """Start work that is queued here later only after the work that the other has now."""
        with self._device.active("GPU work"):
            if other.event is None:
                other.event = drv.Event(drv.event_flags.DISABLE_TIMING)
            self.handle.wait_for_event(other.event.record(other.handle))

    def copy_on_device(self, target: int, source: int, nbytes: int) -> None:
        """Queue a copy from one address of the GPU's memory to another."""
        with self._device.active("GPU work"):
            drv.memcpy_dtod_async(target, source, nbytes, self.handle)

    def close(self) -> None:
        """Wait for the work, then free the stream; may be called twice."""
        if self.handle is not None:
            with self._device.active("stream"):
                try:
                    self.handle.synchronize()
                finally:
                    self.handle = self.event = None  # destroyed here, while the context is current
                    self.number = 0
