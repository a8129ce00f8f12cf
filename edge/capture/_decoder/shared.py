"""Frames in memory that a decoder process writes and the program reads: no copy in between."""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import threading
import weakref
from typing import Dict, Tuple

import numpy as np

from edge.capture._memory import FrameMemory, Imported

# linux/memfd.h, linux/fcntl.h: a decoder cannot cut memory off that the program reads.
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_numbers = itertools.count(1)
_pieces: Dict[int, Tuple[int, int]] = {}  # address -> number and descriptor
_lock = threading.Lock()


class SharedFrames:
    """Memory for the ring of a network camera; the contract is `FrameMemory`.

    Args:
        memory: the memory of all other cameras.
    """

    gpu_reads = False

    def __init__(self, memory: FrameMemory) -> None:
        self._memory = memory

    def allocate(self, shape: Tuple[int, ...]) -> np.ndarray:
        """A u8 array of this shape that begins on a page."""
        size = int(np.prod(shape))
        fd = os.memfd_create("edge frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            array: np.ndarray = np.frombuffer(mmap.mmap(fd, size), np.uint8).reshape(shape)
        except BaseException:
            os.close(fd)
            raise
        with _lock:
            _pieces[_address(array)] = (next(_numbers), fd)
        weakref.finalize(array, _forget, _address(array)).atexit = False
        return array

    def device_ptr(self, array: np.ndarray) -> int:
        """0: the frame is copied once into memory that the GPU reads."""
        return 0

    def free(self, array: np.ndarray) -> None:
        """Nothing to do: it is freed with its last reference."""
        if piece(array)[0] == 0:
            self._memory.free(array)

    def import_dmabuf(self, fd: int, pitch: int, rows: int) -> Imported:
        """As the memory of all other cameras does."""
        return self._memory.import_dmabuf(fd, pitch, rows)

    def import_image(self, image: int, pitch: int) -> Imported:
        """As the memory of all other cameras does."""
        return self._memory.import_image(image, pitch)


def piece(array: np.ndarray) -> Tuple[int, int]:
    """Number and descriptor of an array of `SharedFrames`; (0, -1) = it is none."""
    with _lock:
        return _pieces.get(_address(array), (0, -1))


def _forget(address: int) -> None:
    with _lock:
        _, fd = _pieces.pop(address)
    os.close(fd)


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])
