"""Samples of one shape into an .npy file, one after another: the array is never in memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Optional, Tuple, Type

import numpy as np
from numpy.lib import format as npy

HEADER_BYTES = 128  # what NumPy writes for such an array, the padding included


class Store:
    """An .npy file of uint8 samples, whole at the end of the `with` block and not there before.

    Args:
        path: of the file; its folder is made.
        shape: of one sample.
    """

    def __init__(self, path: Path, shape: Tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.count = 0
        self._path, self._shape = path, shape
        self._part = path.with_name(f".{path.name}.part")
        self._stream = self._part.open("wb")
        self._stream.write(bytes(HEADER_BYTES))

    def add(self, samples: np.ndarray) -> None:
        """Append [N,...] samples."""
        self._stream.write(np.ascontiguousarray(samples, np.uint8).tobytes())
        self.count += len(samples)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        with self._stream as stream:
            if error is None:
                stream.seek(0)
                stream.write(self._header())
        if error is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()

    def _header(self) -> bytes:
        """Version 1.0 of the format (NEP 1), padded to the room that was left for it."""
        shape = (self.count, *self._shape)
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        room = HEADER_BYTES - npy.MAGIC_LEN - 2
        body = text.ljust(room - 1).encode("latin1") + b"\n"
        return npy.magic(1, 0) + room.to_bytes(2, "little") + body
