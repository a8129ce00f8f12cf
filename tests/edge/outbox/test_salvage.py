"""What is read out of a damaged file: every row on both sides of the damage."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Dict

import pytest

from edge.outbox.salvage import salvage
from edge.outbox.schema import PAGE
from edge.outbox.store import Entry, Outbox

COUNT = 60
BODY_BYTES = 3000  # with page heads and the other columns: one row in a page of 4096 bytes


@pytest.fixture
def bodies(tmp_path: Path) -> Dict[int, bytes]:
    """The rows of the outbox `outbox.db`, by id; each lies in a page of its own."""
    box = Outbox(tmp_path / "outbox.db", 4 * 2**20, "run")
    texts = [b"event %03d " % i + b"x" * BODY_BYTES for i in range(COUNT)]
    rows = [row for text in texts for row in box.commit([Entry("t", text)])]
    box.close()
    return {row.id: row.body for row in rows}


def wipe_page_of(path: Path, body: bytes) -> None:
    """Overwrite the head of the page that holds a row: SQLite cannot read past it."""
    data = bytearray(path.read_bytes())
    page = data.index(body) // PAGE * PAGE
    data[page : page + 16] = b"\xff" * 16
    path.write_bytes(data)


@pytest.mark.parametrize("lost", [1, COUNT // 2, COUNT])
def test_rows_before_and_behind_a_damaged_page_are_saved(
    tmp_path: Path, bodies: Dict[int, bytes], lost: int
) -> None:
    path = tmp_path / "outbox.db"
    wipe_page_of(path, bodies[lost])
    with contextlib.closing(sqlite3.connect(str(path))) as db, pytest.raises(sqlite3.Error):
        db.execute("SELECT body FROM events ORDER BY id").fetchall()
    rows, state = salvage(path)
    assert {row[0]: row[5] for row in rows} == {i: b for i, b in bodies.items() if i != lost}
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert state is not None
    assert state.next_id == COUNT + 1


def test_rows_between_two_damaged_pages_are_not_made_up(
    tmp_path: Path, bodies: Dict[int, bytes]
) -> None:
    path = tmp_path / "outbox.db"
    for lost in (20, 40):
        wipe_page_of(path, bodies[lost])
    rows, _ = salvage(path)
    saved = {row[0]: row[5] for row in rows}
    assert saved.items() <= bodies.items()
    assert set(range(1, 20)) | set(range(41, COUNT + 1)) <= set(saved)
