"""The memory of a runner's inputs and outputs: one buffer each, for a whole batch."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from edge.errors import InternalError
from edge.runtime._contract import DeviceArray, TensorSpec
from edge.runtime._cuda.memory import DEVICE, Buffer, Device, Stream

# What TensorRT demands of an address (NvInferRuntime.h, IExecutionContext::setTensorAddress).
ALIGNMENT = 256
Chunk = Tuple[int, int]  # first row, rows


class Tensor:
    """The memory of one input or output.

    Chunks of a large batch are read and written in place. A chunk that would begin at an address
    that TensorRT does not take goes through a bounce buffer in the GPU's memory.

    Args:
        device: the GPU.
        name: of the tensor.
        spec: type and shape; the first size is -1 if it follows the batch.
        step: rows of the largest chunk.
    """

    def __init__(self, device: Device, name: str, spec: TensorSpec, step: int) -> None:
        self.name = name
        self.spec = spec
        self.follows = bool(spec.shape) and spec.shape[0] < 0
        self.sample_shape = spec.shape[1:] if self.follows else spec.shape
        self.sample_bytes = int(np.prod(self.sample_shape)) * spec.dtype.itemsize
        self._device = device
        self._step = step
        self._buffer: Optional[Buffer] = None
        self._bounce: Optional[Buffer] = None

    def grow(self, rows: int) -> None:
        """Allocate memory for a number of rows; the contents are lost."""
        self.close()
        count = rows if self.follows else 1
        self._buffer = self._device.buffer(count * self.sample_bytes, what=self.name)
        if self._buffer.host is not None:
            self._buffer.host[:] = 0
        aligned = self._step * self.sample_bytes % ALIGNMENT == 0
        if self.follows and rows > self._step and not aligned:
            self._bounce = self._device.buffer(self._step * self.sample_bytes, DEVICE, self.name)

    def view(self, rows: int) -> np.ndarray:
        """The first rows as the host sees them."""
        shape = (rows, *self.sample_shape) if self.follows else self.sample_shape
        return self._memory.view(shape, self.spec.dtype)

    def array(self, rows: int) -> DeviceArray:
        """The first rows as the GPU sees them."""
        shape = (rows, *self.sample_shape) if self.follows else self.sample_shape
        return DeviceArray(self._memory.pointer, shape, self.spec.dtype)

    def address(self, chunk: Chunk) -> int:
        """The address at which TensorRT reads or writes a chunk."""
        bounce = self._bounce_of(chunk)
        return self._place(chunk) if bounce is None else bounce.pointer

    def into_bounce(self, chunk: Chunk, stream: Stream) -> None:
        """Queue the copy of an input's chunk into the bounce buffer, if the chunk needs it."""
        bounce = self._bounce_of(chunk)
        if bounce is not None:
            size = chunk[1] * self.sample_bytes
            stream.copy_on_device(bounce.pointer, self._place(chunk), size)

    def out_of_bounce(self, chunk: Chunk, stream: Stream) -> None:
        """Queue the copy of an output's chunk out of the bounce buffer, if the chunk needs it."""
        bounce = self._bounce_of(chunk)
        if bounce is not None:
            size = chunk[1] * self.sample_bytes
            stream.copy_on_device(self._place(chunk), bounce.pointer, size)

    def _bounce_of(self, chunk: Chunk) -> Optional[Buffer]:
        return self._bounce if chunk[0] * self.sample_bytes % ALIGNMENT else None

    def _place(self, chunk: Chunk) -> int:
        return self._memory.pointer + (chunk[0] * self.sample_bytes if self.follows else 0)

    @property
    def _memory(self) -> Buffer:
        if self._buffer is None:
            raise InternalError(f"{self.name}: was closed")
        return self._buffer

    def upload(self, rows: int, stream: Stream) -> None:
        """Queue the copy to the GPU, if the memory is not shared."""
        self._memory.upload(stream, rows * self.sample_bytes)

    def download(self, rows: int, stream: Stream) -> None:
        """Queue the copy to the host, if the memory is not shared."""
        count = rows if self.follows else 1
        self._memory.download(stream, count * self.sample_bytes)

    def close(self) -> None:
        """Free the memory; may be called twice."""
        for buffer in (self._buffer, self._bounce):
            if buffer is not None:
                buffer.close()
        self._buffer = self._bounce = None
