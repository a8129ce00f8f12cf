"""The tables of an outbox, and nothing else beside them.

A trigger or a view that somebody put into the file could drop or invent events, and an automatic
vacuum would give the reserved space back. So any other schema counts as damage: the rows move to a
new file.
"""

from __future__ import annotations

import sqlite3

from edge.outbox.state_row import DamagedError

TABLES = {
    "events": "CREATE TABLE events (id INTEGER PRIMARY KEY, priority INTEGER NOT NULL, "
    "run TEXT NOT NULL, t_ns INTEGER NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL, "
    "crc INTEGER NOT NULL)",
    "state": "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), "
    "token TEXT NOT NULL, next_id INTEGER NOT NULL, losses TEXT NOT NULL)",
}
FILLER = "CREATE TABLE filler (pad BLOB)"  # while space is reserved
PAGE = 4096


def create(db: sqlite3.Connection) -> None:
    """Make the tables of an empty file; needs a transaction."""
    for statement in TABLES.values():
        db.execute(statement)


def is_empty(db: sqlite3.Connection) -> bool:
    """Whether a file has no tables yet."""
    return db.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def check(db: sqlite3.Connection) -> None:
    """Check that a file has our tables and nothing else. This reads no row of a table or view.

    Raises:
        DamagedError: it has another schema or another layout.
    """
    known = {**TABLES, "filler": FILLER}
    names = set()
    for kind, name, statement in db.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind != "table" or known.get(name) != statement:
            raise DamagedError(f"{kind} {name!r:.60} in the file is not ours")
        names.add(name)
    missing = sorted(TABLES.keys() - names)
    if missing:
        raise DamagedError(f"the table {missing[0]} is missing")
    for pragma, wanted in (("auto_vacuum", 0), ("page_size", PAGE)):
        if db.execute(f"PRAGMA {pragma}").fetchone()[0] != wanted:
            raise DamagedError(f"the file has another {pragma}")
