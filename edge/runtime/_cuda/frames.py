"""Page-locked memory for frames: the camera writes it and the GPU reads it without a copy."""

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
    """Memory that the host and the GPU share; the contract is `edge.capture.FrameMemory`.

    Args:
        device: the GPU.

    Raises:
        UnavailableError: the GPU cannot read the host's memory.
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
        """A u8 array of this shape; page-locked memory begins on a page.

        Raises:
            TempError: no memory is left.
        """
        size = int(np.prod(shape))
        buffer = self.device.buffer(size, MAPPED, "camera frames")
        memory = buffer.view(shape, np.uint8)
        with self._lock:
            self._buffers[_address(memory)] = buffer
        return memory

    def device_ptr(self, memory: np.ndarray) -> int:
        """The GPU's address of an array that was allocated here; 0 for other arrays."""
        with self._lock:
            buffer = self._buffers.get(_address(memory))
            return buffer.pointer if buffer is not None else 0

    def free(self, memory: np.ndarray) -> None:
        """Free an array that nobody uses any more; arrays from elsewhere are ignored."""
        with self._lock:
            buffer = self._buffers.pop(_address(memory), None)
        if buffer is not None:
            buffer.close()

    def import_dmabuf(self, fd: int, pitch: int, rows: int) -> ImportedBuffer:
        """Make a driver's DMA-BUF visible to the GPU; see `edge.capture.FrameMemory`.

        Raises:
            UnavailableError: EGL or CUDA refuses it.
        """
        return self._opened_importer()(fd, pitch, rows)

    def import_image(self, image: int, pitch: int) -> ImportedBuffer:
        """Make an EGLImage with one plane visible to the GPU; see `edge.capture.FrameMemory`.

        Raises:
            UnavailableError: EGL is not installed, or CUDA refuses it.
        """
        return self._opened_importer().image(image, pitch)

    def _opened_importer(self) -> Importer:
        """The importer, opened by the first call; a failure is remembered, too."""
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
        """Free all memory; may be called twice. No camera and no kernel may still use it."""
        with self._lock:
            buffers = list(self._buffers.values())
            self._buffers.clear()
        for buffer in buffers:
            buffer.close()


def _address(memory: np.ndarray) -> int:
    return int(memory.__array_interface__["data"][0])
