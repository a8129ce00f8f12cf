"""The store: what was committed is there, what was lost is counted, what is damaged is mended."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigError, UnavailableError
from edge.outbox import sqlite_file as file
from edge.outbox.mark import Mark, MarkFile
from edge.outbox.schema import PAGE
from edge.outbox.state_row import Losses
from edge.outbox.store import BATCH_BYTES, MINOR, NORMAL, URGENT, Entry, Outbox

MAX_BYTES = 4 * 2**20
EVERYTHING = 2**62


def open_box(path: Path, run: str = "run") -> Outbox:
    return Outbox(path, MAX_BYTES, run)


def bodies(box: Outbox) -> List[bytes]:
    return [r.body for r in box.after(0, EVERYTHING, 10**6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def test_what_was_committed_is_there_after_reopening_until_it_is_removed(path: Path) -> None:
    box = open_box(path, "first")
    rows = box.commit([Entry("t", b"a"), Entry("t", b"b", URGENT)], now_ns=7)
    rows += box.commit([Entry("u", b"c")], [rows[0].id], now_ns=8)
    box.close()
    box = open_box(path, "second")
    assert box.count == 2
    assert box.after(0, EVERYTHING, 9) == rows[1:]
    assert (rows[1].run, rows[1].t_ns, rows[1].priority) == ("first", 7, URGENT)
    later = box.commit([Entry("t", b"d")])[0]
    assert later.id > rows[2].id
    assert later.run == "second"
    assert box.losses == Losses()
    box.close()


def test_reading_stops_at_limits_and_leaves_out_topics_and_parked_rows() -> None:
    box = Outbox(None, MAX_BYTES, "run")
    rows = box.commit([Entry("ab"[i % 2], b"%d" % i) for i in range(10)])
    ids = [r.id for r in rows]
    assert [r.id for r in box.after(ids[2], ids[7], 99)] == ids[3:7]
    assert [r.id for r in box.after(0, EVERYTHING, 3)] == ids[:3]
    assert [r.id for r in box.after(0, EVERYTHING, 99, ("a",))] == ids[1::2]
    assert [r.id for r in box.oldest("b", [ids[1]])] == [ids[3]]
    assert box.oldest("c") == []
    box.park([ids[0], ids[3], 999])
    assert box.parked == 2
    assert [r.id for r in box.after(0, EVERYTHING, 99)] == [i for i in ids if i not in (1, 4)]
    assert box.oldest("a") == [rows[2]]


def test_large_rows_are_read_in_pieces() -> None:
    box = Outbox(None, MAX_BYTES, "run")
    for _ in range(10):
        box.commit([Entry("t", b"x" * 100_000)])
    assert 2 <= len(box.after(0, EVERYTHING, 99)) <= 1 + BATCH_BYTES // 100_000


def test_the_file_has_its_size_from_the_start_and_never_grows(path: Path) -> None:
    box = open_box(path)
    size, journal = path.stat().st_size, path.with_name("outbox.db-journal").stat().st_size
    assert size == MAX_BYTES
    for i in range(120):
        box.commit([Entry("t", b"%d" % i + b"x" * random.randrange(8000)) for _ in range(10)])
    assert path.stat().st_size == size
    assert path.with_name("outbox.db-journal").stat().st_size == journal
    assert box.losses.evicted > 0
    assert box.count + box.losses.evicted == 1200
    box.close()


def test_the_least_urgent_go_first_the_oldest_among_them() -> None:
    box = Outbox(None, MAX_BYTES, "run")
    kinds = {MINOR: b"minor", NORMAL: b"normal", URGENT: b"urgent"}
    for i in range(60):
        box.commit([Entry("t", kinds[p] + b"%d" % i + b" " * 9000, p) for p in kinds])
    while box.losses.evicted < 30:
        box.commit([Entry("t", b"normal" + b" " * 9000)])
    left = bodies(box)
    assert sum(b.startswith(b"urgent") for b in left) == len([b for b in left if b[:1] == b"u"])
    first = [b for b in bodies_all(box) if b.startswith(b"minor")]
    assert len(first) == 60 - box.losses.evicted
    assert int(first[0].split()[0][5:]) == box.losses.evicted, "the oldest are gone"
    for _ in range(600):
        box.commit([Entry("t", b"normal" + b" " * 9000)])
    assert sum(b.startswith(b"urgent") for b in bodies_all(box)) == 60
    assert not [b for b in bodies_all(box) if b.startswith(b"minor")]


def bodies_all(box: Outbox) -> List[bytes]:
    found: List[bytes] = []
    cursor = 0
    while True:
        rows = box.after(cursor, EVERYTHING, 100)
        if not rows:
            return found
        found += [r.body for r in rows]
        cursor = rows[-1].id


def test_only_one_process_has_it(path: Path) -> None:
    box = open_box(path)
    with pytest.raises(UnavailableError, match="is in use by another process"):
        open_box(path)
    box.close()
    open_box(path).close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"outbox.path: .*nowhere: no such folder"):
        open_box(tmp_path / "nowhere" / "outbox.db")


def damage(path: Path, what: bytes, by: bytes) -> None:
    data = path.read_bytes()
    assert what in data
    path.write_bytes(data.replace(what, by, 1))


def test_one_wrong_byte_is_noticed_and_costs_one_event(path: Path) -> None:
    box = open_box(path)
    rows = box.commit([Entry("t", b"event %03d" % i) for i in range(100)])
    token = box.state.token
    box.close()
    damage(path, b"event 042", b"event 043")
    box = open_box(path)
    assert bodies(box) == [b"event %03d" % i for i in range(100) if i != 42]
    assert box.losses.reset == {
        "reason": f"row {rows[42].id} has a wrong checksum",
        "recovered": 99,
        "lost": 1,
    }
    assert path.with_name("outbox.db.corrupt").exists()
    assert box.state.token == token, "answers to events sent before are still understood"
    assert box.commit([Entry("t", b"new")])[0].id > rows[-1].id
    box.close()
    box = open_box(path)
    assert box.losses.reset is not None, "until it is told"
    box.commit([], losses=Losses())
    box.close()
    box = open_box(path)
    assert box.losses.reset is None
    box.close()


def test_damage_found_while_running_is_an_error_of_the_read(path: Path) -> None:
    box = open_box(path)
    box.commit([Entry("t", b"event %03d" % i) for i in range(100)])
    box._db.execute("UPDATE events SET body = ? WHERE id = 5", (b"other",))
    with pytest.raises(sqlite3.DatabaseError, match="row 5 has a wrong checksum"):
        box.after(0, EVERYTHING, 99)
    box.close()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_the_damage_it_opens_tells_and_goes_on(
    tmp_path_factory: object, seed: int
) -> None:
    chance = random.Random(seed)
    path = tmp_path_factory.mktemp("x") / "outbox.db"  # type: ignore[attr-defined]
    box = open_box(path)
    box.commit([Entry("t", b"event %03d" % i + b"x" * 500) for i in range(100)])
    box.close()
    with path.open("r+b") as opened:
        for _ in range(chance.randrange(1, 20)):
            opened.seek(chance.choice((0, 100, chance.randrange(MAX_BYTES))))
            opened.write(bytes(chance.randrange(256) for _ in range(chance.randrange(1, 400))))
        if chance.random() < 0.3:
            opened.truncate(chance.randrange(MAX_BYTES))
    box = open_box(path)
    found = bodies(box)
    assert set(found) <= {b"event %03d" % i + b"x" * 500 for i in range(100)}, "nothing is made up"
    lost = box.losses.reset["lost"] if box.losses.reset else 0
    assert lost == 100 - len(found)
    box.commit([Entry("t", b"goes on")])
    box.close()


@pytest.mark.parametrize("left", [0.8, 0.95])
def test_a_file_that_was_cut_off_gives_what_is_before_its_end(path: Path, left: float) -> None:
    """SQLite itself opens no file that is shorter than its header says."""
    box = open_box(path)
    for start in range(0, 300, 20):
        box.commit([Entry("t", b"event %03d" % i + b"x" * 9000) for i in range(start, start + 20)])
    box.close()
    with path.open("r+b") as opened:
        opened.truncate(int(path.stat().st_size * left))
    there = sum(path.read_bytes().count(b"event %03dxxx" % i) for i in range(300))
    assert there > 100
    box = open_box(path)
    assert box.losses.reset is not None
    assert box.losses.reset["recovered"] >= there - 20, "a row may end beyond the cut"
    box.close()


def test_the_journal_has_room_for_the_largest_transaction(path: Path) -> None:
    """So that rows can be removed on a disk that filled up while the outbox was made."""
    open_box(path).close()
    journal = path.with_name("outbox.db-journal").stat().st_size
    assert journal > (file.LEAST_PAGES - 8) * PAGE


def test_a_file_that_is_none_of_ours(path: Path) -> None:
    path.write_bytes(b"this is a text and no database\n" * 1000)
    box = open_box(path)
    assert box.losses.reset == {"reason": "file is not a database", "recovered": 0, "lost": None}
    box.close()


@pytest.mark.parametrize("how", ["gone", "older"])
def test_a_file_that_knows_less_than_its_mark_has_lost_events(path: Path, how: str) -> None:
    box = open_box(path)
    box.commit([Entry("t", b"a")])
    box.close()
    older = path.read_bytes()
    box = open_box(path)
    last = box.commit([Entry("t", b"b"), Entry("t", b"c")])[-1].id
    box.close()
    path.unlink() if how == "gone" else path.write_bytes(older)
    box = open_box(path)
    assert box.losses.reset is not None
    assert box.losses.reset["lost"] == (3 if how == "gone" else 2)
    assert box.commit([Entry("t", b"d")])[0].id > last
    box.close()


def test_no_id_is_used_twice_after_an_older_file_and_an_older_mark(path: Path) -> None:
    """The mark is not synced: after a power cut it, too, may be older than the last commit."""
    mark = path.with_name("outbox.db.mark")
    box = open_box(path)
    box.commit([Entry("t", b"a")])
    box.close()
    older_file = path.read_bytes()
    box = open_box(path)
    box.commit([Entry("t", b"b")])
    older_mark = mark.read_bytes()
    used = [row.id for i in range(20) for row in box.commit([Entry("t", b"%d" % i)])]
    box.close()
    path.write_bytes(older_file)
    mark.write_bytes(older_mark)
    box = open_box(path)
    assert box.commit([Entry("t", b"new")])[0].id > max(used)
    box.close()


def test_a_mark_outlives_a_torn_write(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    marks = MarkFile(path)
    assert marks.found is None
    for i in range(5):
        marks.write(Mark(i, i * 10, "0" * 16))
    marks.close()
    assert MarkFile(path).found == Mark(4, 40, "0" * 16)
    data = bytearray(path.read_bytes())
    newest = 4 + 1  # the turn of the last
    data[newest % 2 * (len(data) // 2) + 10] ^= 1
    path.write_bytes(data)
    assert MarkFile(path).found == Mark(3, 30, "0" * 16)


def test_an_interrupted_mend_is_finished(path: Path) -> None:
    box = open_box(path)
    box.commit([Entry("t", b"a")])
    box.close()
    path.replace(path.with_name("outbox.db.new"))  # the damaged one was put aside, then a kill
    box = open_box(path)
    assert bodies(box) == [b"a"]
    assert box.losses.reset is None
    box.close()
    path.with_name("outbox.db.new").write_bytes(b"half")
    box = open_box(path)
    assert bodies(box) == [b"a"]
    assert not path.with_name("outbox.db.new").exists()
    box.close()


def test_a_failed_commit_changes_nothing(path: Path) -> None:
    box = open_box(path)
    row = box.commit([Entry("t", b"a")])[0]
    before = (box.count, box.state)
    box._db.execute(
        "CREATE TEMP TRIGGER no BEFORE INSERT ON events WHEN NEW.topic = 'x' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(sqlite3.Error):
        box.commit([Entry("t", b"b"), Entry("x", b"c")], [row.id])
    assert (box.count, box.state) == before
    assert bodies(box) == [b"a"]
    box.close()
