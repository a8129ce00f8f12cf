"""The state of a broker connection, stepped by hand against a link that only remembers."""

from __future__ import annotations

import queue
import time
from typing import Any, List, Optional

import pytest

from edge.messages import Message
from edge.publish import Counters
from edge.publish import _sender as sender_module
from edge.publish._link import Answer, Down, Up
from edge.publish._sender import EVENT_ROOM, LIVE_BYTES, LIVE_ROOM, MAX_BYTES, WINDOW, Sender


class Link:
    """Takes everything, answers nothing by itself."""

    def __init__(self, notes: Any, error: Optional[Exception] = None) -> None:
        self.notes, self.error = notes, error
        self.sent: List[Message] = []
        self.ended = ""

    def open(self) -> None:
        if self.error:
            raise self.error

    def publish(self, message: Message) -> int:
        self.sent.append(message)
        return len(self.sent)

    def leave(self) -> None:
        self.ended = "left"

    def hang_up(self) -> None:
        self.ended = "hung up"

    def seqs(self) -> List[Any]:
        return [m.payload["seq"] for m in self.sent]


class Desk:
    """A sender, its links and short words for what may happen to it."""

    def __init__(self, errors: Optional[List[Exception]] = None) -> None:
        self.links: List[Link] = []
        self.errors = errors or []
        self.counters = Counters()
        self.sender = Sender("mqtt://b:1", self.dial, self.counters, 30.0)

    def dial(self, notes: queue.SimpleQueue[Any]) -> Link:
        self.links.append(Link(notes, self.errors.pop(0) if self.errors else None))
        return self.links[-1]

    @property
    def link(self) -> Link:
        return self.links[-1]

    def give(self, *messages: Message) -> None:
        for message in messages:
            self.sender.give(message)
        if messages:
            self.sender.turn()

    def note(self, *notes: Any) -> None:
        for note in notes:
            self.sender._notes.put(note)
        self.sender.turn()

    def connect(self, window: int = WINDOW, max_bytes: int = MAX_BYTES) -> None:
        if self.sender._link is None:
            self.sender._due_s = time.monotonic()
            self.sender._connect()
        self.note(Up(self.link, window, max_bytes))

    def answer(self, *packets: int, refusal: str = "") -> None:
        self.note(*(Answer(self.link, p, refusal) for p in packets))

    def close(self, after_s: float = 0.0) -> None:
        self.sender.close(time.monotonic() + after_s)
        self.sender.run()

    @property
    def counts(self) -> List[int]:
        return list(self.counters.report().values())  # sent, dropped, refused


def event(seq: int, size: int = 0) -> Message:
    return Message("d/event/fall", "event", {"seq": seq, "pad": "x" * size}, qos=1)


def live(seq: int, size: int = 0) -> Message:
    return Message("d/frame", "frame", {"seq": seq, "pad": "x" * size})


def state(seq: Any, topic: str = "d/state") -> Message:
    return Message(topic, "state", {"seq": seq}, qos=1, retain=True)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_without_a_broker_frames_are_dropped_and_events_wait(desk: Desk) -> None:
    for i in range(3):
        desk.sender.give(live(i))
    desk.give(event(0), state("old"), event(1), state("new"))
    assert desk.counts == [0, 3, 0]
    assert desk.sender.waiting == 2
    desk.connect()
    assert desk.link.seqs() == ["new", 0, 1], "newest state first, then the events in order"
    desk.answer(1, 2, 3)
    assert desk.counts == [3, 3, 0]
    assert desk.sender.waiting == 0


def test_no_more_is_under_way_than_the_broker_takes(desk: Desk) -> None:
    desk.connect(window=3)
    desk.give(*(event(i) for i in range(8)))
    assert desk.link.seqs() == [0, 1, 2]
    desk.answer(1)
    assert desk.link.seqs() == [0, 1, 2, 3]
    desk.answer(2, 3, 4)
    assert desk.link.seqs() == list(range(7))


def test_our_own_window_bounds_a_generous_broker(desk: Desk) -> None:
    desk.connect(window=65535)
    desk.give(*(event(i) for i in range(100)))
    assert len(desk.link.sent) == WINDOW


def test_after_an_outage_what_was_not_answered_is_sent_again_in_order(desk: Desk) -> None:
    desk.connect()
    desk.give(state("s"), *(event(i) for i in range(4)))
    desk.answer(1, 3)
    first = desk.link
    desk.note(Down(first, "the connection is lost"))
    assert (first.ended, desk.sender.up) == ("hung up", False)
    desk.give(event(4))
    desk.connect()
    assert desk.link is not first
    assert desk.link.seqs() == ["s", 0, 2, 3, 4]


def test_notes_of_a_connection_that_is_gone_change_nothing(desk: Desk) -> None:
    desk.connect()
    desk.give(event(0))
    first = desk.link
    desk.note(Down(first, "lost"))
    desk.connect()
    desk.note(Down(first, "lost again"), Answer(first, 1, ""), Up(first, 1, 1))
    assert desk.sender.up
    assert desk.link.seqs() == [0]
    assert desk.counts == [0, 0, 0]


def test_a_refused_event_is_counted_told_once_and_not_repeated(desk: Desk, caplog: Any) -> None:
    desk.connect()
    desk.give(event(0), event(1))
    desk.answer(1, 2, refusal="Not authorized (code 135)")
    assert desk.counts == [0, 0, 2]
    lines = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert lines == ["mqtt://b:1: d/event/fall: refused: Not authorized (code 135)"]
    desk.note(Down(desk.link, "lost"))
    desk.connect()
    assert desk.link.sent == []


def test_a_message_above_the_limit_never_reaches_the_broker(desk: Desk, caplog: Any) -> None:
    desk.connect(max_bytes=1000)
    big = state("big", "d/big")
    big.payload["pad"] = "x" * 2000
    desk.give(big, event(0, 2000), event(1), live(2, 2000), live(3))
    assert sorted(desk.link.seqs()) == [1, 3]
    assert desk.counts == [0, 0, 3]
    assert "bytes, the broker takes only 1000" in caplog.text


def test_live_frames_do_not_pile_up_behind_a_broker_that_reads_nothing(desk: Desk) -> None:
    desk.connect()
    size = LIVE_BYTES // 10
    for i in range(30):
        desk.give(live(i, size))
    assert 10 <= len(desk.link.sent) <= 11
    assert desk.counts == [0, 30 - len(desk.link.sent), 0]
    desk.answer(1, 2)
    desk.give(live(99, size))
    assert desk.link.seqs()[-1] == 99
    under_way = len(desk.link.sent) - 2
    dropped = desk.counters.dropped
    desk.note(Down(desk.link, "lost"))
    assert desk.counters.dropped == dropped + under_way, "those in the connection are lost with it"


def test_the_loop_is_never_held_and_memory_is_bounded_when_nobody_takes(desk: Desk) -> None:
    desk.connect()
    for i in range(LIVE_ROOM * 3):
        desk.sender.give(live(i))
    assert desk.counts == [0, LIVE_ROOM * 2, 0]
    for i in range(EVENT_ROOM * 2):
        desk.sender.give(event(i))
    assert desk.sender.waiting == EVENT_ROOM


def test_in_a_long_outage_the_oldest_events_go_first_and_are_counted(
    desk: Desk, caplog: Any
) -> None:
    for start in range(0, EVENT_ROOM + 500, 250):
        desk.give(*(event(start + i) for i in range(250)))
    while desk.sender._given > desk.sender._taken:
        desk.sender.turn()
    assert desk.sender.waiting == EVENT_ROOM
    assert desk.counts == [0, 500, 0]
    assert "the oldest are dropped" in caplog.text
    desk.connect()
    assert desk.link.seqs()[0] == 500


def test_a_broker_that_is_not_there_is_told_once_and_tried_ever_more_rarely(
    monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(sender_module, "PAUSE_S", 0.001)
    refused = ConnectionRefusedError(111, "Connection refused")
    desk = Desk([refused] * 4 + [OSError(113, "No route to host")])
    desk.sender._pause_s = 0.001
    pauses = []
    for _ in range(5):
        desk.sender._due_s = time.monotonic()
        desk.sender._connect()
        pauses.append(desk.sender._pause_s)
    assert pauses == [0.002, 0.004, 0.008, 0.016, 0.032]
    told = [r.getMessage().split(";")[0] for r in caplog.records]
    assert told == [
        "mqtt://b:1: cannot connect: Connection refused",
        "mqtt://b:1: cannot connect: No route to host",
    ]
    assert desk.sender.decided.is_set()


def test_every_outage_is_told(desk: Desk, caplog: Any) -> None:
    for _ in range(2):
        desk.connect()
        desk.note(Down(desk.link, "the connection is lost"))
    assert [r.getMessage() for r in caplog.records] == [
        "mqtt://b:1: the connection is lost; trying again, live frames are dropped, events wait"
    ] * 2


def test_a_pause_has_an_upper_bound(desk: Desk) -> None:
    for _ in range(20):
        desk.sender._lost("x")
    assert desk.sender._pause_s == 30.0
    assert desk.sender._due_s <= time.monotonic() + 30.0


def test_a_broker_that_accepts_but_does_not_answer_is_given_up(desk: Desk, caplog: Any) -> None:
    desk.sender._connect()
    silent = desk.link
    desk.sender._due_s = time.monotonic()
    desk.sender._connect()
    assert silent.ended == "hung up"
    assert "connected, but the broker does not answer" in caplog.text


def test_goodbye_comes_after_the_events(desk: Desk) -> None:
    desk.connect(window=2)
    desk.give(state("online", "status"))
    desk.answer(1)
    for i in range(3):
        desk.sender.give(event(i))
    desk.sender.give(state("offline", "status"))
    desk.sender.close(time.monotonic() + 20)
    for packet in (2, 3, 4, 5):
        desk.sender.turn()
        desk.sender._notes.put(Answer(desk.link, packet, ""))
    desk.sender.run()
    assert desk.link.seqs() == ["online", 0, 1, 2, "offline"]
    assert desk.link.ended == "left"
    assert desk.counts == [5, 0, 0]


def test_what_is_not_answered_in_time_is_told_and_the_will_speaks(desk: Desk, caplog: Any) -> None:
    desk.connect()
    desk.give(event(0), event(1))
    desk.close()
    assert desk.link.ended == "hung up", "without DISCONNECT the broker publishes the will"
    assert desk.counts == [0, 2, 0]
    assert "2 events were not delivered" in caplog.text


def test_closing_without_a_broker_waits_only_for_events() -> None:
    nobody = Desk([OSError("x")] * 100)
    nobody.give(state("s"))
    nobody.close(after_s=3600)
    assert nobody.counts == [0, 0, 0]
