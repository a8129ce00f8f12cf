"""The mark: how much an outbox held, in a second file, to count losses if the first is damaged.

Two slots are written in turn and never synced. That is cheap and survives a kill of the process at
any point; after a power cut the mark may be some seconds old. The mark is written after the commit,
so an outbox that is older than its mark has lost rows.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

LAYOUT = struct.Struct("<8sQQQ16s")  # magic, turn, next id, rows waiting, token
SLOT = LAYOUT.size + 4
MAGIC = b"outbox1\n"


@dataclass(frozen=True)
class Mark:
    """The state after the last commit that was marked."""

    next_id: int
    waiting: int
    token: str  # of the outbox file


class MarkFile:
    """The file of a mark; it is made if it is missing.

    Args:
        path: of the file. Damaged content counts as no mark.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turn = 0
        self.found = self._read()

    def write(self, mark: Mark) -> None:
        """Replace the mark; raises OSError."""
        self._turn += 1
        head = LAYOUT.pack(
            MAGIC, self._turn, mark.next_id, mark.waiting, mark.token.encode("ascii")
        )
        slot = head + struct.pack("<I", zlib.crc32(head))
        os.pwrite(self._fd, slot, self._turn % 2 * SLOT)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _read(self) -> Optional[Mark]:
        data = os.pread(self._fd, 2 * SLOT, 0)
        newest: Optional[Mark] = None
        for start in (0, SLOT):
            head = data[start : start + LAYOUT.size]
            crc = data[start + LAYOUT.size : start + SLOT]
            if len(crc) < 4 or struct.unpack("<I", crc)[0] != zlib.crc32(head):
                continue
            magic, turn, next_id, waiting, token = LAYOUT.unpack(head)
            if magic == MAGIC and turn > self._turn:
                self._turn = turn
                newest = Mark(next_id, waiting, token.decode("ascii"))
        return newest
