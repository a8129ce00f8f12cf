"""What is done with a damaged outbox: save what can be read, put it aside, go on.

A kill at any point leaves the damaged file, or the whole new one, or both: the next start goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from edge import durable
from edge.outbox import sqlite_file as file
from edge.outbox.sqlite_file import Raw, State

MAX_BYTES = 2**32  # of an outbox.max_mb
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """The files of one outbox."""

    db: Path

    def beside(self, ending: str) -> Path:
        """A file that belongs to it."""
        return self.db.with_name(self.db.name + ending)

    @property
    def journal(self) -> Path:
        """SQLite's own; named by SQLite."""
        return self.beside("-journal")

    @property
    def damaged(self) -> Path:
        """The last one that was put aside."""
        return self.beside(".corrupt")

    @property
    def fresh(self) -> Path:
        """What was saved of it, until it takes its place."""
        return self.beside(".new")

    @property
    def fresh_journal(self) -> Path:
        """The journal of that."""
        return self.beside(".new-journal")

    @property
    def mark(self) -> Path:
        """See edge/outbox/mark.py."""
        return self.beside(".mark")


def salvage(path: Path) -> Tuple[List[Raw], Optional[State]]:
    """Every row of a damaged file that can be read and is whole, from both ends; what it knew."""
    rows: Dict[int, Raw] = {}
    state: Optional[State] = None
    _lengthen(path)
    unreadable = contextlib.suppress(sqlite3.Error, ValueError, TypeError, OverflowError)
    with contextlib.closing(sqlite3.connect(str(path), isolation_level=None)) as db:
        db.text_factory = file.any_text
        for order in ("ASC", "DESC"):
            with unreadable:
                for row in _walk(db, order):
                    if isinstance(row[5], bytes) and file.crc(row[:6]) == row[6]:
                        rows[row[0]] = row[:6]
        with unreadable:
            state = file.recall(db)
    return [rows[i] for i in sorted(rows)], state


def _walk(db: sqlite3.Connection, order: str) -> Iterator[Tuple[Any, ...]]:
    """Yield rows up to the first damaged page.

    One query for each row: a cursor of Python's reads one row ahead, so that an error behind a row
    would lose the row too.
    """
    rises = order == "ASC"
    last = -1 if rises else 2**63 - 1
    query = (
        f"SELECT {file.COLUMNS}, crc FROM events WHERE id {'>' if rises else '<'} ? "
        f"ORDER BY id {order} LIMIT 1"
    )
    while True:
        row = db.execute(query, (last,)).fetchone()
        if row is None or (row[0] <= last if rises else row[0] >= last):  # a damaged index
            return
        last = row[0]
        yield row


def _lengthen(path: Path) -> None:
    """Give a file that was cut off its length back, in holes: or SQLite reads nothing of it.

    Page size and count stand at bytes 16 and 28 of the header (SQLite file format, section 1.3).
    """
    with path.open("rb") as opened:
        head = opened.read(32)
    if len(head) == 32 and head.startswith(b"SQLite format 3"):
        size = int.from_bytes(head[16:18], "big") * int.from_bytes(head[28:32], "big")
        if path.stat().st_size < size <= MAX_BYTES:
            os.truncate(str(path), size)


def replace(places: Places, rows: List[Raw], state: State) -> None:
    """Put a damaged file aside and what was saved of it in its place.

    A kill between any two steps leaves either the damaged file or the whole new one (`settle`).

    Raises:
        OSError, sqlite3.Error: the disk refuses.
    """
    _unlink(places.fresh, places.fresh_journal)
    try:
        _write(places.fresh, rows, state)
        places.db.replace(places.damaged)
    except (OSError, sqlite3.Error):
        # No room for both: what works is worth more than what is damaged.
        log.warning("%s: no room to keep the damaged file", places.db)
        _unlink(places.fresh, places.fresh_journal, places.damaged, places.db, places.journal)
        _write(places.fresh, rows, state)
    settle(places)


def _write(path: Path, rows: List[Raw], state: State) -> None:
    with contextlib.closing(file.connect(path)) as db, file.transaction(db):
        file.insert(db, rows)
        file.store(db, state)
    durable.sync_dir(path.parent)


def settle(places: Places) -> None:
    """Finish what a kill interrupted in `replace`. Raises OSError."""
    if places.fresh.exists() and not places.db.exists():
        # The old journal must not be played into the new file, its own one must.
        _unlink(places.journal)
        with contextlib.closing(sqlite3.connect(str(places.fresh))) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _unlink(places.fresh_journal)
        places.fresh.replace(places.db)
        durable.sync_dir(places.db.parent)
    elif places.fresh.exists():
        _unlink(places.fresh, places.fresh_journal)  # half written; the damaged one is still there


def _unlink(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
