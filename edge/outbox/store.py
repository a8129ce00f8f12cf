"""The outbox: a bounded store of events on disk.

Promised: a row that `commit` returned is there after a kill of the process and after a power cut
(if the disk obeys fsync), in the order of its id, until it is removed or evicted. This also holds
with 0 free blocks on the disk. Losses beyond that are counted, and the count is on disk.

Not promised: an event is in memory between its rule and the end of the next commit. That takes one
or two commits (a few ms on an SSD, tens of ms on an SD card). A kill in that time loses the event,
and the loss is not counted.

One thread owns an outbox. Only the standard library is used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence

from edge.errors import ConfigError
from edge.outbox import room, state_row
from edge.outbox import sqlite_file as file
from edge.outbox.mark import Mark, MarkFile, compared
from edge.outbox.presence import Presence
from edge.outbox.salvage import Places, rebuild, settle
from edge.outbox.schema import PAGE
from edge.outbox.state_row import DamagedError, Losses

log = logging.getLogger(__name__)

MINOR, NORMAL, URGENT = 0, 1, 2  # the order of eviction
WHICH = {  # rows that a query is about
    "waiting": "AND id NOT IN (SELECT id FROM parked)",
    "parked": "AND id IN (SELECT id FROM parked)",
    "all": "",
}
BATCH_BYTES = 2**18  # of one transaction, so that its journal fits into the reserved space
BATCH_ROWS = 128
MAX_BODY_BYTES = 2**17  # of one event
ODD = (ValueError, TypeError, OverflowError, LookupError)  # what a field of another type may raise
# How SQLite's messages begin if the disk is at fault, not the file's content.
DISK = ("database or disk is full", "unable to open", "disk I/O error", "attempt to write")


@dataclass(frozen=True)
class Entry:
    """An event to store."""

    topic: str
    body: bytes
    priority: int = NORMAL
    run: str = ""  # of a row of another outbox; empty = stored now by this run
    t_ns: int = 0  # of that row


@dataclass(frozen=True)
class Row:
    """A stored event."""

    id: int  # rises; never used twice
    priority: int
    run: str  # the run of the program that stored it
    t_ns: int  # monotonic, when it was stored; comparable within a run
    topic: str
    body: bytes
    token: str  # of the outbox


class Outbox:
    """A bounded store of events.

    Args:
        path: the file; further files beside it begin with its name. None = in memory.
        max_bytes: size of the file. If it is full, rows of the lowest priority are evicted, the
            oldest first, and counted.
        run: names this run of the program.
        moving: the rows of a file that is gone move here; their loss is noted and not logged.

    Raises:
        ConfigError: the folder is missing. UnavailableError: another process has the file.
        sqlite3.Error, OSError: the disk refuses. Damage is no error: see `losses.reset`.
    """

    def __init__(
        self, path: Optional[Path], max_bytes: int, run: str, moving: bool = False
    ) -> None:
        self.path, self._run, self._moving = path, run, moving
        self._mark: Optional[MarkFile] = None
        try:
            self._db = self._open(Places(path)) if path else file.connect(None)
        except BaseException:
            self._close_mark()
            raise
        try:
            self.state = state_row.read(self._db)
            self._compare_with_mark()
            self._reserve(max(max_bytes // PAGE, file.LEAST_PAGES))
            self._db.execute("CREATE TEMP TABLE parked (id INTEGER PRIMARY KEY)")
            self.count = int(self._db.execute("SELECT count(*) FROM events").fetchone()[0])
            self.parked = 0
            self._write_mark()
            self.presence = Presence(path, Places(path).journal) if path else None
        except BaseException:
            self.close()
            raise

    def problem(self) -> str:
        """Look whether the files are still those at their paths; a mark that is not is renewed.

        Returns:
            What happened to the database or its journal; "" = nothing.

        Raises:
            OSError: the mark cannot be renewed.
        """
        found = self.presence.problem() if self.presence else ""
        if self.path and not found and self._mark is not None and self._mark.moved:
            self._close_mark()
            self._mark = MarkFile(Places(self.path).mark)
            self._write_mark()
        return found

    @property
    def losses(self) -> Losses:
        """Events lost so far, and which losses were reported."""
        return self.state.losses

    def commit(
        self,
        puts: Sequence[Entry],
        removed: Sequence[int] = (),
        now_ns: int = 0,
        losses: Optional[Losses] = None,
    ) -> List[Row]:
        """Store and remove rows in one durable transaction.

        Args:
            puts: at most BATCH_ROWS with at most BATCH_BYTES together.
            removed: at most BATCH_ROWS ids; unknown ids are ignored.
            now_ns: monotonic time of the new rows.
            losses: replaces the known losses, when some were reported; None = no change.

        Returns:
            The rows stored, in the order of `puts`.

        Raises:
            sqlite3.Error: nothing was changed.
        """
        state = dataclasses.replace(self.state, losses=losses or self.losses)
        rows = [
            Row(
                *(state.next_id + i, p.priority, p.run or self._run, p.t_ns if p.run else now_ns),
                *(p.topic, p.body, state.token),
            )
            for i, p in enumerate(puts)
        ]
        with file.transaction(self._db):
            count = self.count - room.delete(self._db, removed)
            if rows:
                sizes = [len(p.body) + len(p.topic) + 100 for p in puts]
                evicted = room.make_room(self._db, self._pages, sizes, count)
                more = dataclasses.replace(state.losses, evicted=state.losses.evicted + evicted)
                state = dataclasses.replace(state, losses=more, next_id=rows[-1].id + 1)
                self._insert(rows)
                count += len(rows) - evicted
            if state != self.state:
                state_row.write(self._db, state)
        self.state, self.count = state, count
        if self.parked:
            self._count_parked()
        self._write_mark()
        return rows

    def after(
        self,
        cursor: int,
        below: int,
        limit: int,
        without: Sequence[str] = (),
        which: str = "waiting",
    ) -> List[Row]:
        """Return rows in the order of ids.

        Args:
            cursor: lower bound of the ids, exclusive.
            below: upper bound of the ids, exclusive.
            limit: number of rows at most; a few more than BATCH_BYTES end the list, too.
            without: topics left out, at most 500.
            which: a key of WHICH.

        Raises:
            sqlite3.Error: a row or page is damaged; open the outbox again.
        """
        marks = ",".join("?" * len(without))
        found = self._db.execute(
            f"SELECT {file.COLUMNS}, crc FROM events WHERE id > ? AND id < ? "
            f"{WHICH[which]} AND topic NOT IN ({marks}) ORDER BY id LIMIT ?",
            (cursor, below, *without, limit),
        )
        return self._checked(found)

    def oldest(self, topic: str, without: Sequence[int] = ()) -> List[Row]:
        """Return the oldest row of a topic that is neither parked nor in `without`; [] = none."""
        marks = ",".join("?" * len(without))
        found = self._db.execute(
            f"SELECT {file.COLUMNS}, crc FROM events WHERE topic = ? AND id NOT IN ({marks}) "
            f"{WHICH['waiting']} ORDER BY id LIMIT 1",
            (topic, *without),
        )
        return self._checked(found)

    def park(self, ids: Sequence[int]) -> None:
        """Set rows aside: `oldest` and `after` leave them out, until `unpark` or the next start."""
        self._db.executemany("INSERT OR IGNORE INTO parked VALUES (?)", [(i,) for i in ids])
        self._count_parked()

    def unpark(self, ids: Sequence[int]) -> None:
        """Let parked rows wait again."""
        self._db.executemany("DELETE FROM parked WHERE id = ?", [(i,) for i in ids])
        self._count_parked()

    def _count_parked(self) -> None:
        found = "SELECT count(*) FROM parked JOIN events USING (id)"
        self.parked = int(self._db.execute(found).fetchone()[0])

    def close(self) -> None:
        """Close all files; may be called twice."""
        self._db.close()
        self._close_mark()

    def _close_mark(self) -> None:
        if self._mark is not None:
            self._mark.close()
        self._mark = None

    def _open(self, places: Places) -> sqlite3.Connection:
        if not places.db.parent.is_dir():
            raise ConfigError(f"outbox.path: {places.db.parent}: no such folder; create it")
        settle(places)
        self._mark = MarkFile(places.mark)
        try:
            return file.verified(places.db)
        except sqlite3.OperationalError as error:
            if str(error).startswith(DISK):
                raise
            reason = str(error)
        except (sqlite3.Error, *ODD) as error:
            reason = str(error)
        rebuild(places, reason, None if self._moving else self._mark.found)
        self._mark.found = None  # its losses are counted now
        return file.verified(places.db)

    def _compare_with_mark(self) -> None:
        mark = self._mark.found if self._mark else None
        state = compared(mark, self.state, str(self.path), self._moving)
        if state != self.state:
            self.state = state
            with file.transaction(self._db):
                state_row.write(self._db, state)

    def _reserve(self, pages: int) -> None:
        self._pages = min(pages, file.reserve(self._db, pages)) if self.path else pages
        if self._pages < pages:
            mb = self._pages * PAGE / 2**20
            log.warning("%s: the disk is full: room for %.1f MB only", self.path, mb)
        most = max(self._pages, file.number(self._db, "page_count"))
        self._db.execute(f"PRAGMA max_page_count={most}")

    def _insert(self, rows: Sequence[Row]) -> None:
        file.insert(self._db, [(r.id, r.priority, r.run, r.t_ns, r.topic, r.body) for r in rows])

    def _checked(self, found: sqlite3.Cursor) -> List[Row]:
        rows: List[Row] = []
        size = 0
        # An open statement keeps the file locked, even after its connection is closed.
        with contextlib.closing(found):
            for raw in found:
                if not file.sound(raw):
                    raise DamagedError(f"row {raw[0]!r:.20} has a wrong checksum")
                i, priority, run, t_ns, topic, body = raw[:6]
                rows.append(Row(i, priority, run, t_ns, topic, body, self.state.token))
                size += len(body)
                if size > BATCH_BYTES:
                    break
        return rows

    def _write_mark(self) -> None:
        """Write the mark. The commit is done, so a failure is only logged."""
        if self._mark is None:
            return
        try:
            self._mark.write(Mark(self.state.next_id, self.count, self.state.token))
        except OSError as error:
            log.warning("%s.mark: %s", self.path, error.strerror)
            self._close_mark()
