"""Whether an open file is still the one at its path.

Linux lets anybody remove, replace or unmount a file that a program has open. The program can go on
reading and writing, but the next start finds nothing of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional, Tuple

Identity = Tuple[int, int]  # device and inode


def identity(path: Path) -> Optional[Identity]:
    """Device and inode of the file at a path; None if there is none or it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Presence:
    """What the files of an outbox were when it opened them.

    Args:
        db: the database. It has its full size.
        journal: its journal. SQLite keeps it open; it may not exist before the first commit.
    """

    def __init__(self, db: Path, journal: Path) -> None:
        self._db, self._journal = db, journal
        self._known: Dict[Path, Optional[Identity]] = {p: identity(p) for p in (db, journal)}
        self._bytes = db.stat().st_size
        self.device = db.parent.stat().st_dev

    @property
    def moved(self) -> bool:
        """Whether the file at the database's path is another one, or none."""
        return identity(self._db) != self._known[self._db]

    def problem(self) -> str:
        """Return what happened to the files; "" = nothing."""
        if self.moved:
            there = identity(self._db) is not None
            return "the file was replaced" if there else "the file is gone"
        if self._db.stat().st_size < self._bytes:
            return "the file was cut short"
        journal = identity(self._journal)
        if self._known[self._journal] is None:
            self._known[self._journal] = journal
        return "" if journal == self._known[self._journal] else "the journal is gone"
