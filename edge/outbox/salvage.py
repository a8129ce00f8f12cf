"""Replace a damaged outbox by a new file with every row that can still be read.

A kill at any point leaves the damaged file, the complete new one, or both; the next start goes on
from there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from edge import durable
from edge.outbox import sqlite_file as file
from edge.outbox import state_row
from edge.outbox.mark import ID_GAP, Mark
from edge.outbox.schema import PAGE
from edge.outbox.sqlite_file import Raw
from edge.outbox.state_row import Losses, State

MAX_BYTES = 2**32  # more than outbox.max_mb allows
STATE_COLUMNS = 4
MAGIC = b"SQLite format 3\0"
EVENTS = b"CREATE TABLE events"
# Magic, page size, versions, fractions, counter, page count, free list, schema, cache, root, UTF-8.
HEAD = struct.Struct(">16sH6B10I")
# What SQLite and Python raise for damage; a new block of the same object suppresses again.
UNREADABLE = contextlib.suppress(sqlite3.Error, ValueError, TypeError, OverflowError)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """The paths of one outbox's files."""

    db: Path

    def beside(self, ending: str) -> Path:
        """The path of the database with an ending."""
        return self.db.with_name(self.db.name + ending)

    @property
    def journal(self) -> Path:
        """SQLite's rollback journal; SQLite chose the name."""
        return self.beside("-journal")

    @property
    def damaged(self) -> Path:
        """The last damaged file, kept for inspection."""
        return self.beside(".corrupt")

    @property
    def fresh(self) -> Path:
        """The new file, until it replaces the damaged one."""
        return self.beside(".new")

    @property
    def fresh_journal(self) -> Path:
        """The rollback journal of the new file."""
        return self.beside(".new-journal")

    @property
    def mark(self) -> Path:
        """See edge/outbox/mark.py."""
        return self.beside(".mark")


def salvage(path: Path) -> Tuple[List[Raw], Optional[State]]:
    """Read a damaged file from both ends.

    Tables and columns may have other names; rows are known by their checksums. Views and triggers
    are not used.

    Returns:
        Every row that can be read and has the right checksum, in the order of ids; and what can be
        read of the state, None if there is no state.
    """
    rows: Dict[int, Raw] = {}
    state: Optional[State] = None
    _lengthen(path)
    with contextlib.closing(sqlite3.connect(str(path), isolation_level=None)) as db:
        db.text_factory = file.any_text
        for name, columns in _tables(db):
            if columns >= len(file.KINDS) + 1:
                rows.update(_read_rows(db, name))
            elif columns >= STATE_COLUMNS:
                state = state or _read_state(db, name)
    return [rows[i] for i in sorted(rows)], state


def _tables(db: sqlite3.Connection) -> List[Tuple[str, int]]:
    """Quoted name and number of columns of every real table, as far as they can be read."""
    found: List[Tuple[str, int]] = []
    with UNREADABLE:
        db.execute("PRAGMA writable_schema=ON")  # a broken entry of the schema hides no other
        listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
        for (name,) in db.execute(listed).fetchall():
            quoted = '"' + str(name).replace('"', '""') + '"'
            with UNREADABLE:
                columns = db.execute(f"PRAGMA table_info({quoted})").fetchall()
                found.append((quoted, len(columns)))
    return found


def _read_rows(db: sqlite3.Connection, table: str) -> Dict[int, Raw]:
    rows: Dict[int, Raw] = {}
    for order in ("ASC", "DESC"):
        with UNREADABLE:
            for row in _walk(db, table, order):
                if file.sound(row):
                    i, priority, run, t_ns, topic, body = row[:6]
                    rows[i] = (i, priority, run, t_ns, topic, body)
    return rows


def _read_state(db: sqlite3.Connection, table: str) -> Optional[State]:
    with UNREADABLE:
        row = db.execute(f"SELECT * FROM {table}").fetchone()
        if row is not None:
            return state_row.salvage(row[1:STATE_COLUMNS])
    return None


def _walk(db: sqlite3.Connection, table: str, order: str) -> Iterator[Tuple[Any, ...]]:
    """Yield the columns of rows up to the first damaged page.

    There is one query for each row: Python's cursor reads one row ahead, so an error behind a row
    would lose that row too.
    """
    rises = order == "ASC"
    last = -1 if rises else 2**63 - 1
    query = (
        f"SELECT rowid, * FROM {table} WHERE rowid {'>' if rises else '<'} ? "
        f"ORDER BY rowid {order} LIMIT 1"
    )
    while True:
        row = db.execute(query, (last,)).fetchone()
        if row is None or (row[0] <= last if rises else row[0] >= last):  # a damaged index
            return
        last = row[0]
        yield row[1:]


def rebuild(places: Places, reason: str, mark: Optional[Mark]) -> None:
    """Put every readable row into a new file; the damaged file is kept beside it.

    Args:
        places: the files.
        reason: what is damaged, for the log and the outbox_reset event.
        mark: what the file held; None = not known.

    Raises:
        OSError, sqlite3.Error: the disk refuses.
    """
    rows, known = salvage(places.db)
    lost = None if mark is None else max(0, mark.waiting - len(rows))
    reason = "".join(c for c in reason if c.isprintable())[: state_row.MOST_REASON]
    reset = {"reason": reason, "recovered": len(rows), "lost": lost}
    losses = dataclasses.replace(known.losses if known else Losses(), reset=reset)
    shown = "an unknown number" if lost is None else lost
    log.error("%s: damaged (%s): %d events saved, %s lost", places.db, reason, len(rows), shown)
    replace(places, *_numbered(rows, known, mark, losses))


def _numbered(
    rows: List[Raw], known: Optional[State], mark: Optional[Mark], losses: Losses
) -> Tuple[List[Raw], State]:
    """The rows and the state of the new file; rows get new ids where the old ones are too high."""
    ids = [row[0] for row in rows] + [mark.next_id if mark else 0, known.next_id if known else 0]
    next_id = max(ids) + ID_GAP
    if state_row.is_next_id(next_id):
        token = known.token if known else mark.token if mark else state_row.new_token()
        return rows, State(token, next_id, losses)
    again: List[Raw] = [(i, *row[1:]) for i, row in enumerate(rows, 1)]
    return again, State(state_row.new_token(), len(rows) + 1, losses)


def _lengthen(path: Path) -> None:
    """Give a truncated file its length back (as a hole), or SQLite reads none of it.

    The header has page size and page count at bytes 16 and 28 (SQLite file format, section 1.3).
    """
    with path.open("rb") as opened:
        head = opened.read(PAGE)
    if EVENTS in head and path.stat().st_size >= PAGE:
        _mend_head(path, head)
    elif len(head) >= 32 and head.startswith(MAGIC):
        size = int.from_bytes(head[16:18], "big") * int.from_bytes(head[28:32], "big")
        if path.stat().st_size < size <= MAX_BYTES:
            os.truncate(str(path), size)


def _mend_head(path: Path, head: bytes) -> None:
    """Write those fields of the header that are the same in every outbox, and the page count.

    One wrong byte in them makes the whole file unreadable. The list of free pages is not used.
    """
    known = int.from_bytes(head[28:32], "big")
    size = path.stat().st_size
    pages = known if size < known * PAGE <= MAX_BYTES else size // PAGE
    fields = HEAD.pack(MAGIC, PAGE, 1, 1, 0, 64, 32, 32, 1, pages, 0, 0, 1, 4, 0, 0, 1, 0)
    with path.open("r+b") as opened:
        opened.write(fields)
        opened.truncate(max(size, pages * PAGE))


def replace(places: Places, rows: List[Raw], state: State) -> None:
    """Replace a damaged file by a new one; the damaged file is kept as `.corrupt`.

    A kill between any two steps leaves the damaged file or the complete new one; `settle` finishes.

    Args:
        places: the files.
        rows: what was read of the damaged file.
        state: for the new file.

    Raises:
        OSError, sqlite3.Error: the disk refuses.
    """
    _unlink(places.fresh, places.fresh_journal)
    try:
        _write(places.fresh, rows, state)
        places.db.replace(places.damaged)
    except (OSError, sqlite3.Error):
        # No room for both files: give up the damaged one.
        log.warning("%s: no room to keep the damaged file", places.db)
        _unlink(places.fresh, places.fresh_journal, places.damaged, places.db, places.journal)
        _write(places.fresh, rows, state)
    settle(places)


def _write(path: Path, rows: List[Raw], state: State) -> None:
    with contextlib.closing(file.connect(path)) as db, file.transaction(db):
        file.insert(db, rows)
        state_row.write(db, state)
    durable.sync_dir(path.parent)


def settle(places: Places) -> None:
    """Finish a `replace` that a kill interrupted; raises OSError."""
    if places.fresh.exists() and not places.db.exists():
        # SQLite must apply the new file's own journal, not the old one, to the new file.
        _unlink(places.journal)
        with contextlib.closing(sqlite3.connect(str(places.fresh))) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _unlink(places.fresh_journal)
        places.fresh.replace(places.db)
        durable.sync_dir(places.db.parent)
    elif places.fresh.exists():
        _unlink(
            places.fresh, places.fresh_journal
        )  # incomplete, and the damaged file is still there


def _unlink(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
