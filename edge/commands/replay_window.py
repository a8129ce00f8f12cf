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
from typing import Callable, List, Tuple

from edge import durable
from edge.errors import TempError

log = logging.getLogger(__name__)

WINDOW = 256


class ReplayWindow:
    """The numbers of executed commands; each is on disk before its command is executed.

    Args:
        path: the file. A damaged file is put aside, and every number before now counts as used.
        wall_ns: the clock that senders number with.
        size: how many numbers are stored one by one.
    """

    def __init__(
        self, path: Path, wall_ns: Callable[[], int] = time.time_ns, size: int = WINDOW
    ) -> None:
        self._path, self._size = path, size
        self._floor, self._seen = self._load(wall_ns)

    def used(self, seq: int) -> bool:
        """Whether a number was used, or is too old to know."""
        return seq <= self._floor or seq in self._seen

    def add(self, seq: int) -> None:
        """Store a number; on return it is on the disk.

        Raises:
            DataError, TempError: it cannot be written; the number counts as unused.
        """
        seen, floor = [*self._seen, seq], self._floor
        heapq.heapify(seen)
        while len(seen) > self._size:
            floor = heapq.heappop(seen)
        body = {"floor": floor, "seen": sorted(seen)}
        durable.save_json(self._path, {**body, "crc": _crc(body["floor"], body["seen"])})
        self._floor, self._seen = floor, seen

    def _load(self, wall_ns: Callable[[], int]) -> Tuple[int, List[int]]:
        try:
            raw = self._path.read_bytes()
            table = json.loads(raw)
            floor, seen = table["floor"], table["seen"]
            if _crc(floor, seen) == table["crc"]:
                return floor, seen
        except FileNotFoundError:
            return 0, []
        except OSError as error:
            raise TempError(f"{self._path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        log.error("%s: damaged; put aside, commands made before now are refused", self._path)
        durable.save(self._path.with_suffix(".damaged"), raw)
        floor = wall_ns()
        durable.save_json(self._path, {"floor": floor, "seen": [], "crc": _crc(floor, [])})
        return floor, []


def _crc(floor: object, seen: object) -> int:
    return zlib.crc32(f"{floor} {seen}".encode())
