"""Events on disk until they are acknowledged.

What it promises: a row that `commit` returned is there after a kill of the process and after a
power cut (given a disk that obeys fsync), in the order of its id, until it is removed or evicted;
with 0 free blocks on the disk; and whatever is lost beyond that is counted where it survives.

What it does not: an event lives in memory between the rule that gave it and the end of the commit
that its writer thread makes next. That window is the time of one or two commits (a few ms on an
SSD, tens of ms on an SD card); a kill within it loses the events in it, and nobody can tell.

One thread owns an outbox. Standard library only.
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
from edge.outbox.mark import Mark, MarkFile
from edge.outbox.salvage import Places, replace, salvage, settle
from edge.outbox.sqlite_file import DamagedError, Losses, State

log = logging.getLogger(__name__)

MINOR, NORMAL, URGENT = 0, 1, 2  # the order of eviction
BATCH_BYTES = 2**18  # of one transaction, so that its journal fits into the room it has
BATCH_ROWS = 128
MAX_BODY_BYTES = 2**17  # of one event
ID_GAP = 1000  # ids skipped after damage: more than a mark can be behind
# What SQLite says when the disk is at fault and not what is on it.
DISK = ("database or disk is full", "unable to open", "disk I/O error", "attempt to write")


@dataclass(frozen=True)
class Entry:
    """An event to keep."""

    topic: str
    body: bytes
    priority: int = NORMAL


@dataclass(frozen=True)
class Row:
    """An event that is kept."""

    id: int  # rises, never used twice
    priority: int
    run: str  # the run of the program that stored it
    t_ns: int  # monotonic, when; comparable within a run
    topic: str
    body: bytes
    token: str  # of the outbox it is in


class Outbox:
    """A bounded store.

    Args:
        path: its file; others beside it begin with its name. None = in memory, lost with us.
        max_bytes: size of the file. When full, the rows of lowest priority go first, the oldest
            among them, and are counted.
        run: names this run of the program.

    Raises:
        ConfigError: its folder is not there. UnavailableError: another process has it.
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
            self.state = file.recall(self._db)
            self._notice_loss()
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
        """What was lost so far, and what of it was told."""
        return self.state.losses

    def commit(
        self,
        puts: Sequence[Entry],
        removed: Sequence[int] = (),
        now_ns: int = 0,
        losses: Optional[Losses] = None,
    ) -> List[Row]:
        """Store and remove, durably, all or nothing.

        Args:
            puts: at most BATCH_BYTES together and BATCH_ROWS; `removed` as many.
            removed: ids; unknown ones do no harm.
            now_ns: the monotonic time of the rows.
            losses: replaces what is known of losses (when some were told).

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
                file.store(self._db, state)
        self.state, self.count = state, count
        self._write_mark()
        return rows

    def after(self, cursor: int, below: int, limit: int, without: Sequence[str] = ()) -> List[Row]:
        """Rows that wait, in order, without those parked.

        Args:
            cursor: ids above it, ...
            below: ... and below this.
            limit: rows at most; together not much above BATCH_BYTES.
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
        """The first row of a topic that is not parked and none of `without`, if any."""
        marks = ",".join("?" * len(without))
        found = self._db.execute(
            f"SELECT {file.COLUMNS}, crc FROM events WHERE topic = ? AND id NOT IN ({marks}) "
            "AND id NOT IN (SELECT id FROM parked) ORDER BY id LIMIT 1",
            (topic, *without),
        )
        return self._checked(found)

    def park(self, ids: Sequence[int]) -> None:
        """Leave rows out until the outbox is opened again."""
        self._db.executemany("INSERT OR IGNORE INTO parked VALUES (?)", [(i,) for i in ids])
        found = "SELECT count(*) FROM parked JOIN events USING (id)"
        self.parked = int(self._db.execute(found).fetchone()[0])

    def close(self) -> None:
        """Close; may be called twice."""
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
        except sqlite3.DatabaseError as error:
            reason = str(error)
        self._restart(places, reason)
        return file.verified(places.db)

    def _restart(self, places: Places, reason: str) -> None:
        """Save what can be read into a new file; the damaged one is kept beside it."""
        rows, known = salvage(places.db)
        mark = self._mark.found if self._mark else None
        ids = [row[0] for row in rows] + [mark.next_id if mark else 0]
        ids.append(known.next_id if known else 0)
        token = known.token if known else mark.token if mark else file.new_token()
        lost = None if mark is None else max(0, mark.waiting - len(rows))
        reset = {"reason": reason, "recovered": len(rows), "lost": lost}
        losses = dataclasses.replace(known.losses if known else Losses(), reset=reset)
        told = "an unknown number" if lost is None else lost
        log.error("%s: damaged (%s): %d events saved, %s lost", places.db, reason, len(rows), told)
        replace(places, rows, State(token, max(ids) + ID_GAP, losses))

    def _notice_loss(self) -> None:
        """A file that is whole but older than its mark has lost rows."""
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
        self.state = dataclasses.replace(self.state, next_id=next_id)
        with file.transaction(self._db):
            file.store(self._db, self.state)

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
        """Evict until there is room; a page is freed when all rows in it are gone."""
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
        """Pages that rows may still take."""
        return self._pages - self._used()

    def _used(self) -> int:
        return file.number(self._db, "page_count") - file.number(self._db, "freelist_count")

    def _checked(self, found: sqlite3.Cursor) -> List[Row]:
        rows: List[Row] = []
        size = 0
        # Closed: a statement that is open keeps the file locked, even after its connection.
        with contextlib.closing(found):
            for raw in found:
                if file.crc(raw[:6]) != raw[6]:
                    raise DamagedError(f"row {raw[0]} has a wrong checksum")
                i, priority, run, t_ns, topic, body = raw[:6]
                rows.append(Row(i, priority, run, t_ns, topic, body, self.state.token))
                size += len(body)
                if size > BATCH_BYTES:
                    break
        return rows

    def _write_mark(self) -> None:
        """The commit is done whatever becomes of its mark."""
        if self._mark is None:
            return
        try:
            self._mark.write(Mark(self.state.next_id, self.count, self.state.token))
        except OSError as error:
            log.warning("%s.mark: %s", self.path, error.strerror)
            self._close_mark()
