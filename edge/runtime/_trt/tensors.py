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
    """One input or output.

    Chunks of a large batch are read and written in place. Where a chunk would begin at an address
    that TensorRT does not take, it goes through a small piece of the GPU's memory.

    Args:
        device: the GPU.
        name: of the tensor.
        spec: shape, the first size -1 where it follows the batch, and type.
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
        self._stage: Optional[Buffer] = None

    def grow(self, rows: int) -> None:
        """New memory for so many rows; what was in the old is lost."""
        self.close()
        count = rows if self.follows else 1
        self._buffer = self._device.buffer(count * self.sample_bytes, what=self.name)
        if self._buffer.host is not None:
            self._buffer.host[:] = 0
        aligned = self._step * self.sample_bytes % ALIGNMENT == 0
        if self.follows and rows > self._step and not aligned:
            self._stage = self._device.buffer(self._step * self.sample_bytes, DEVICE, self.name)

    def view(self, rows: int) -> np.ndarray:
        """The first rows as the host sees them."""
        shape = (rows, *self.sample_shape) if self.follows else self.sample_shape
        return self._memory.view(shape, self.spec.dtype)

    def array(self, rows: int) -> DeviceArray:
        """The first rows as the GPU sees them."""
        shape = (rows, *self.sample_shape) if self.follows else self.sample_shape
        return DeviceArray(self._memory.pointer, shape, self.spec.dtype)

    def address(self, chunk: Chunk) -> int:
        """Where TensorRT reads or writes a chunk."""
        stage = self._detour(chunk)
        return self._place(chunk) if stage is None else stage.pointer

    def bring(self, chunk: Chunk, stream: Stream) -> None:
        """Before the network runs: a chunk of an input to where TensorRT reads it."""
        stage = self._detour(chunk)
        if stage is not None:
            size = chunk[1] * self.sample_bytes
            stream.copy_on_device(stage.pointer, self._place(chunk), size)

    def fetch(self, chunk: Chunk, stream: Stream) -> None:
        """After it ran: a chunk of an output from where TensorRT wrote it."""
        stage = self._detour(chunk)
        if stage is not None:
            size = chunk[1] * self.sample_bytes
            stream.copy_on_device(self._place(chunk), stage.pointer, size)

    def _detour(self, chunk: Chunk) -> Optional[Buffer]:
        return self._stage if chunk[0] * self.sample_bytes % ALIGNMENT else None

    def _place(self, chunk: Chunk) -> int:
        return self._memory.pointer + (chunk[0] * self.sample_bytes if self.follows else 0)

    @property
    def _memory(self) -> Buffer:
        if self._buffer is None:
            raise InternalError(f"{self.name}: was closed")
        return self._buffer

    def upload(self, rows: int, stream: Stream) -> None:
        """Queue the copy to the GPU, where one is needed."""
        self._memory.upload(stream, rows * self.sample_bytes)

    def download(self, rows: int, stream: Stream) -> None:
        """Queue the copy to the host, where one is needed."""
        count = rows if self.follows else 1
        self._memory.download(stream, count * self.sample_bytes)

    def close(self) -> None:
        """Give the memory back; may be called twice."""
        for buffer in (self._buffer, self._stage):
            if buffer is not None:
                buffer.close()
        self._buffer = self._stage = None
