"""The mark: how much an outbox held, in a second file, to count losses if the first is damaged.

Two slots are written in turn and never synced. That is cheap and survives a kill of the process at
any point; after a power cut the mark may be some seconds old. The mark is written after the commit,
so an outbox that is older than its mark has lost rows.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from edge.outbox.presence import identity
from edge.outbox.state_row import State, is_next_id, is_token

LAYOUT = struct.Struct("<8sQQQ16s")  # magic, turn, next id, rows waiting, token
SLOT = LAYOUT.size + 4
MAGIC = b"outbox1\n"
ID_GAP = 1000  # ids skipped after damage: more than a mark can be behind
LAST_TURN = 2**63
MOST_WAITING = 2**32  # more rows than the largest outbox holds
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mark:
    """The state after the last commit that was marked."""

    next_id: int
    waiting: int
    token: str  # of the outbox file


class MarkFile:
    """The file of a mark; it is made if it is missing.

    Args:
        path: of the file. Damaged content counts as no mark; a folder, a link or a pipe is renamed.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.replace(path.with_name(path.name + ".corrupt"))
        self._fd = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._path, self._turn = path, 0
        self.found = self._read()

    def write(self, mark: Mark) -> None:
        """Replace the mark; raises OSError."""
        self._turn += 1
        head = LAYOUT.pack(
            MAGIC, self._turn, mark.next_id, mark.waiting, mark.token.encode("ascii")
        )
        slot = head + struct.pack("<I", zlib.crc32(head))
        os.pwrite(self._fd, slot, self._turn % 2 * SLOT)

    @property
    def moved(self) -> bool:
        """Whether the file at the path is another one, or none."""
        opened = os.fstat(self._fd)
        return identity(self._path) != (opened.st_dev, opened.st_ino)

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
            mark = Mark(next_id, waiting, token.decode("latin-1"))
            if magic == MAGIC and LAST_TURN > turn > self._turn and _possible(mark):
                self._turn = turn
                newest = mark
        return newest


def _possible(mark: Mark) -> bool:
    """Whether a mark can be ours: its checksum may be right and its content odd."""
    return is_next_id(mark.next_id) and mark.waiting <= MOST_WAITING and is_token(mark.token)


def compared(mark: Optional[Mark], state: State, where: str, moving: bool = False) -> State:
    """Count lost rows: an undamaged file that is older than its mark has lost some.

    Args:
        mark: None = not known.
        state: of the file.
        where: the file, for the log.
        moving: the rows of the file before will move here. The loss is noted for the case that
            the program ends before; nothing is logged.

    Returns:
        The state with the loss and with a next id that was never used.
    """
    if mark is None or (mark.token == state.token and mark.next_id <= state.next_id):
        return state
    same = mark.token == state.token
    lost = mark.next_id - state.next_id if same else mark.waiting
    if lost:
        reason = "the file is older than it was" if same else "the file is another one"
        level = logging.DEBUG if moving else logging.ERROR
        log.log(level, "%s: %s: up to %d events lost", where, reason, lost)
        reset: Dict[str, Any] = {"reason": reason, "recovered": 0, "lost": lost}
        state = dataclasses.replace(state, losses=dataclasses.replace(state.losses, reset=reset))
    next_id = max(mark.next_id, state.next_id) + ID_GAP
    if not is_next_id(next_id):
        next_id = state.next_id + ID_GAP
    return dataclasses.replace(state, next_id=next_id)
