"""An outbox whose files are removed, replaced or cut short while the program has them open."""

from __future__ import annotations

import os
import queue
import re
import shutil
from pathlib import Path
from typing import Any, List

import pytest

from edge.messages import Message
from edge.outbox.store import Entry, Outbox
from edge.publish import _fallback_outbox as fallback_module
from edge.publish._counters import Counters
from edge.publish._fallback_outbox import FallbackOutbox, OutboxSettings
from edge.publish._inbox import FetchRequest, OutboxReplaced, RowsStored
from edge.publish._outbox_thread import OutboxThread

MAX_BYTES = 4 * 2**20
BODIES = [b"%d" % i for i in range(300)]


class Box(FallbackOutbox):
    """An outbox on disk with 300 events of an earlier run and of this one."""

    def __init__(self, path: Path) -> None:
        earlier = Outbox(path, MAX_BYTES, "earlier")
        earlier.commit([Entry("t", body) for body in BODIES[:100]], now_ns=9)
        earlier.close()
        self.path, self.replaced = path, 0
        settings = OutboxSettings(path, MAX_BYTES, "run", [], [])
        super().__init__("broker", settings, Counters(), self.count)
        self.open()
        for start in (100, 200):
            self.put(*BODIES[start : start + 100])

    def count(self) -> None:
        self.replaced += 1

    def put(self, *bodies: bytes) -> None:
        self.commit([Entry("t", body) for body in bodies], [], self.losses)

    def bodies(self) -> List[bytes]:
        return [row.body for row in self.read(FetchRequest(0), 10**6) or []]

    def on_disk(self) -> List[bytes]:
        """What the next start finds after a kill."""
        folder = self.path.parent.parent / "copy"
        shutil.copytree(str(self.path.parent), str(folder))
        outbox = Outbox(folder / self.path.name, MAX_BYTES, "next")
        found = [row.body for row in outbox.after(0, 2**63 - 1, 10**6)]
        outbox.close()
        return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "state").mkdir()
    return Box(tmp_path / "state" / "outbox.db")


def remove_file(box: Box) -> None:
    box.path.unlink()


def remove_all(box: Box) -> None:
    for path in box.path.parent.iterdir():
        path.unlink()


def remove_folder(box: Box) -> None:
    shutil.rmtree(str(box.path.parent))


def rename_folder(box: Box) -> None:
    box.path.parent.rename(box.path.parent.with_name("away"))


def replace_by_nothing(box: Box) -> None:
    box.path.with_name("empty").touch()
    box.path.with_name("empty").replace(box.path)


def replace_by_junk(box: Box) -> None:
    box.path.with_name("junk").write_bytes(b"junk" * 5000)
    box.path.with_name("junk").replace(box.path)


def replace_by_copy(box: Box) -> None:
    shutil.copy(str(box.path), str(box.path.with_name("copy.db")))
    box.path.with_name("copy.db").replace(box.path)


def replace_by_folder(box: Box) -> None:
    box.path.unlink()
    box.path.mkdir()


WAYS = [
    remove_file,
    remove_all,
    remove_folder,
    rename_folder,
    replace_by_nothing,
    replace_by_junk,
    replace_by_copy,
]


@pytest.mark.parametrize("way", WAYS)
def test_events_move_to_a_new_file_and_the_move_is_told(box: Box, way: Any, caplog: Any) -> None:
    way(box)
    box.follow()
    assert box.durable
    assert box.replaced == 1, "row ids known before are invalid"
    assert set(box.bodies()) == set(BODIES)
    assert box.losses.reset is not None
    assert (box.losses.reset["recovered"], box.losses.reset["lost"]) == (len(BODIES), 0)
    assert box.resets == 1
    assert not [text for text in caplog.messages if re.search(r"[1-9]\d* (events )?lost", text)]
    assert "300 of its 300 events go on in a new file" in caplog.text
    box.put(b"after")
    box.follow()
    assert box.replaced == 1, "the new file stays"
    assert set(box.on_disk()) == {*BODIES, b"after"}


def test_events_keep_their_run_and_time(box: Box) -> None:
    remove_file(box)
    box.follow()
    rows = box.read(FetchRequest(0), 10**6) or []
    assert {(r.run, r.t_ns) for r in rows if r.body in BODIES[:100]} == {("earlier", 9)}
    assert {r.run for r in rows if r.body in BODIES[100:]} == {"run"}


def test_a_copy_of_the_file_uses_no_id_twice(box: Box) -> None:
    known = {row.id for row in box.read(FetchRequest(0), 10**6) or []}
    replace_by_copy(box)
    box.follow()
    rows = box.read(FetchRequest(0), 10**6) or []
    assert len(rows) == 2 * len(BODIES), "an event may come twice"
    box.put(b"new")
    last = (box.read(FetchRequest(0), 10**6) or [])[-1]
    assert last.id not in known


@pytest.mark.parametrize("way", [remove_folder, replace_by_folder])
def test_without_a_place_on_the_disk_events_go_on_in_memory_until_there_is_one(
    box: Box, way: Any, caplog: Any, monkeypatch: Any
) -> None:
    way(box)
    folder = box.path.parent
    if way is remove_folder:
        folder.touch()  # a file in its place: no folder can be made
    box.follow()
    assert not box.durable
    assert set(box.bodies()) == set(BODIES)
    assert "go on in memory only, mend it or make room" in caplog.text
    box.put(b"meanwhile")
    if way is remove_folder:
        folder.unlink()
        folder.mkdir()
    else:
        box.path.rmdir()
    monkeypatch.setattr(fallback_module, "DISK_S", 0.0)
    box._due_s = 0.0
    box.return_to_disk()
    assert box.durable
    assert set(box.bodies()) == {*BODIES, b"meanwhile"}
    assert box.losses.reset is not None, "still to be told"
    assert set(box.on_disk()) == {*BODIES, b"meanwhile"}


@pytest.mark.parametrize("name", ["outbox.db-journal", "outbox.db.mark"])
def test_a_removed_file_beside_it_is_made_again(box: Box, name: str) -> None:
    (box.path.parent / name).unlink()
    box.follow()
    box.put(b"after")
    assert (box.path.parent / name).is_file()
    assert box.durable
    assert box.bodies() == [*BODIES, b"after"]
    assert box.on_disk() == [*BODIES, b"after"]


def test_a_file_that_was_cut_short_is_found_before_the_next_event_counts(box: Box) -> None:
    os.truncate(str(box.path), 8192)
    box.follow()
    box.put(b"after")
    assert box.losses.reset is not None
    assert box.losses.reset["lost"] + box.losses.reset["recovered"] == len(BODIES)
    assert box.on_disk()[-1] == b"after"


def test_an_event_counts_as_stored_only_in_a_file_that_is_there(tmp_path: Path) -> None:
    inbox: Any = queue.Queue()
    counters = Counters()
    path = tmp_path / "outbox.db"
    thread = OutboxThread(
        "b", OutboxSettings(path, MAX_BYTES, "run", [], []), inbox, counters, lambda event: None
    )
    thread._outbox.open()
    commit = thread._outbox.commit

    def commit_and_lose(*arguments: Any) -> Any:
        rows = commit(*arguments)
        path.unlink()
        return rows

    thread._outbox.commit = commit_and_lose  # type: ignore[method-assign,assignment]
    thread.put(Message("d/event/wave", "event", {"seq": 1, "data": {}}, qos=1))
    thread.step()
    assert counters.outbox["stored"] == 1
    kinds = [type(inbox.get_nowait()) for _ in range(inbox.qsize())]
    assert kinds == [RowsStored, OutboxReplaced]
    thread._outbox.close()
    again = Outbox(path, MAX_BYTES, "next")
    assert again.count == 1
    again.close()
