"""Write samples of one shape into an .npy file one after another, so that memory stays small."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import BinaryIO, Iterator, Tuple

import numpy as np
from numpy.lib import format as npy

from edge.durable import READABLE, new_file

HEADER_BYTES = 128  # what NumPy writes for such an array, the padding included


@contextlib.contextmanager
def open_sample_file(path: Path, shape: Tuple[int, ...]) -> Iterator[SampleFile]:
    """Open a new .npy file of uint8 samples; the file appears after the `with` block.

    Args:
        path: the file; its folder is made.
        shape: of one sample.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path, READABLE) as stream:
        file = SampleFile(stream, shape)
        yield file
        file.finish()


class SampleFile:
    """Appends samples to an .npy file.

    Args:
        stream: of a new file; it must be seekable.
        shape: of one sample.
    """

    def __init__(self, stream: BinaryIO, shape: Tuple[int, ...]) -> None:
        self.count = 0
        self._stream, self._shape = stream, shape
        self._stream.write(bytes(HEADER_BYTES))

    def add(self, samples: np.ndarray) -> None:
        """Append [N,...] samples."""
        self._stream.write(np.ascontiguousarray(samples, np.uint8).tobytes())
        self.count += len(samples)

    def finish(self) -> None:
        """Write the header, which holds the number of samples."""
        self._stream.seek(0)
        self._stream.write(self._header())

    def _header(self) -> bytes:
        """Header of format version 1.0 (NEP 1), padded to HEADER_BYTES."""
        shape = (self.count, *self._shape)
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        room = HEADER_BYTES - npy.MAGIC_LEN - 2
        body = text.ljust(room - 1).encode("latin1") + b"\n"
        return npy.magic(1, 0) + room.to_bytes(2, "little") + body
