"""Page-locked memory for frames: the camera fills it, the GPU reads it, nothing is copied."""

from __future__ import annotations

import logging
import threading
from typing import Dict, Optional, Tuple

import numpy as np

from edge.errors import EdgeError, UnavailableError
from edge.runtime._cuda.egl import ImportedBuffer, Importer
from edge.runtime._cuda.memory import MAPPED, Buffer, Device

log = logging.getLogger(__name__)


class PageLocked:
    """Memory for the rings of cameras; the contract is `edge.capture.FrameMemory`.

    Called from the threads of cameras. What is not given back before, `close` gives back.
    """

    gpu_reads = True
    kind = "page-locked memory that the GPU reads in place"

    def __init__(self, device: Device) -> None:
        if not device.can_map:
            raise UnavailableError(f"{device.name} cannot read the host's memory")
        self.device = device
        self._buffers: Dict[int, Buffer] = {}  # by the host's address
        self._lock = threading.Lock()
        self._importer: Optional[Importer] = None
        self._no_importer: Optional[EdgeError] = None

    def allocate(self, shape: Tuple[int, ...]) -> np.ndarray:
        """Uint8 memory of a shape; it begins on a page, as every page-locked piece does.

        Raises:
            TempError: there is no more.
        """
        size = int(np.prod(shape))
        buffer = self.device.buffer(size, MAPPED, "camera frames")
        memory = buffer.view(shape, np.uint8)
        with self._lock:
            self._buffers[_address(memory)] = buffer
        return memory

    def device_ptr(self, memory: np.ndarray) -> int:
        """Where the GPU sees the first byte of memory given here; 0 for other memory."""
        with self._lock:
            buffer = self._buffers.get(_address(memory))
            return buffer.pointer if buffer is not None else 0

    def free(self, memory: np.ndarray) -> None:
        """Take memory back that nobody uses any more; other memory is left alone."""
        with self._lock:
            buffer = self._buffers.pop(_address(memory), None)
        if buffer is not None:
            buffer.close()

    def import_dmabuf(self, fd: int, pitch: int, rows: int) -> ImportedBuffer:
        """A driver's buffer as the GPU sees it.

        Raises:
            UnavailableError: EGL or CUDA does not take it.
        """
        return self._way()(fd, pitch, rows)

    def import_image(self, image: int, pitch: int) -> ImportedBuffer:
        """An EGLImage, one plane of rows, as the GPU sees it.

        Raises:
            UnavailableError: EGL is not there, or CUDA does not take it.
        """
        return self._way().image(image, pitch)

    def _way(self) -> Importer:
        """Opened once; where that failed, nobody tries again."""
        with self._lock:
            if self._no_importer is not None:
                raise self._no_importer
            if self._importer is None:
                try:
                    self._importer = Importer(self.device)
                except EdgeError as error:
                    self._no_importer = error
                    raise
            return self._importer

    def close(self) -> None:
        """Give all memory back; may be called twice. No camera and no kernel may still use it."""
        with self._lock:
            buffers = list(self._buffers.values())
            self._buffers.clear()
        for buffer in buffers:
            buffer.close()


def _address(memory: np.ndarray) -> int:
    return int(memory.__array_interface__["data"][0])
