"""The outbox in use: the one on disk, or one in memory while the disk fails."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Sequence

from edge import durable
from edge.errors import EdgeError
from edge.outbox.sqlite_file import Losses
from edge.outbox.store import BATCH_ROWS, Entry, Outbox, Row
from edge.publish import Counters, SinkOptions
from edge.publish._address import Broker
from edge.publish._notes import Fetch

log = logging.getLogger(__name__)

DISK_S = 30.0  # between two tries of a disk that failed
TRIES = 3  # as it is, opened anew (which mends damage), in memory
FAILURES = (sqlite3.Error, OSError, EdgeError)


@dataclass(frozen=True)
class Settings:
    """How an outbox is kept."""

    path: Optional[Path]  # None = in memory
    max_bytes: int
    run: str
    urgent: List[str]
    minor: List[str]


def outbox_file(broker: Broker, options: SinkOptions) -> Optional[Path]:
    """Where the events of a broker wait; None = in memory.

    The first broker of a configuration has the plain name, so that events follow it when it moves.
    """
    named = options.outbox.path
    if not named:
        folder = durable.find_state_dir(options.state_dir)
        if folder is None:
            log.info(
                "%s: events of an outage are kept in memory only; set outbox.path or "
                "state.dir to keep them on disk",
                broker.name,
            )
            return None
        named = str(durable.make_dir(folder) / "outbox.db")
    path = Path(named)
    return path if options.first else path.with_name(f"{path.name}-{broker.host}-{broker.port}")


class Box:
    """Always works; says when it does so without a disk. Owned by one thread.

    Args:
        name: the broker, for people.
        settings: where and how.
        counters: what became of events.
        moved: called when ids known before hold no more.
    """

    def __init__(
        self, name: str, settings: Settings, counters: Counters, moved: Callable[[], None]
    ) -> None:
        self.durable = False
        self.resets = 0
        self._name, self._settings = name, settings
        self._counters, self._moved = counters, moved
        self._due_s = 0.0
        self._box: Optional[Outbox] = None

    @property
    def outbox(self) -> Outbox:
        """The one in use."""
        assert self._box is not None, "open first"
        return self._box

    @property
    def losses(self) -> Losses:
        """What is lost."""
        return self.outbox.losses

    @property
    def token(self) -> str:
        """Names the outbox in use."""
        return self.outbox.state.token

    @property
    def waiting(self) -> int:
        """Events not acknowledged and not parked; may be read from any thread."""
        box = self._box
        return max(0, box.count - box.parked) if box else 0

    def open(self) -> None:
        """On disk if there is one and it works."""
        try:
            self._box = self._on_disk()
        except FAILURES as error:
            self._say(error)
        self._box = self._box or self._in_memory()

    def close(self) -> None:
        """Close it."""
        self.outbox.close()

    def commit(self, puts: Sequence[Entry], done: Sequence[int], losses: Losses) -> List[Row]:
        """As Outbox.commit, on another outbox when this one fails."""
        for attempt in range(1, TRIES + 1):
            known = max(self.losses.evicted, losses.evicted)
            try:
                rows = self.outbox.commit(puts, done, time.monotonic_ns(), losses)
            except sqlite3.Error as error:
                self._another(error, attempt == TRIES - 1)
                losses, done = self.losses, []
            else:
                self._counters.add("dropped", self.losses.evicted - known)
                return rows
        self._counters.add("dropped", len(puts))
        log.error("%s: %d events could not be kept", self._name, len(puts))
        return []

    def read(self, wish: Fetch, limit: int) -> Optional[List[Row]]:
        """The rows wanted; None when the outbox failed and another one is in use."""
        try:
            if wish.only:
                return self.outbox.oldest(wish.only, wish.skip)
            return self.outbox.after(wish.cursor, wish.below, limit, wish.without)
        except sqlite3.Error as error:
            self._another(error, in_memory=False)
            return None

    def park(self, row: Row) -> None:
        """Leave a row out until the next start."""
        if row.token == self.token:
            self.outbox.park([row.id])

    def return_to_disk(self) -> None:
        """Try the disk again when it is time, and take along what memory holds."""
        if self.durable or self._settings.path is None or time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + DISK_S
        memory = self.outbox
        try:
            disk = self._on_disk()
            assert disk is not None
            pour(memory, disk)
        except FAILURES as error:
            self.durable = False
            log.debug("%s: outbox %s: %s", self._name, self._settings.path, error)
            return
        memory.close()
        self._box = disk
        log.warning("%s: outbox %s: in use again", self._name, self._settings.path)
        self._moved()

    def _on_disk(self) -> Optional[Outbox]:
        if self._settings.path is None:
            return None
        box = Outbox(self._settings.path, self._settings.max_bytes, self._settings.run)
        self.durable = True
        self.resets += box.losses.reset is not None
        return box

    def _in_memory(self) -> Outbox:
        self.durable = False
        self._due_s = time.monotonic() + DISK_S
        return Outbox(None, self._settings.max_bytes, self._settings.run)

    def _another(self, error: Exception, in_memory: bool) -> None:
        self.outbox.close()
        self._box = None
        if in_memory:
            self._say(error)
            self._box = self._in_memory()
        else:
            log.warning("%s: outbox: %s", self._name, error)
            self.open()
        self._moved()

    def _say(self, error: Exception) -> None:
        path = self._settings.path
        log.error(
            "%s: outbox %s: %s; events are kept in memory only, mend it or make room",
            self._name,
            path,
            error,
        )


def pour(memory: Outbox, disk: Outbox) -> None:
    """Everything from one outbox into another, with what was lost and not told."""
    cursor = 0
    while True:
        rows = memory.after(cursor, 2**63 - 1, BATCH_ROWS)
        if not rows:
            break
        disk.commit([Entry(r.topic, r.body, r.priority) for r in rows], (), rows[0].t_ns)
        cursor = rows[-1].id
    lost = memory.losses.evicted - memory.losses.told
    if lost:
        evicted = disk.losses.evicted + lost
        disk.commit((), (), 0, dataclasses.replace(disk.losses, evicted=evicted))
