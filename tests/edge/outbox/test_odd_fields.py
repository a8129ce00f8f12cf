"""Files that SQLite reads and that we did not write: rows are saved, losses told, nothing loops."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import zlib
from pathlib import Path
from typing import Any, List

import pytest

from edge.outbox import mark as marks
from edge.outbox.state_row import LAST_ID
from edge.outbox.store import Entry, Outbox

MAX_BYTES = 2 * 2**20
BODIES = [b"%d" % i for i in range(5)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an outbox with five events."""
    folder = tmp_path_factory.mktemp("made") / "box"
    folder.mkdir()
    box = Outbox(folder / "outbox.db", MAX_BYTES, "run")
    box.commit([Entry("t", body) for body in BODIES], now_ns=7)
    box.close()
    return folder


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """A copy of that outbox: making it takes as long as a test of it."""
    shutil.copytree(made, tmp_path / "box")
    return tmp_path / "box/outbox.db"


def edit(path: Path, *statements: str, values: Any = ()) -> None:
    db = sqlite3.connect(str(path), isolation_level=None)
    db.execute("PRAGMA writable_schema=ON")
    db.execute("PRAGMA ignore_check_constraints=ON")
    for statement in statements:
        db.execute(statement, values)
    db.close()


def opened(path: Path) -> Outbox:
    """The outbox after two starts: the second must find nothing to mend."""
    first = Outbox(path, MAX_BYTES, "run 2")
    losses = first.losses
    first.close()
    second = Outbox(path, MAX_BYTES, "run 3")
    assert second.losses == losses
    return second


def bodies(box: Outbox) -> List[bytes]:
    return [row.body for row in box.after(0, 2**63 - 1, 100)]


def works(box: Outbox) -> None:
    """An event can still be stored, read and removed."""
    (row,) = box.commit([Entry("t", b"new")])
    assert bodies(box)[-1] == b"new"
    box.commit([], [row.id])
    assert box.count == len(bodies(box))
    box.close()


ODD: List[Any] = [
    None,
    "x",
    "",
    -1,
    2**63 - 1,
    2**53 + 1,
    1.5,
    b"\xff\x00",
    "9" * 400,
    True,
    [],
    {},
]


@pytest.mark.parametrize("field", ["evicted", "told", "reset"])
@pytest.mark.parametrize("value", [v for v in ODD if not isinstance(v, bytes)], ids=repr)
def test_odd_losses_cost_no_event(path: Path, field: str, value: Any) -> None:
    losses = {"evicted": 0, "told": 0, "reset": None, field: value}
    edit(path, "UPDATE state SET losses = ?", values=(json.dumps(losses),))
    box = opened(path)
    assert bodies(box) == BODIES
    for count in (box.losses.evicted, box.losses.reported):
        assert type(count) is int
        assert 0 <= count <= 2**53
    assert box.losses.reset is None or box.losses.reset["lost"] == 0
    works(box)


@pytest.mark.parametrize(
    "reset",
    [
        {"reason": 5, "recovered": 1, "lost": 1},
        {"reason": "x" * 10**6, "recovered": 1, "lost": 1},
        {"reason": "a\nb", "recovered": 1, "lost": 1},
        {"reason": "x", "recovered": 2**70, "lost": 1},
        {"reason": "x", "recovered": 1, "lost": [[[]]]},
        {"reason": "x", "recovered": 1, "lost": 1, "sink": "other"},
    ],
    ids=lambda reset: str(reset)[:40],
)
def test_an_odd_reset_is_never_published(path: Path, reset: Any) -> None:
    text = json.dumps({"evicted": 3, "told": 2, "reset": reset})
    edit(path, "UPDATE state SET losses = ?", values=(text,))
    box = opened(path)
    found = box.losses.reset
    assert found is not None
    assert found["reason"] == "the state row cannot be read"
    assert (box.losses.evicted, box.losses.reported) == (3, 2), "what can be read is kept"
    works(box)


@pytest.mark.parametrize("column", ["token", "next_id", "losses", "one"])
@pytest.mark.parametrize(
    "value", [*ODD[:9], "[" * 100_000, 0, -(2**63)], ids=lambda v: repr(v)[:20]
)
def test_any_value_in_any_column_of_the_state_costs_no_event(
    path: Path, column: str, value: Any
) -> None:
    if value is None:
        edit(path, "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
    try:
        edit(path, f"UPDATE state SET {column} = ?", values=(value,))
    except sqlite3.IntegrityError:
        return  # SQLite refuses this value: no such file can exist
    box = opened(path)
    assert bodies(box) == BODIES
    works(box)


@pytest.mark.parametrize("column", ["id", "priority", "run", "t_ns", "topic", "body", "crc"])
@pytest.mark.parametrize("value", [*ODD[:9], 0, -(2**63)], ids=lambda v: repr(v)[:20])
def test_any_value_in_any_column_of_a_row_costs_this_row_only(
    path: Path, column: str, value: Any
) -> None:
    if column == "id" and not isinstance(value, int):
        value = LAST_ID + 1  # SQLite takes whole numbers only
    if value is None:
        edit(path, "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
    edit(path, f"UPDATE events SET {column} = ? WHERE id = 3", values=(value,))
    box = opened(path)
    assert bodies(box) == [b for b in BODIES if b != b"2"]
    assert box.losses.reset is not None
    assert box.losses.reset["lost"] == 1
    works(box)


@pytest.mark.parametrize("last", [LAST_ID, LAST_ID - 1, LAST_ID - 1000])
def test_the_highest_ids_get_new_numbers(path: Path, last: int) -> None:
    from edge.outbox import sqlite_file as file

    row = (last, 1, "run", 0, "t", b"high")
    edit(path, "INSERT INTO events VALUES (?,?,?,?,?,?,?)", values=(*row, file.crc(row)))
    box = opened(path)
    assert bodies(box) == [*BODIES, b"high"]
    works(box)


@pytest.mark.parametrize(
    ("statement", "saved"),
    [
        ("ALTER TABLE events RENAME TO other", 5),
        ("ALTER TABLE events RENAME COLUMN crc TO other", 5),
        ("ALTER TABLE events RENAME COLUMN id TO number", 5),
        ("ALTER TABLE events ADD COLUMN more TEXT", 5),
        ("DROP TABLE events", 0),
        ("DROP TABLE state", 5),
        ("DELETE FROM state", 5),
        ("ALTER TABLE state RENAME TO other", 5),
        ("ALTER TABLE state RENAME COLUMN losses TO other", 5),
        ("CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END", 5),
        ("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END", 5),
        ("CREATE VIEW v AS SELECT * FROM events", 5),
        ("CREATE TABLE more (a, b, c, d, e, f, g)", 5),
        ('CREATE TABLE "quo\'te""d" (a)', 5),
        ("CREATE INDEX i ON events (topic)", 5),
        ("CREATE UNIQUE INDEX i ON events (crc)", 5),
        ("ANALYZE", 5),
        ("PRAGMA user_version = 2147483647", 5),
        ("PRAGMA application_id = -1", 5),
        ("PRAGMA journal_mode = WAL", 5),
        ("UPDATE sqlite_master SET sql = 'CREATE TABLE nonsense' WHERE name = 'state'", 5),
        ("UPDATE sqlite_master SET sql = x'00ff' WHERE name = 'state'", 5),
    ],
)
def test_another_schema_costs_no_event_that_can_be_read(
    path: Path, statement: str, saved: int
) -> None:
    if sqlite3.sqlite_version_info < (3, 26) and "RENAME COLUMN" in statement:
        pytest.fail("this SQLite is older than every Python that is promised")
    edit(path, statement)
    box = opened(path)
    assert bodies(box) == BODIES[:saved]
    if saved < 5:
        assert box.losses.reset is not None
        assert box.losses.reset["lost"] == 5
    works(box)


@pytest.mark.parametrize("table", ["events", "state"])
def test_a_view_without_end_in_the_place_of_a_table_is_not_read(path: Path, table: str) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n WHERE x > 0) "
    columns = "x AS id, x, x, x, x, x, x AS crc" if table == "events" else "x AS one, x, x, x"
    edit(
        path,
        f"ALTER TABLE {table} RENAME TO hidden",
        f"CREATE VIEW {table} AS {endless} SELECT {columns} FROM n WHERE x > 1",
    )
    box = opened(path)
    assert bodies(box) == BODIES
    works(box)


@pytest.mark.parametrize("page", [512, 65536])
def test_another_layout_of_the_file_gets_ours_again(path: Path, page: int) -> None:
    edit(path, f"PRAGMA page_size = {page}", "PRAGMA auto_vacuum = FULL", "VACUUM")
    box = opened(path)
    assert bodies(box) == BODIES
    for pragma, value in (("page_size", 4096), ("auto_vacuum", 0)):
        assert box._db.execute(f"PRAGMA {pragma}").fetchone()[0] == value
    works(box)


@pytest.mark.parametrize("at", [*range(0, 100, 3), 16, 18, 21, 44, 56])
@pytest.mark.parametrize("value", [0, 0xFF])
def test_no_damage_to_the_head_of_the_file_costs_an_event(path: Path, at: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    end = min(at + 4, 100)
    data[at:end] = bytes([value]) * (end - at)
    path.write_bytes(data)
    box = opened(path)
    assert bodies(box) == BODIES
    works(box)


def test_a_head_that_is_wiped_costs_no_event(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])
    box = opened(path)
    assert bodies(box) == BODIES
    works(box)


def write_mark(path: Path, turn: int, next_id: int, waiting: int, token: bytes) -> None:
    head = marks.LAYOUT.pack(marks.MAGIC, turn, next_id, waiting, token)
    Path(f"{path}.mark").write_bytes(head + struct.pack("<I", zlib.crc32(head)))


@pytest.mark.parametrize(
    ("turn", "next_id", "waiting", "token"),
    [
        (2**64 - 1, 5, 5, b"ab" * 8),
        (1, 2**64 - 1, 5, b"ab" * 8),
        (1, 0, 0, b"ab" * 8),
        (1, LAST_ID, 5, b"ab" * 8),
        (1, 5, 2**64 - 1, b"ab" * 8),
        (1, 5, 5, b"\xff" * 16),
        (1, 5, 5, b"\0" * 16),
        (1, 5, 5, b"NOT A TOKEN 1234"),
    ],
)
def test_an_odd_mark_costs_no_event(
    path: Path, turn: int, next_id: int, waiting: int, token: bytes
) -> None:
    write_mark(path, turn, next_id, waiting, token)
    box = opened(path)
    assert bodies(box) == BODIES
    if box.losses.reset is not None:
        assert box.losses.reset["lost"] == 5
    works(box)


@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_a_mark_that_is_no_file_is_set_aside(path: Path, what: str) -> None:
    import os

    mark = Path(f"{path}.mark")
    mark.unlink()
    if what == "folder":
        mark.mkdir()
    elif what == "link":
        mark.symlink_to("/nowhere/else")
    else:
        os.mkfifo(str(mark))
    box = opened(path)
    assert bodies(box) == BODIES
    assert mark.is_file()
    works(box)
