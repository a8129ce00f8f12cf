"""The outbox of a broker: on disk, or in memory while the disk fails."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Sequence

from edge import durable
from edge.errors import EdgeError
from edge.outbox.state_row import Losses
from edge.outbox.store import BATCH_ROWS, ODD, Entry, Outbox, Row
from edge.publish import SinkOptions
from edge.publish._counters import Counters
from edge.publish._inbox import FetchRequest

log = logging.getLogger(__name__)

DISK_S = 30.0  # between two tries of a disk that failed
TRIES = 3  # the present outbox, the file opened again (which mends damage), memory
FAILURES = (sqlite3.Error, OSError, EdgeError, *ODD)
IN_USE = (sqlite3.Error, *ODD)  # of an outbox that is open


@dataclass(frozen=True)
class OutboxSettings:
    """Where an outbox is and how events are ranked."""

    path: Optional[Path]  # None = in memory
    max_bytes: int
    run: str  # names this run of the program
    urgent: List[str]  # kinds of events that are evicted last
    minor: List[str]  # kinds of events that are evicted first


def outbox_file(name: str, place: str, options: SinkOptions) -> Optional[Path]:
    """Return the outbox file of a sink; None = in memory.

    The first such sink of a configuration has the plain name: if its address changes, the events go
    to the new address.

    Args:
        name: of the sink, for people.
        place: the sink's address, as part of a file name.
        options: where the outbox is.
    """
    named = options.outbox.path
    if not named:
        folder = durable.find_state_dir(options.state_dir)
        if folder is None:
            log.info(
                "%s: events of an outage are kept in memory only; set outbox.path or "
                "state.dir to keep them on disk",
                name,
            )
            return None
        named = str(durable.make_dir(folder) / "outbox.db")
    path = Path(named)
    if options.first_outbox:
        return path
    return path.with_name(f"{path.name}-{place}")


class FallbackOutbox:
    """An outbox that goes on in memory when its disk fails. One thread owns it.

    Args:
        name: the broker, for log lines.
        settings: where the outbox is.
        counters: of the sink.
        replaced: called when another outbox is in use, so that known row ids are invalid.
    """

    def __init__(
        self,
        name: str,
        settings: OutboxSettings,
        counters: Counters,
        replaced: Callable[[], None],
    ) -> None:
        self.durable = False  # whether the outbox in use is on disk
        self.resets = 0  # damaged files replaced
        self._name, self._settings = name, settings
        self._counters, self._replaced = counters, replaced
        self._due_s = 0.0
        self._current: Optional[Outbox] = None

    @property
    def current(self) -> Outbox:
        """The outbox in use; `open` comes first."""
        assert self._current is not None, "open first"
        return self._current

    @property
    def losses(self) -> Losses:
        """The losses of the outbox in use."""
        return self.current.losses

    @property
    def token(self) -> str:
        """The token of the outbox in use."""
        return self.current.state.token

    @property
    def waiting(self) -> int:
        """Number of events not acknowledged and not parked; any thread may read it."""
        outbox = self._current
        return max(0, outbox.count - outbox.parked) if outbox else 0

    def open(self) -> None:
        """Open the file; if that fails or none is configured, an outbox in memory."""
        try:
            self._current = self._on_disk()
        except FAILURES as error:
            self._log_fallback(error)
        self._current = self._current or self._in_memory()

    def close(self) -> None:
        """Close the outbox in use."""
        self.current.close()

    def commit(self, puts: Sequence[Entry], removed: Sequence[int], losses: Losses) -> List[Row]:
        """Call Outbox.commit; if the outbox fails, call it on another one."""
        for attempt in range(1, TRIES + 1):
            known = max(self.losses.evicted, losses.evicted)
            try:
                rows = self.current.commit(puts, removed, time.monotonic_ns(), losses)
            except IN_USE as error:
                self._replace(error, in_memory=attempt == TRIES - 1)
                losses, removed = self.losses, []
            else:
                self._counters.add("dropped", self.losses.evicted - known)
                return rows
        self._counters.add("dropped", len(puts))
        log.error("%s: %d events could not be kept", self._name, len(puts))
        return []

    def read(self, request: FetchRequest, limit: int) -> Optional[List[Row]]:
        """Read the requested rows; None if the outbox failed and another one is in use."""
        try:
            if request.only:
                return self.current.oldest(request.only, request.skip)
            if request.parked:
                most = 2**63 - 1
                return self.current.after(request.cursor, most, 1, request.without, "parked")
            return self.current.after(request.cursor, request.below, limit, request.without)
        except IN_USE as error:
            self._replace(error, in_memory=False)
            return None

    def follow(self) -> None:
        """Go on in a new file if the file was removed, replaced or unmounted under the program.

        Its events are still readable by the open file, so they move. Without a place on the disk
        they move into memory, until `return_to_disk` finds one.
        """
        try:
            problem = self.current.problem()
        except OSError as error:
            problem = f"its mark: {error.strerror}"
        presence = self.current.presence
        if not problem or presence is None:
            return
        if not presence.moved:  # opening the file again makes a journal, or finds the damage
            self._replace(sqlite3.OperationalError(problem), in_memory=False)
            return
        old, new = self.current, self._opened_anew(presence.device)
        kept = new or self._in_memory()
        recovered = move_rows(old, kept, problem)
        where = "in a new file" if new else "in memory only, mend it or make room"
        log.error(
            "%s: outbox %s: %s; %d of its %d events go on %s",
            *(self._name, self._settings.path, problem, recovered, old.count, where),
        )
        old.close()
        self._current = kept
        self.resets += 1
        self._replaced()

    def _opened_anew(self, device: int) -> Optional[Outbox]:
        """Open the file at the path again; its folder is made if no file system went with it."""
        folder = self._settings.path.parent if self._settings.path else Path()
        try:
            if not folder.exists() and folder.parent.stat().st_dev == device:
                durable.make_dir(folder)
            return self._on_disk(moving=True)
        except FAILURES as error:
            log.warning("%s: outbox %s: %s", self._name, self._settings.path, error)
            return None

    def park(self, row: Row) -> None:
        """Set a row aside."""
        if row.token == self.token:
            self.current.park([row.id])

    def unpark(self, row: Row) -> None:
        """Let a parked row wait again."""
        if row.token == self.token:
            self.current.unpark([row.id])

    def return_to_disk(self) -> None:
        """Try a failed disk again if it is time, and move the rows in memory there."""
        if self.durable or self._settings.path is None or time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + DISK_S
        memory, disk = self.current, None
        try:
            disk = self._on_disk()
            assert disk is not None
            copy_rows(memory, disk)
        except FAILURES as error:
            self.durable = False
            log.debug("%s: outbox %s: %s", self._name, self._settings.path, error)
            if disk is not None:
                disk.close()
            return
        memory.close()
        self._current = disk
        log.warning("%s: outbox %s: in use again", self._name, self._settings.path)
        self._replaced()

    def _on_disk(self, moving: bool = False) -> Optional[Outbox]:
        settings = self._settings
        if settings.path is None:
            return None
        outbox = Outbox(settings.path, settings.max_bytes, settings.run, moving)
        self.durable = True
        self.resets += outbox.losses.reset is not None and not moving
        return outbox

    def _in_memory(self) -> Outbox:
        self.durable = False
        self._due_s = time.monotonic() + DISK_S
        return Outbox(None, self._settings.max_bytes, self._settings.run)

    def _replace(self, error: Exception, in_memory: bool) -> None:
        self.current.close()
        self._current = None
        if in_memory:
            self._log_fallback(error)
            self._current = self._in_memory()
        else:
            log.warning("%s: outbox: %s", self._name, error)
            self.open()
        self._replaced()

    def _log_fallback(self, error: Exception) -> None:
        log.error(
            "%s: outbox %s: %s; events are kept in memory only, mend it or make room",
            self._name,
            self._settings.path,
            error,
        )


def copy_rows(source: Outbox, target: Outbox) -> None:
    """Copy all rows of an outbox into another one, with the losses that are not reported yet."""
    for rows in _batches(source):
        target.commit([Entry(r.topic, r.body, r.priority, r.run, r.t_ns) for r in rows])
    known = target.losses
    evicted = known.evicted + source.losses.evicted - source.losses.reported
    losses = dataclasses.replace(known, evicted=evicted, reset=source.losses.reset or known.reset)
    if losses != known:
        target.commit((), (), 0, losses)


def move_rows(source: Outbox, target: Outbox, reason: str) -> int:
    """Copy what can be read of an outbox whose file is gone, and note a reset in the target.

    Returns:
        How many rows were copied.
    """
    before = target.count
    try:
        copy_rows(source, target)
    except IN_USE as error:
        log.warning("outbox %s: %s", source.path, error)
    copied = target.count - before
    known = source.losses.reset or {}
    lost = max(0, source.count - copied) + (known.get("lost") or 0)
    reset = {"reason": reason, "recovered": copied, "lost": lost}
    with contextlib.suppress(*IN_USE):  # the next commit finds the same failure
        target.commit((), (), 0, dataclasses.replace(target.losses, reset=reset))
    return copied


def _batches(source: Outbox) -> Iterator[List[Row]]:
    """All rows, in pieces that one commit takes."""
    cursor = 0
    while True:
        rows = source.after(cursor, 2**63 - 1, BATCH_ROWS, which="all")
        if not rows:
            return
        yield rows
        cursor = rows[-1].id
