"""The SQLite file under an outbox: settings that survive a power cut and a full disk.

journal_mode PERSIST and synchronous FULL: of the modes SQLite has, the only pair that was measured
to restart, insert and delete with 0 free blocks once file and journal have their size. In WAL mode
a full disk ends in a file that does not even open again; in DELETE mode nothing can be written.
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
FILLER = PAGE - 200  # a row that has a page for itself
CHUNK = 384  # pages of one transaction while room is made
LEAST_PAGES = 2 * CHUNK  # size of the journal; an outbox below this is of no use
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
    """A row is not what was written."""


@dataclass(frozen=True)
class Losses:
    """What was lost for good, and how much of that was told."""

    evicted: int = 0  # for want of room, ever
    told: int = 0  # of those
    reset: Optional[Dict[str, Any]] = None  # the data of an outbox_reset event still to be told


@dataclass(frozen=True)
class State:
    """What an outbox knows of itself."""

    token: str  # random, so that nobody guesses a correlation
    next_id: int
    losses: Losses


def crc(row: Raw) -> int:
    """Checksum of everything in a row; in a damaged one anything may have any type."""
    head = f"{row[0]} {row[1]} {row[2]} {row[3]} {row[4]}\n".encode()
    body = row[5] if isinstance(row[5], bytes) else b""
    return zlib.crc32(body, zlib.crc32(head))


def insert(db: sqlite3.Connection, rows: Sequence[Raw]) -> None:
    """Rows with their checksums, inside a transaction."""
    checked = [(*row, crc(row)) for row in rows]
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", checked)


def any_text(data: bytes) -> str:
    """Text of a file that may be damaged: the checksum judges, not the decoder."""
    return data.decode("utf-8", "replace")


def connect(path: Optional[Path]) -> sqlite3.Connection:
    """Open or create; nobody else may use the file meanwhile. None = in memory.

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
                store(db, State(new_token(), 1, Losses()))
    except sqlite3.Error as error:
        db.close()
        if "locked" in str(error):
            raise UnavailableError(f"outbox.path: {path} is in use by another process") from error
        raise
    return db


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. SQLite rolls back by itself after some errors: then there is none left."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def number(db: sqlite3.Connection, pragma: str) -> int:
    """The value of a PRAGMA."""
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])


def reserve(db: sqlite3.Connection, pages: int) -> int:
    """Give file and journal their size now: later the disk may be full.

    Pages are written, not left as holes.

    Returns:
        The pages there are; fewer than asked when the disk had no room.

    Raises:
        sqlite3.OperationalError: not even the least.
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
            # Rows take the free pages first, so it may take several turns.
            free = number(db, "freelist_count")
            many = min(CHUNK, pages - number(db, "page_count") + free)
            db.executemany("INSERT INTO filler VALUES (zeroblob(?))", [(FILLER,)] * many)


def _grow_journal(db: sqlite3.Connection) -> None:
    """It holds the old content of every page that a transaction changes, and keeps its size."""
    if _filler(db):
        with transaction(db):
            size = (FILLER + 1, LEAST_PAGES)
            db.execute("UPDATE filler SET pad = zeroblob(?) WHERE rowid <= ?", size)


def _empty(db: sqlite3.Connection) -> None:
    """In chunks: one transaction would make the journal as large as the file."""
    top = db.execute("SELECT max(rowid) FROM filler").fetchone()[0] or 0
    for start in range(0, top, CHUNK):
        with transaction(db):
            limits = (start, start + CHUNK)
            db.execute("DELETE FROM filler WHERE rowid > ? AND rowid <= ?", limits)
    with transaction(db):
        db.execute("DROP TABLE filler")


def verified(path: Path) -> sqlite3.Connection:
    """Open a file and look at all of it; raises what `connect` and `verify` do."""
    db = connect(path)
    try:
        verify(db)
        recall(db)
    except BaseException:
        db.close()
        raise
    return db


def new_token() -> str:
    """What nobody guesses."""
    return secrets.token_hex(8)


def verify(db: sqlite3.Connection) -> None:
    """Look at every page and row.

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


def recall(db: sqlite3.Connection) -> State:
    """What the file knows of itself.

    Raises:
        DamagedError: it cannot be read.
    """
    row = db.execute("SELECT token, next_id, losses FROM state").fetchone()
    try:
        losses = Losses(**json.loads(row[2]))
        if not (isinstance(row[1], int) and TOKEN.fullmatch(row[0])):
            raise ValueError(row)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError("the state row cannot be read") from error
    return State(row[0], row[1], losses)


def store(db: sqlite3.Connection, state: State) -> None:
    """Write it, inside a transaction."""
    losses = json.dumps(vars(state.losses))
    db.execute(
        "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?)", (state.token, state.next_id, losses)
    )
