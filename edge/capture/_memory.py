"""Memory that frames live in: plain, or also seen by the GPU.

Whoever allocates for a ring is a callable that gives uint8 arrays of a shape. One whose memory the
GPU sees as well has more to offer (edge.runtime._frames): that is asked for by name here, since
capture knows nothing of GPUs.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol, Tuple

import numpy as np

Allocate = Callable[[Tuple[int, ...]], np.ndarray]

# How frames come into a ring, for metrics and `edge doctor`.
DECODED = "decoded"  # by software, into the ring
DRAWN = "drawn"
USERPTR = "userptr"  # the camera writes into the ring's memory: nothing is copied
DMABUF = "dmabuf"  # the GPU reads the driver's buffer: nothing is copied
MMAP = "mmap"  # copied or converted once out of the driver's buffer


class Imported(Protocol):
    """A driver's buffer as the GPU sees it."""

    pointer: int

    def close(self) -> None:
        """Let go; may be called twice. The driver's buffer must still be there."""


# File descriptor, bytes from row to row, rows -> the buffer. Raises edge.errors.EdgeError when the
# GPU cannot take it.
Import = Callable[[int, int, int], Imported]
# EGLImage of one plane, bytes from row to row -> the buffer. Raises as well.
ImportImage = Callable[[int, int], Imported]


def aligned_bytes(shape: Tuple[int, ...]) -> np.ndarray:
    """Plain uint8 memory that begins on a page, as drivers want it."""
    size = int(np.prod(shape))
    raw = np.empty(size + 4096, np.uint8)
    start = -raw.ctypes.data % 4096
    whole: np.ndarray = raw[start : start + size].reshape(shape)
    return whole


def device_ptr(allocate: Allocate, memory: np.ndarray) -> int:
    """Where the GPU sees the first byte of an array that was allocated; 0 = nowhere."""
    ask: Any = getattr(allocate, "device_ptr", None)
    return int(ask(memory)) if ask is not None else 0


def sees_device(allocate: Allocate) -> bool:
    """Whether a GPU reads what is allocated."""
    return hasattr(allocate, "device_ptr")


def give_back(allocate: Allocate, memory: np.ndarray) -> None:
    """Memory that was allocated and is in nobody's hands any more."""
    take: Any = getattr(allocate, "free", None)
    if take is not None and memory.size:
        take(memory)


def importer(allocate: Allocate) -> Optional[Import]:
    """What brings a driver's buffer to the GPU, where there is one."""
    found: Optional[Import] = getattr(allocate, "import_dmabuf", None)
    return found


def image_importer(allocate: Allocate) -> Optional[ImportImage]:
    """What brings an EGLImage to the GPU, where there is one."""
    found: Optional[ImportImage] = getattr(allocate, "import_image", None)
    return found
