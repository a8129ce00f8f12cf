"""SimCC maxima found where the engine wrote the logits: 16 bytes a keypoint come back."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np

from edge.errors import InternalError
from edge.runtime import DeviceArray
from edge.runtime._cuda_memory import Buffer, Module
from edge.runtime.kernels.decode import peaks_of, peaks_shape

_FLOATS = (np.float32, np.float16)


class PeakReader:
    """Executes an engine and keeps of two of its outputs only the maxima.

    Args:
        engine: with `queue`, `wait`, `stream` and `device` (edge.runtime.trt).
        module: the kernels.
    """

    def __init__(self, engine: Any, module: Module) -> None:
        self._engine = engine
        self._find = module.function("simcc_peaks")
        self._room: List[Buffer] = []  # bins, maxima

    def read(self, x: str, y: str) -> Tuple[np.ndarray, np.ndarray]:
        """Run what was fed.

        Args:
            x: name of an output [B,K,bins].
            y: likewise, of the other axis.

        Returns:
            Bins [B,K,2] i32 and maxima [B,K,2] f32; borrowed until the next call.
        """
        outputs = self._engine.queue()
        axes: Tuple[DeviceArray, DeviceArray] = (outputs[x], outputs[y])
        shape = (*axes[0].shape[:2], 2)
        rows = shape[0] * shape[1]
        if any(a.dtype != axes[0].dtype or a.dtype not in _FLOATS for a in axes):
            raise InternalError(f"{x}, {y}: maxima are found among FP32 or FP16 numbers")
        if rows:
            self._launch(axes, rows)
        self._engine.wait()
        if not rows:
            return np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        return self._room[0].view(shape, np.int32), self._room[1].view(shape, np.float32)

    def _launch(self, axes: Tuple[DeviceArray, DeviceArray], rows: int) -> None:
        stream, nbytes = self._engine.stream, rows * 8
        if not self._room or self._room[0].nbytes < nbytes:
            self.close()
            room = 1 << (nbytes - 1).bit_length()
            self._room = [self._engine.device.buffer(room, what="maxima") for _ in range(2)]
        pointers, bins = (axes[0].pointer, axes[1].pointer), (axes[0].shape[-1], axes[1].shape[-1])
        task = peaks_of(pointers, bins, rows, axes[0].dtype)
        task.at, task.best = (buffer.pointer for buffer in self._room)
        self._find.launch(*peaks_shape(rows), [task], stream)
        for buffer in self._room:
            buffer.download(stream, nbytes)

    def close(self) -> None:
        """Give everything back; may be called twice. The stream must be idle."""
        while self._room:
            self._room.pop().close()
