"""Finds the maxima of SimCC outputs on the GPU, so that only these are copied to the host."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from edge.errors import InternalError
from edge.runtime._contract import DeviceArray
from edge.runtime._cuda.kernel import Module
from edge.runtime._cuda.memory import Buffer
from edge.runtime.kernels.decode import peaks_of, peaks_shape
from edge.runtime.kernels.engine import Engine

_FLOATS = (np.float32, np.float16)
Found = Tuple[np.ndarray, np.ndarray, np.ndarray]


class PeakReader:
    """Executes an engine, and finds the maxima of two of its outputs.

    Args:
        engine: executes the network.
        module: the kernels.

    Raises:
        TempError: the module has no such kernel.
    """

    def __init__(self, engine: Engine, module: Module) -> None:
        self._engine = engine
        self._find = module.function("simcc_peaks")
        self._room: List[Buffer] = []  # bins, maxima, surroundings

    def read(self, x: str, y: str, reach: int = 0) -> Found:
        """Execute what was fed; see `edge.runtime.Crops.peaks`.

        Args:
            x: name of an output [B,K,bins].
            y: name of the output of the other axis.
            reach: bins on each side of a maximum whose logits are wanted, too.

        Returns:
            Bins [B,K,2] i32 of the maxima, maxima [B,K,2] f32, logits [B,K,2,2*reach+1] f32 around
            them, 0 outside the axis (without a reach the last size is 0). Borrowed until the next
            call.
        """
        outputs = self._engine.queue()
        axes: Tuple[DeviceArray, DeviceArray] = (outputs[x], outputs[y])
        shape = (*axes[0].shape[:2], 2)
        rows = shape[0] * shape[1]
        if any(a.dtype != axes[0].dtype or a.dtype not in _FLOATS for a in axes):
            raise InternalError(f"{x}, {y}: maxima are found among FP32 or FP16 numbers")
        if rows:
            self._launch(axes, rows, reach)
        self._engine.wait()
        around = (*shape, 2 * reach + 1 if reach else 0)
        if not rows:
            kinds = ((shape, np.int32), (shape, np.float32), (around, np.float32))
            bins, maxima, near = (np.zeros(s, kind) for s, kind in kinds)
            return bins, maxima, near
        near = self._room[2].view(around, np.float32) if reach else np.zeros(around, np.float32)
        return self._room[0].view(shape, np.int32), self._room[1].view(shape, np.float32), near

    def _launch(self, axes: Tuple[DeviceArray, DeviceArray], rows: int, reach: int) -> None:
        stream = self._engine.stream
        sizes = [rows * 8, rows * 8] + [rows * 8 * (2 * reach + 1)] * (reach > 0)
        if len(self._room) != len(sizes) or any(
            buffer.nbytes < size for buffer, size in zip(self._room, sizes)
        ):
            self.close()
            rooms = [1 << (size - 1).bit_length() for size in sizes]
            self._room = [self._engine.device.buffer(room, what="maxima") for room in rooms]
        pointers, bins = (axes[0].pointer, axes[1].pointer), (axes[0].shape[-1], axes[1].shape[-1])
        task = peaks_of(pointers, bins, rows, axes[0].dtype, reach)
        places = [buffer.pointer for buffer in self._room]
        task.at, task.best, task.near = [*places, 0][:3]
        self._find.launch(*peaks_shape(rows), [task], stream)
        for buffer, size in zip(self._room, sizes):
            buffer.download(stream, size)

    def close(self) -> None:
        """Free the buffers; may be called twice. The stream must be idle."""
        while self._room:
            self._room.pop().close()
