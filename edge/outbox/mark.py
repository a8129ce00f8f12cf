"""What an outbox last held, in a file of its own: the witness when the outbox itself is damaged.

Two slots are written in turn and never synced: that costs nothing, survives a kill of the process
at any point, and after a power cut the mark is at most some seconds old. It is never ahead of the
outbox, so an outbox that knows less than its mark has lost rows without a word.
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
    token: str  # of the outbox file it speaks of


class MarkFile:
    """Opens or creates the file.

    Args:
        path: of the mark; a damaged one counts as none.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turn = 0
        self.found = self._read()

    def write(self, mark: Mark) -> None:
        """Remember; raises OSError."""
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
