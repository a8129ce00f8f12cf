"""Numbers of executed commands on disk, so that no command is executed twice.

Commands of several senders may arrive slightly out of order. So the last numbers are stored one by
one; every number below them counts as used. This needs no clock.
"""

from __future__ import annotations

import heapq
import json
import logging
import time
import zlib
from pathlib import Path
from typing import Callable, List, Optional, Tuple, Union

from edge import durable
from edge.errors import TempError

log = logging.getLogger(__name__)

WINDOW = 256
MISSING, DAMAGED = "missing", "damaged"
# The kernel stamps files with the time of its last tick (CONFIG_HZ = 100 is the slowest).
_TICK_NS = 10_000_000
MOST_READ = 100_000  # numbers in one file


class ReplayWindow:
    """The numbers of executed commands; each is on disk before its command is executed.

    Args:
        path: the file. A second one with the same content is its witness. A damaged file is put
            aside, and the other one counts. If neither can be read, every number before now counts
            as used; then "now" is the latest of the clock and the times of both files, because a
            clock may be at 1970.
        wall_ns: the clock that senders number with.
        size: how many numbers are stored one by one.
        witness: the second file; None = beside the first.
    """

    def __init__(
        self,
        path: Path,
        wall_ns: Callable[[], int] = time.time_ns,
        size: int = WINDOW,
        witness: Optional[Path] = None,
    ) -> None:
        self._files, self._size = (path, witness or path.with_suffix(".witness")), size
        self._floor, self._seen = self._load(wall_ns)

    def used(self, seq: int) -> bool:
        """Whether a number was used, or is too old to know."""
        return seq <= self._floor or seq in self._seen

    def add(self, seq: int) -> None:
        """Store a number; on return it is on the disk, in both files.

        Raises:
            DataError, TempError: it cannot be written; the command must not be executed.
        """
        floor, seen = self._shortened(self._floor, [*self._seen, seq])
        for path in self._files:
            _write(path, floor, seen)
        self._floor, self._seen = floor, seen

    def _shortened(self, floor: int, seen: List[int]) -> Tuple[int, List[int]]:
        heapq.heapify(seen)
        while len(seen) > self._size:
            floor = max(floor, heapq.heappop(seen))
        return floor, sorted(seen)

    def _load(self, wall_ns: Callable[[], int]) -> Tuple[int, List[int]]:
        found = [_read(path) for path in self._files]
        whole = [window for window in found if isinstance(window, tuple)]
        damaged = [p for p, window in zip(self._files, found) if window == DAMAGED]
        if not whole and not damaged:
            return 0, []
        floor = max((f for f, _ in whole), default=0)
        seen = sorted({seq for _, numbers in whole for seq in numbers if seq > floor})
        if not whole:
            floor = max([wall_ns(), *(p.stat().st_mtime_ns + _TICK_NS for p in damaged)])
        for path in damaged:
            shown = "the other file counts" if whole else "commands made before now are refused"
            log.error("%s: damaged; put aside, %s", path, shown)
            durable.save(path.with_suffix(".damaged"), _bytes(path))
        floor, seen = self._shortened(floor, seen)
        if found != [(floor, seen)] * 2:
            for path in self._files:
                _write(path, floor, seen)
        return floor, seen


def _read(path: Path) -> Union[Tuple[int, List[int]], str]:
    """Floor and numbers; MISSING if there is no file, DAMAGED if it has other content."""
    try:
        table = json.loads(_bytes(path))
        floor, seen = table["floor"], table["seen"]
        if _crc(floor, seen) == table["crc"] and _possible(floor, seen):
            return floor, seen
    except FileNotFoundError:
        return MISSING
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return DAMAGED


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TempError(f"{path}: {error.strerror}") from error


def _possible(floor: object, seen: object) -> bool:
    """Whether both have their types: a checksum may be right and the content odd."""
    if type(floor) is not int or not isinstance(seen, list):
        return False
    return len(seen) <= MOST_READ and all(type(seq) is int for seq in seen)


def _write(path: Path, floor: int, seen: List[int]) -> None:
    durable.save_json(path, {"floor": floor, "seen": seen, "crc": _crc(floor, seen)})


def _crc(floor: object, seen: object) -> int:
    return zlib.crc32(f"{floor} {seen}".encode())
