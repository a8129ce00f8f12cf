"""Room for rows in a file of fixed size: the least urgent rows go, the oldest first."""

from __future__ import annotations

import sqlite3
from typing import Sequence

from edge.outbox import sqlite_file as file


def delete(db: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Delete rows; returns how many there were. Needs a transaction."""
    before = db.total_changes
    db.executemany("DELETE FROM events WHERE id = ?", [(i,) for i in ids])
    return db.total_changes - before


def make_room(db: sqlite3.Connection, pages: int, sizes: Sequence[int], count: int) -> int:
    """Evict rows until there is room; a page is free only when all its rows are gone.

    Args:
        db: the outbox, in a transaction.
        pages: that rows may take.
        sizes: bytes of each new row.
        count: number of rows in the outbox.

    Returns:
        How many rows were evicted.
    """
    need = 8 + sum(size // 2000 + 1 for size in sizes) // 2 + sum(s // 4000 for s in sizes)
    if pages - _used(db) >= need:
        return 0
    goal, evicted = need + min(pages // 64, file.CHUNK // 3), 0
    while pages - _used(db) < goal and evicted < count:
        used = _used(db)
        some = max(4, (goal - pages + used) * (count - evicted) // max(used, 1))
        worst = "SELECT id FROM events ORDER BY priority, id LIMIT ?"
        evicted += delete(db, [i for (i,) in db.execute(worst, (some,)).fetchall()])
    return evicted


def _used(db: sqlite3.Connection) -> int:
    return file.number(db, "page_count") - file.number(db, "freelist_count")
