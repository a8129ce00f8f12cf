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
from typing import Any, Dict, List, Optional, Sequence

from edge.errors import ConfigError
from edge.outbox import sqlite_file as file
from edge.outbox import state_row
from edge.outbox.mark import Mark, MarkFile
from edge.outbox.salvage import ID_GAP, Places, rebuild, settle
from edge.outbox.state_row import DamagedError, Losses

log = logging.getLogger(__name__)

MINOR, NORMAL, URGENT = 0, 1, 2  # the order of eviction
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

    Raises:
        ConfigError: the folder is missing. UnavailableError: another process has the file.
        sqlite3.Error, OSError: the disk refuses. Damage is no error: see `losses.reset`.
    """

    def __init__(self, path: Optional[Path], max_bytes: int, run: str) -> None:
        self.path, self._run = path, run
        self._mark: Optional[MarkFile] = None
        try:
            self._db = self._open(Places(path)) if path else file.connect(None)
        except BaseException:
            self._close_mark()
            raise
        try:
            self.state = state_row.read(self._db)
            self._compare_with_mark()
            self._reserve(max(max_bytes // file.PAGE, file.LEAST_PAGES))
            self._db.execute("CREATE TEMP TABLE parked (id INTEGER PRIMARY KEY)")
            self.count = int(self._db.execute("SELECT count(*) FROM events").fetchone()[0])
            self.parked = 0
            self._write_mark()
        except BaseException:
            self.close()
            raise

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
            Row(state.next_id + i, p.priority, self._run, now_ns, p.topic, p.body, state.token)
            for i, p in enumerate(puts)
        ]
        with file.transaction(self._db):
            count = self.count - self._delete(removed)
            if rows:
                evicted = self._make_room(puts, count)
                more = dataclasses.replace(state.losses, evicted=state.losses.evicted + evicted)
                state = dataclasses.replace(state, losses=more, next_id=rows[-1].id + 1)
                self._insert(rows)
                count += len(rows) - evicted
            if state != self.state:
                state_row.write(self._db, state)
        self.state, self.count = state, count
        self._write_mark()
        return rows

    def after(self, cursor: int, below: int, limit: int, without: Sequence[str] = ()) -> List[Row]:
        """Return waiting rows in the order of ids; parked rows are left out.

        Args:
            cursor: lower bound of the ids, exclusive.
            below: upper bound of the ids, exclusive.
            limit: number of rows at most; a few more than BATCH_BYTES end the list, too.
            without: topics left out, at most 500.

        Raises:
            sqlite3.Error: a row or page is damaged; open the outbox again.
        """
        marks = ",".join("?" * len(without))
        found = self._db.execute(
            f"SELECT {file.COLUMNS}, crc FROM events WHERE id > ? AND id < ? "
            f"AND id NOT IN (SELECT id FROM parked) AND topic NOT IN ({marks}) "
            "ORDER BY id LIMIT ?",
            (cursor, below, *without, limit),
        )
        return self._checked(found)

    def oldest(self, topic: str, without: Sequence[int] = ()) -> List[Row]:
        """Return the oldest row of a topic that is neither parked nor in `without`; [] = none."""
        marks = ",".join("?" * len(without))
        found = self._db.execute(
            f"SELECT {file.COLUMNS}, crc FROM events WHERE topic = ? AND id NOT IN ({marks}) "
            "AND id NOT IN (SELECT id FROM parked) ORDER BY id LIMIT 1",
            (topic, *without),
        )
        return self._checked(found)

    def park(self, ids: Sequence[int]) -> None:
        """Leave rows out of `after` and `oldest` until the outbox is opened again."""
        self._db.executemany("INSERT OR IGNORE INTO parked VALUES (?)", [(i,) for i in ids])
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

    # Opening ---------------------------------------------------------------------------------

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
        rebuild(places, reason, self._mark.found)
        self._mark.found = None  # its losses are counted now
        return file.verified(places.db)

    def _compare_with_mark(self) -> None:
        """Count lost rows: an undamaged file that is older than its mark has lost some."""
        mark = self._mark.found if self._mark else None
        if mark is None or (mark.token == self.state.token and mark.next_id <= self.state.next_id):
            return
        same = mark.token == self.state.token
        lost = mark.next_id - self.state.next_id if same else mark.waiting
        if lost:
            reason = "the file is older than it was" if same else "the file is another one"
            log.error("%s: %s: up to %d events lost", self.path, reason, lost)
            reset: Dict[str, Any] = {"reason": reason, "recovered": 0, "lost": lost}
            losses = dataclasses.replace(self.losses, reset=reset)
            self.state = dataclasses.replace(self.state, losses=losses)
        next_id = max(mark.next_id, self.state.next_id) + ID_GAP
        if not state_row.is_next_id(next_id):
            next_id = self.state.next_id + ID_GAP
        self.state = dataclasses.replace(self.state, next_id=next_id)
        with file.transaction(self._db):
            state_row.write(self._db, self.state)

    def _reserve(self, pages: int) -> None:
        self._pages = min(pages, file.reserve(self._db, pages)) if self.path else pages
        if self._pages < pages:
            mb = self._pages * file.PAGE / 2**20
            log.warning("%s: the disk is full: room for %.1f MB only", self.path, mb)
        most = max(self._pages, file.number(self._db, "page_count"))
        self._db.execute(f"PRAGMA max_page_count={most}")

    # Rows ------------------------------------------------------------------------------------

    def _delete(self, ids: Sequence[int]) -> int:
        before = self._db.total_changes
        self._db.executemany("DELETE FROM events WHERE id = ?", [(i,) for i in ids])
        return self._db.total_changes - before

    def _insert(self, rows: Sequence[Row]) -> None:
        file.insert(self._db, [(r.id, r.priority, r.run, r.t_ns, r.topic, r.body) for r in rows])

    def _make_room(self, puts: Sequence[Entry], count: int) -> int:
        """Evict rows until there is room; a page is free only when all its rows are gone."""
        sizes = [len(p.body) + len(p.topic) + 100 for p in puts]
        need = 8 + sum(size // 2000 + 1 for size in sizes) // 2 + sum(s // 4000 for s in sizes)
        if self._spare() >= need:
            return 0
        goal, evicted = need + min(self._pages // 64, file.CHUNK // 3), 0
        while self._spare() < goal and evicted < count:
            some = max(4, (goal - self._spare()) * (count - evicted) // max(self._used(), 1))
            worst = "SELECT id FROM events ORDER BY priority, id LIMIT ?"
            evicted += self._delete([i for (i,) in self._db.execute(worst, (some,)).fetchall()])
        return evicted

    def _spare(self) -> int:
        """Number of pages left for rows."""
        return self._pages - self._used()

    def _used(self) -> int:
        return file.number(self._db, "page_count") - file.number(self._db, "freelist_count")

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
