"""The SQLite file of an outbox, with settings that survive a power cut and a full disk.

The settings are journal_mode PERSIST and synchronous FULL. They were measured to be the only pair
with which SQLite opens, inserts and deletes with 0 free blocks, once file and journal have their
size. In WAL mode a file on a full disk does not even open; in DELETE mode nothing can be written.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from pathlib import Path
from typing import Any, Iterator, Optional, Sequence, Tuple

from edge.errors import UnavailableError
from edge.outbox import schema, state_row
from edge.outbox.schema import PAGE
from edge.outbox.state_row import DamagedError, Losses, State

FILLER = PAGE - 200  # bytes of a row that fills a page
CHUNK = 384  # pages of one transaction while space is reserved
LEAST_PAGES = 2 * CHUNK  # size of the journal, and of the smallest outbox
COLUMNS = "id, priority, run, t_ns, topic, body"
KINDS = [int, int, str, int, str, bytes]  # of the columns
Raw = Tuple[int, int, str, int, str, bytes]


def crc(row: Raw) -> int:
    """Checksum of all columns of a row; in a damaged row any column may have any type."""
    head = f"{row[0]} {row[1]} {row[2]} {row[3]} {row[4]}\n".encode()
    body = row[5] if isinstance(row[5], bytes) else b""
    return zlib.crc32(body, zlib.crc32(head))


def sound(row: Sequence[Any]) -> bool:
    """Whether a row has its types, an id in range and the right checksum.

    Args:
        row: the columns and the checksum, of any type.
    """
    return (
        [type(value) for value in row[:6]] == KINDS
        and 1 <= row[0] <= state_row.LAST_ID
        and crc((row[0], row[1], row[2], row[3], row[4], row[5])) == row[6]
    )


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
            "trusted_schema=OFF",
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()
        if schema.is_empty(db):
            with transaction(db):
                schema.create(db)
                state_row.write(db, State(state_row.new_token(), 1, Losses()))
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
            if not _filler(db):
                db.execute(schema.FILLER)
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
    """Open a file and check all of it; raises what `connect` and `verify` raise."""
    db = connect(path)
    try:
        verify(db)
    except BaseException:
        db.close()
        raise
    return db


def verify(db: sqlite3.Connection) -> None:
    """Check the schema, every page and row, and the state.

    Raises:
        sqlite3.DatabaseError: something is damaged.
    """
    schema.check(db)
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedError(str(found).splitlines()[-1])
    last = 0
    with contextlib.closing(db.execute(f"SELECT {COLUMNS}, crc FROM events ORDER BY id")) as rows:
        for row in rows:
            if not sound(row):
                raise DamagedError(f"row {row[0]!r:.20} has a wrong checksum")
            last = row[0]
    if last >= state_row.read(db).next_id:
        raise DamagedError("the next id is in use")
