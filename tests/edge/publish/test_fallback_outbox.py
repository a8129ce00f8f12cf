"""An outbox in use while its disk fails, comes back, or was never there."""

from __future__ import annotations

import dataclasses
import queue
import sqlite3
import time
from pathlib import Path
from typing import Any, List

import pytest

from edge.errors import ConfigError
from edge.messages import Message
from edge.outbox.state_row import Losses
from edge.outbox.store import MAX_BODY_BYTES, Entry, Outbox, Row
from edge.publish import SinkOptions
from edge.publish import _outbox_thread as thread_module
from edge.publish._address import parse
from edge.publish._backoff import requested_keepalive_s
from edge.publish._counters import Counters
from edge.publish._fallback_outbox import FallbackOutbox, OutboxSettings, copy_rows, outbox_file
from edge.publish._inbox import FetchRequest, OutboxReplaced, RowsFetched, RowsStored
from edge.publish._outbox_thread import OutboxThread
from edge.publish.mqtt import check
from edge.settings.publishing import Mqtt
from edge.settings.publishing import Outbox as OutboxConfig
from edge.structures import PoseEvent

MAX_BYTES = 4 * 2**20


def settings(path: Path) -> OutboxSettings:
    return OutboxSettings(path, MAX_BYTES, "run", ["fall"], ["trifle"])


class Replacements:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def box_at(path: Path, replaced: Replacements) -> FallbackOutbox:
    box = FallbackOutbox("broker", settings(path), Counters(), replaced)
    box.open()
    return box


def rows(box: FallbackOutbox) -> List[Row]:
    return box.read(FetchRequest(0), 10**6) or []


def put(box: FallbackOutbox, *bodies: bytes) -> List[Row]:
    return box.commit([Entry("t", b) for b in bodies], [], box.losses)


class BrokenDatabase:
    """A connection whose disk has died."""

    def __getattr__(self, name: str) -> Any:
        def fail(*words: Any) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        return (lambda: None) if name == "close" else fail


def test_a_disk_that_dies_costs_no_event_that_comes_after_and_is_taken_again(
    tmp_path: Path, caplog: Any
) -> None:
    replaced = Replacements()
    folder = tmp_path / "disk"
    folder.mkdir()
    box = box_at(folder / "outbox.db", replaced)
    put(box, b"before")
    assert box.durable
    folder.rename(tmp_path / "away")
    box.current._db.close()
    box.current._db = BrokenDatabase()  # type: ignore[assignment]
    before = box.token
    assert [r.body for r in put(box, b"meanwhile 1", b"meanwhile 2")] == [
        b"meanwhile 1",
        b"meanwhile 2",
    ]
    assert not box.durable
    assert replaced.count >= 1
    assert box.token != before, "row ids known before are invalid"
    assert "events are kept in memory only, mend it or make room" in caplog.text
    (tmp_path / "away").rename(folder)
    box.return_to_disk()
    assert not box.durable, "not at every turn"
    box._due_s = time.monotonic()
    box.return_to_disk()
    assert box.durable
    assert [r.body for r in rows(box)] == [b"before", b"meanwhile 1", b"meanwhile 2"]
    assert box.token == before
    assert "in use again" in caplog.text
    box.close()


def test_damage_found_while_running_is_mended_and_the_event_kept(tmp_path: Path) -> None:
    replaced = Replacements()
    path = tmp_path / "outbox.db"
    box = box_at(path, replaced)
    put(box, *(b"event %d" % i for i in range(5)))
    box.current._db.execute("UPDATE events SET body = x'00' WHERE id = 2")
    assert box.read(FetchRequest(0), 99) is None
    assert replaced.count == 1
    assert [r.body for r in rows(box)] == [b"event 0", b"event 2", b"event 3", b"event 4"]
    assert box.losses.reset is not None
    assert box.losses.reset["lost"] == 1
    assert box.resets == 1
    box.close()


def test_another_process_has_the_file_until_it_ends(tmp_path: Path, caplog: Any) -> None:
    other = Outbox(tmp_path / "outbox.db", MAX_BYTES, "other")
    other.commit([Entry("t", b"theirs")])
    box = box_at(tmp_path / "outbox.db", Replacements())
    put(box, b"ours")
    assert not box.durable
    assert "is in use by another process" in caplog.text
    other.close()
    box._due_s = 0.0
    box.return_to_disk()
    assert [r.body for r in rows(box)] == [b"theirs", b"ours"]
    box.close()


def test_what_memory_lost_is_told_when_the_disk_is_back(tmp_path: Path) -> None:
    memory = Outbox(None, MAX_BYTES, "run")
    memory.commit([Entry("t", b"kept")], losses=Losses(evicted=5, reported=2))
    disk = Outbox(tmp_path / "outbox.db", MAX_BYTES, "run")
    disk.commit([], losses=Losses(evicted=10, reported=10))
    copy_rows(memory, disk)
    assert disk.losses == Losses(evicted=13, reported=10)
    assert [r.body for r in disk.after(0, 2**62, 9)] == [b"kept"]
    disk.close()


class Bench:
    """A store stepped by hand."""

    def __init__(self, path: Any = None) -> None:
        self.inbox: Any = queue.Queue()
        self.counters = Counters()
        self.told: List[PoseEvent] = []
        self.store = OutboxThread("b", settings(path), self.inbox, self.counters, self.told.append)
        self.store._outbox.open()

    def give(self, *messages: Message) -> List[Row]:
        for message in messages:
            self.store.put(message)
        self.store.step()
        note = self.inbox.get_nowait()
        assert isinstance(note, RowsStored)
        return note.rows


def event(kind: str, **data: Any) -> Message:
    return Message(f"poses/v1/b/c/event/{kind}", "event", {"data": data}, qos=1)


def test_kinds_have_their_rank() -> None:
    bench = Bench()
    given = bench.give(*(event(k) for k in ("fall", "zone", "trifle", "outbox_loss")))
    assert [r.priority for r in given] == [2, 1, 0, 2]


def test_what_comes_together_is_one_commit(monkeypatch: Any) -> None:
    bench = Bench()
    commits: List[int] = []
    commit = bench.store._outbox.current.commit
    monkeypatch.setattr(
        bench.store._outbox.current,
        "commit",
        lambda puts, *more: commits.append(len(puts)) or commit(puts, *more),
    )
    assert len(bench.give(*(event("zone") for _ in range(100)))) == 100
    assert commits == [100]


def test_a_loss_is_told_once_stored_and_not_before(monkeypatch: Any) -> None:
    monkeypatch.setattr(thread_module, "REPORT_S", 0.0)
    bench = Bench()
    box = bench.store._outbox.current
    box.commit([], losses=dataclasses.replace(box.losses, evicted=7, reset={"lost": 1}))
    bench.give(event("zone"))
    assert bench.told == [], "nobody is connected"
    bench.store.connected = True
    bench.give(event("zone"))
    assert [(e.kind, e.camera, e.data) for e in bench.told] == [
        ("outbox_reset", "device", {"sink": "b", "lost": 1}),
        ("outbox_loss", "device", {"sink": "b", "lost": 7, "total": 7}),
    ]
    bench.give(event("outbox_loss", sink="another", lost=9, total=9))
    assert bench.store._outbox.losses.reported == 0
    bench.told.clear()
    bench.give(event("outbox_loss", sink="b", lost=7, total=7), event("outbox_reset", sink="b"))
    assert (box.losses.reported, box.losses.reset) == (7, None)
    assert bench.told == []


def test_what_the_loop_gives_beyond_the_room_is_counted_as_lost(monkeypatch: Any) -> None:
    monkeypatch.setattr(thread_module, "ROOM", 10)
    bench = Bench()
    bench.give(*(event("zone") for _ in range(15)))
    assert bench.counters.dropped == 5
    assert bench.store._outbox.losses.evicted == 5
    assert bench.store.waiting == 10


def test_an_event_that_is_too_large_is_settled_without_being_stored() -> None:
    bench = Bench()
    bench.store.put(event("zone", pad="x" * MAX_BODY_BYTES))
    assert not bench.store.settled
    bench.store.step()
    assert bench.store.settled, "or the program would wait for it when it stops"
    assert bench.store.waiting == 0
    assert bench.inbox.empty()
    assert bench.counters.refused == 1
    (parked,) = bench.told
    assert (parked.kind, parked.data["reason"]) == (
        "outbox_parked",
        f"events have at most {MAX_BODY_BYTES} bytes",
    )


def test_acknowledgements_go_first_then_wishes_are_granted() -> None:
    bench = Bench()
    first, second = bench.give(event("zone"), event("zone"))
    bench.store.remove(first.id, first.token)
    bench.store.remove(second.id, "another token")
    request = FetchRequest(0)
    bench.store.fetch(request)
    bench.store.step()
    assert bench.inbox.get_nowait() == RowsFetched(request, [second])


def test_a_store_whose_disk_dies_says_that_numbers_changed(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "outbox.db")
    bench.give(event("zone"))
    bench.store._outbox.current._db.close()
    bench.store._outbox.current._db = BrokenDatabase()  # type: ignore[assignment]
    bench.store.put(event("zone"))
    bench.store.step()
    first, second = bench.inbox.get_nowait(), bench.inbox.get_nowait()
    assert isinstance(first, OutboxReplaced)
    assert len(second.rows) == 1
    assert bench.store.durable, "it could be opened again"
    bench.store._outbox.close()


# Where it is.


def options(**more: Any) -> SinkOptions:
    return SinkOptions("box", None, Mqtt(), **more)


def test_the_file_is_where_it_was_asked_for_or_in_the_state_directory(
    tmp_path: Path, monkeypatch: Any, caplog: Any
) -> None:
    caplog.set_level("INFO")
    broker = parse("mqtt://host", Mqtt())
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert outbox_file(broker.name, broker.outbox_name, options()) is None
    assert "kept in memory only; set outbox.path or state.dir" in caplog.text
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/a:{tmp_path}/b")
    assert outbox_file(broker.name, broker.outbox_name, options()) == tmp_path / "a" / "outbox.db"
    state = str(tmp_path / "s")
    assert (
        outbox_file(broker.name, broker.outbox_name, options(state_dir=state))
        == tmp_path / "s" / "outbox.db"
    )
    named = options(outbox=OutboxConfig(path=str(tmp_path / "x.db")), state_dir=state)
    assert outbox_file(broker.name, broker.outbox_name, named) == tmp_path / "x.db"
    second = dataclasses.replace(named, first_outbox=False)
    assert outbox_file(broker.name, broker.outbox_name, second) == tmp_path / "x.db-host-1883"


def test_what_cannot_work_is_one_clear_line(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere" / "x.db")
    with pytest.raises(ConfigError, match=r"^outbox.path: .*nowhere: no such folder; create it$"):
        check("mqtt://host", options(outbox=OutboxConfig(path=path)))
    old = options(outbox=OutboxConfig(ack="consumer"))
    with pytest.raises(ConfigError, match=r'outbox.ack = "consumer" needs mqtt.protocol = "5"'):
        check("mqtt://host?protocol=3.1.1", old)


@pytest.mark.parametrize("keepalive_s", [2, 3, 4, 5, 10, 15, 60, 3600])
def test_silence_is_noticed_within_one_point_six_keepalives(keepalive_s: int) -> None:
    ping = requested_keepalive_s(keepalive_s)
    assert 1 <= ping <= keepalive_s
    assert 2 * ping + 1 <= 1.6 * keepalive_s or ping == 1
