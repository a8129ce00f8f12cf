"""The memory that camera frames live in: plain, or memory that a GPU reads as well."""

from __future__ import annotations

from typing import Protocol, Tuple

import numpy as np

from edge.errors import UnavailableError

PAGE_BYTES = 4096


class Imported(Protocol):
    """A driver's buffer that was made visible to the GPU."""

    pointer: int  # address of the first byte for the GPU

    def close(self) -> None:
        """End the import; may be called twice. The driver's buffer must still exist."""


class FrameMemory(Protocol):
    """Allocates the frames of rings; called from the threads of all cameras.

    `PlainMemory` is the one without a GPU, `edge.runtime._cuda.frames.PageLocked` the one with.
    """

    gpu_reads: bool  # whether a GPU reads in place what is allocated and imported here

    def allocate(self, shape: Tuple[int, ...]) -> np.ndarray:
        """A u8 array of this shape that begins on a page, as drivers need it.

        Raises:
            EdgeError: no memory is left.
        """

    def device_ptr(self, array: np.ndarray) -> int:
        """The GPU's address of an array that was allocated here; 0 = a GPU cannot read it."""

    def free(self, array: np.ndarray) -> None:
        """Take back an array that nobody uses any more; arrays from elsewhere are ignored."""

    def import_dmabuf(self, fd: int, pitch: int, rows: int) -> Imported:
        """Make a driver's DMA-BUF visible to the GPU.

        Args:
            fd: its file descriptor, borrowed.
            pitch: bytes from one row to the next.
            rows: how many rows.

        Raises:
            EdgeError: the GPU cannot read it.
        """

    def import_image(self, image: int, pitch: int) -> Imported:
        """Make an EGLImage with one plane visible to the GPU.

        Args:
            image: its handle.
            pitch: bytes from one row to the next.

        Raises:
            EdgeError: the GPU cannot read it.
        """


class PlainMemory:
    """Memory of the CPU alone."""

    gpu_reads = False

    def allocate(self, shape: Tuple[int, ...]) -> np.ndarray:
        """A u8 array of this shape that begins on a page."""
        return aligned_bytes(shape)

    def device_ptr(self, array: np.ndarray) -> int:
        """0: no GPU reads it."""
        return 0

    def free(self, array: np.ndarray) -> None:
        """Nothing to do: NumPy frees it with its last reference."""

    def import_dmabuf(self, fd: int, pitch: int, rows: int) -> Imported:
        """Always refused.

        Raises:
            UnavailableError: no GPU reads the frames.
        """
        raise UnavailableError("no GPU reads the frames")

    def import_image(self, image: int, pitch: int) -> Imported:
        """Always refused.

        Raises:
            UnavailableError: no GPU reads the frames.
        """
        raise UnavailableError("no GPU reads the frames")


def aligned_bytes(shape: Tuple[int, ...]) -> np.ndarray:
    """A u8 array of this shape, in plain memory, that begins on a page."""
    size = int(np.prod(shape))
    raw = np.empty(size + PAGE_BYTES, np.uint8)
    start = -raw.ctypes.data % PAGE_BYTES
    whole: np.ndarray = raw[start : start + size].reshape(shape)
    return whole
