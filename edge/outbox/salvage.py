"""Replace a damaged outbox by a new file with every row that can still be read.

A kill at any point leaves the damaged file, the complete new one, or both; the next start goes on
from there.
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

MAX_BYTES = 2**32  # more than outbox.max_mb allows
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

    Returns:
        Every row that can be read and has the right checksum, in the order of ids; and the state,
        None if it cannot be read.
    """
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
            state = file.read_state(db)
    return [rows[i] for i in sorted(rows)], state


def _walk(db: sqlite3.Connection, order: str) -> Iterator[Tuple[Any, ...]]:
    """Yield rows up to the first damaged page.

    There is one query for each row: Python's cursor reads one row ahead, so an error behind a row
    would lose that row too.
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
    """Give a truncated file its length back (as a hole), or SQLite reads none of it.

    The header has page size and page count at bytes 16 and 28 (SQLite file format, section 1.3).
    """
    with path.open("rb") as opened:
        head = opened.read(32)
    if len(head) == 32 and head.startswith(b"SQLite format 3"):
        size = int.from_bytes(head[16:18], "big") * int.from_bytes(head[28:32], "big")
        if path.stat().st_size < size <= MAX_BYTES:
            os.truncate(str(path), size)


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
        file.write_state(db, state)
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
