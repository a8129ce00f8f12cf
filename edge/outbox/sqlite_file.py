"""The SQLite file of an outbox, with settings that survive a power cut and a full disk.

The settings are journal_mode PERSIST and synchronous FULL. They were measured to be the only pair
with which SQLite opens, inserts and deletes with 0 free blocks, once file and journal have their
size. In WAL mode a file on a full disk does not even open; in DELETE mode nothing can be written.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import sqlite3
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

from edge.errors import UnavailableError

PAGE = 4096
FILLER = PAGE - 200  # bytes of a row that fills a page
CHUNK = 384  # pages of one transaction while space is reserved
LEAST_PAGES = 2 * CHUNK  # size of the journal, and of the smallest outbox
COLUMNS = "id, priority, run, t_ns, topic, body"
TABLES = (
    "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, priority INTEGER NOT NULL, "
    "run TEXT NOT NULL, t_ns INTEGER NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL, "
    "crc INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), "
    "token TEXT NOT NULL, next_id INTEGER NOT NULL, losses TEXT NOT NULL)",
)
TOKEN = re.compile("[0-9a-f]{16}")
Raw = Tuple[int, int, str, int, str, bytes]


class DamagedError(sqlite3.DatabaseError):
    """A row or the state is not what was written."""


@dataclass(frozen=True)
class Losses:
    """Events that are lost for good, and which losses an event has reported."""

    evicted: int = 0  # removed because the outbox was full, ever
    reported: int = 0  # of those
    reset: Optional[Dict[str, Any]] = (
        None  # data of an outbox_reset event; None = no reset to report
    )


@dataclass(frozen=True)
class State:
    """The state row of an outbox."""

    token: str  # random, so that correlation data cannot be guessed
    next_id: int
    losses: Losses


def crc(row: Raw) -> int:
    """Checksum of all columns of a row; in a damaged row any column may have any type."""
    head = f"{row[0]} {row[1]} {row[2]} {row[3]} {row[4]}\n".encode()
    body = row[5] if isinstance(row[5], bytes) else b""
    return zlib.crc32(body, zlib.crc32(head))


def insert(db: sqlite3.Connection, rows: Sequence[Raw]) -> None:
    """Insert rows with their checksums; needs a transaction."""
    checked = [(*row, crc(row)) for row in rows]
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", checked)


def any_text(data: bytes) -> str:
    """Decode any bytes: damage is found by the checksum, not by the decoder."""
    return data.decode("utf-8", "replace")


def connect(path: Optional[Path]) -> sqlite3.Connection:
    """Open or create a file and lock it for this process.

    Args:
        path: of the file; None = in memory.

    Raises:
        UnavailableError: another process has it. sqlite3.Error: it cannot be used.
    """
    where = ":memory:" if path is None else str(path)
    db = sqlite3.connect(where, timeout=0.0, isolation_level=None, check_same_thread=False)
    db.text_factory = any_text
    try:
        for pragma in (
            "page_size=4096",
            "locking_mode=EXCLUSIVE",
            "journal_mode=PERSIST",
            "synchronous=FULL",
            "temp_store=MEMORY",
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()
        with transaction(db):
            for table in TABLES:
                db.execute(table)
            if db.execute("SELECT 1 FROM state").fetchone() is None:
                write_state(db, State(new_token(), 1, Losses()))
    except sqlite3.Error as error:
        db.close()
        if "locked" in str(error):
            raise UnavailableError(f"outbox.path: {path} is in use by another process") from error
        raise
    return db


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit the block, or roll it back. After some errors SQLite has rolled back by itself."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def number(db: sqlite3.Connection, pragma: str) -> int:
    """Return the value of a PRAGMA that is a number."""
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])


def reserve(db: sqlite3.Connection, pages: int) -> int:
    """Give file and journal their full size now, because the disk may be full later.

    Pages are written, not left as holes.

    Args:
        db: the outbox.
        pages: size of the file.

    Returns:
        The size of the file in pages; smaller than `pages` if the disk is full.

    Raises:
        sqlite3.OperationalError: there is no room for LEAST_PAGES.
    """
    try:
        if number(db, "page_count") < pages:
            _fill(db, LEAST_PAGES)
            _grow_journal(db)
            _fill(db, pages)
    except sqlite3.OperationalError:
        if number(db, "page_count") < LEAST_PAGES:
            raise
    if _filler(db):
        _empty(db)
    return number(db, "page_count")


def _filler(db: sqlite3.Connection) -> bool:
    found = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'filler'").fetchone()
    return found is not None


def _fill(db: sqlite3.Connection, pages: int) -> None:
    while number(db, "page_count") < pages:
        with transaction(db):
            db.execute("CREATE TABLE IF NOT EXISTS filler (pad BLOB)")
            # Rows take free pages first, so one pass may not be enough.
            free = number(db, "freelist_count")
            many = min(CHUNK, pages - number(db, "page_count") + free)
            db.executemany("INSERT INTO filler VALUES (zeroblob(?))", [(FILLER,)] * many)


def _grow_journal(db: sqlite3.Connection) -> None:
    """Change many pages at once: the journal then holds their old content, and keeps its size."""
    if _filler(db):
        with transaction(db):
            size = (FILLER + 1, LEAST_PAGES)
            db.execute("UPDATE filler SET pad = zeroblob(?) WHERE rowid <= ?", size)


def _empty(db: sqlite3.Connection) -> None:
    """Delete the filler in chunks: one transaction would make the journal as large as the file."""
    top = db.execute("SELECT max(rowid) FROM filler").fetchone()[0] or 0
    for start in range(0, top, CHUNK):
        with transaction(db):
            limits = (start, start + CHUNK)
            db.execute("DELETE FROM filler WHERE rowid > ? AND rowid <= ?", limits)
    with transaction(db):
        db.execute("DROP TABLE filler")


def verified(path: Path) -> sqlite3.Connection:
    """Open a file and check all of it; raises what `connect`, `verify` and `read_state` raise."""
    db = connect(path)
    try:
        verify(db)
        read_state(db)
    except BaseException:
        db.close()
        raise
    return db


def new_token() -> str:
    """Return a random token."""
    return secrets.token_hex(8)


def verify(db: sqlite3.Connection) -> None:
    """Check every page and row.

    Raises:
        sqlite3.DatabaseError: something is damaged.
    """
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedError(str(found).splitlines()[-1])
    with contextlib.closing(db.execute(f"SELECT {COLUMNS}, crc FROM events")) as rows:
        for row in rows:
            if crc(row[:6]) != row[6]:
                raise DamagedError(f"row {row[0]} has a wrong checksum")


def read_state(db: sqlite3.Connection) -> State:
    """Return the state row.

    Raises:
        DamagedError: it cannot be read.
    """
    row = db.execute("SELECT token, next_id, losses FROM state").fetchone()
    try:
        losses = _parse_losses(row[2])
        if not (isinstance(row[1], int) and TOKEN.fullmatch(row[0])):
            raise ValueError(row)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError("the state row cannot be read") from error
    return State(row[0], row[1], losses)


def _parse_losses(text: str) -> Losses:
    table = json.loads(text)
    return Losses(table["evicted"], table["told"], table["reset"])


def write_state(db: sqlite3.Connection, state: State) -> None:
    """Replace the state row; needs a transaction."""
    losses = state.losses
    # `told` is the name of `reported` in files that are in use.
    table = {"evicted": losses.evicted, "told": losses.reported, "reset": losses.reset}
    db.execute(
        "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?)",
        (state.token, state.next_id, json.dumps(table)),
    )
