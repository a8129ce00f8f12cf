"""Remove recordings that are older than the configuration allows.

A segment is removed as a whole, with unlink(2), as soon as its first frame is too old. A recorder
begins a new segment SEGMENTS times within the allowed age, so at most that share goes early.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from pathlib import Path
from typing import Callable, Dict, List

from edge import durable
from edge.errors import EdgeError
from edge.recording.record import unpack
from edge.recording.ring import SUFFIX, read_segment

log = logging.getLogger(__name__)

DAY_NS = 86_400 * 10**9
LOOK_S = 60.0
LEFTOVER_NS = 3600 * 10**9  # a rewritten segment that is not in its place after this was given up


def began_utc_ns(path: Path) -> int:
    """UTC ns of the first frame of a segment; without frames, when the file was changed.

    Raises:
        OSError, NoInputError: the file is gone.
    """
    with contextlib.suppress(EdgeError):
        for kind, payload in read_segment(path):
            if kind == "P":
                first = unpack(payload)
                return first.t_ns + first.offset_ns
    return path.stat().st_mtime_ns


class Keeper:
    """Removes old segments of a folder, in a thread of its own.

    Args:
        folder: of the ring; it may be missing.
        max_age_ns: a segment whose first frame is older is removed.
        clock: UTC ns.
        look_s: pause between two looks.
    """

    def __init__(
        self,
        folder: Path,
        max_age_ns: int,
        clock: Callable[[], int] = time.time_ns,
        look_s: float = LOOK_S,
    ) -> None:
        self._folder, self._max_age_ns, self._clock = folder, max_age_ns, clock
        self._look_s = look_s
        self._began: Dict[Path, int] = {}
        self._ok = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Look now, and again and again."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(self._look_s):
                return

    def look(self) -> None:
        """Remove what is too old; an error is logged once, and tried again at the next look."""
        try:
            gone = self._expire()
            self._ok = True
        except OSError as error:
            if self._ok:
                log.error("recording: old segments cannot be removed: %s", error)
            self._ok = False
            return
        if gone:
            days = self._max_age_ns / DAY_NS
            log.info("recording: %d segments older than %g days removed", len(gone), days)

    def _expire(self) -> List[Path]:
        now_ns = self._clock()
        there = sorted(self._folder.glob(f"*{SUFFIX}"))
        self._began = {p: self._began.get(p) or began_utc_ns(p) for p in there}
        old = [p for p, began_ns in self._began.items() if now_ns - began_ns > self._max_age_ns]
        for rewritten in self._folder.glob(f".*{SUFFIX}.new"):
            with contextlib.suppress(FileNotFoundError):  # the rewriting has just ended
                if now_ns - rewritten.stat().st_mtime_ns > LEFTOVER_NS:
                    old.append(rewritten)
        for path in old:
            path.unlink()
        if old:
            durable.sync_dir(self._folder)
        return old
