"""The state of a broker connection, stepped by hand against a connection that only remembers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from edge.messages import Message
from edge.publish import _backoff as backoff_module
from edge.publish import _outbox_thread as thread_module
from edge.publish._backlog import FRESH_ROOM
from edge.publish._connection import NO_SUBSCRIBERS, Packet
from edge.publish._inbox import (
    Acknowledged,
    CloseRequest,
    Connected,
    ConsumerAcknowledged,
    Disconnected,
)
from edge.publish._outbox_thread import FETCH_ROWS, ROOM
from edge.publish._outgoing import HEAD_BYTES, LIVE_BYTES, WINDOW
from edge.publish._sender import LIVE_ROOM
from tests.edge.publish.desk import Desk, event, live, state


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: Any) -> None:
    monkeypatch.setattr(thread_module, "LINGER_S", 0.0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_without_a_broker_frames_are_dropped_and_events_wait(desk: Desk) -> None:
    for i in range(3):
        desk.sender.put(live(i))
    desk.give(event(0), state("old"), event(1), state("new"))
    assert desk.counts == [0, 3, 0]
    assert desk.store.waiting == 2
    desk.connect()
    assert desk.link.seqs() == ["new", 0, 1], "newest state first, then the events in order"
    desk.answer(1, 2, 3)
    assert desk.counts == [3, 3, 0]
    assert desk.store.waiting == 0


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
    desk.note(Disconnected(first, "the connection is lost"))
    assert (first.ended, desk.sender.connected) == ("hung up", False)
    desk.give(event(4))
    desk.connect()
    assert desk.link is not first
    assert desk.link.seqs() == ["s", 0], "one by one: one of them may be why it was lost"
    for packet in (1, 2, 3, 4):
        desk.answer(packet)
    assert desk.link.seqs() == ["s", 0, 2, 3, 4]


def test_notes_of_a_connection_that_is_gone_change_nothing(desk: Desk) -> None:
    desk.connect()
    desk.give(event(0))
    first = desk.link
    desk.note(Disconnected(first, "lost"))
    desk.connect()
    for note in (Disconnected(first, "lost again"), Acknowledged(first, 1), Connected(first, 1, 1)):
        desk.note(note)
        assert desk.sender.connected
        assert desk.link.ended == ""
        assert desk.store.waiting == 1
    assert desk.link.seqs() == [0]
    assert desk.counts == [0, 0, 0]


def test_a_refused_event_is_counted_told_once_and_not_repeated(desk: Desk, caplog: Any) -> None:
    desk.connect()
    desk.give(event(0), event(1))
    desk.answer(1, 2, refusal="Not authorized (code 135)")
    assert desk.counts == [0, 0, 2]
    lines = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert lines == [
        "mqtt://b:1: d/event/fall: refused: Not authorized (code 135); "
        "set aside, tried again from time to time"
    ]
    desk.note(Disconnected(desk.link, "lost"))
    desk.connect()
    assert desk.link.sent == []


def test_a_refused_state_is_counted_and_logged_with_its_topic(desk: Desk, caplog: Any) -> None:
    desk.connect()
    desk.give(state("s"))
    desk.answer(1, refusal="Not authorized (code 135)")
    assert desk.counts == [0, 0, 1]
    assert [r.getMessage() for r in caplog.records] == [
        "mqtt://b:1: d/state: refused: Not authorized (code 135)"
    ]


def test_a_message_above_the_limit_never_reaches_the_broker(desk: Desk, caplog: Any) -> None:
    desk.connect(max_bytes=1000)
    big = state("big", "d/big")
    big.payload["pad"] = "x" * 2000
    desk.give(big, event(0, 2000), event(1), live(2, 2000), live(3))
    assert sorted(desk.link.seqs()) == [1, 3]
    assert desk.counts == [0, 0, 3]
    assert "bytes, the broker takes only 1000" in caplog.text


@pytest.mark.parametrize(("spare", "sent"), [(0, 1), (-1, 0)])
def test_a_message_of_exactly_the_limit_is_sent(desk: Desk, spare: int, sent: int) -> None:
    message = state("exact")
    desk.connect(max_bytes=Packet.of(message).size + HEAD_BYTES + spare)
    desk.give(message)
    assert len(desk.link.sent) == sent
    assert desk.counts == [0, 0, 1 - sent]


def test_few_events_are_in_memory_however_many_are_stored(desk: Desk) -> None:
    desk.connect(window=1)
    for start in range(0, 4 * FRESH_ROOM, 64):
        desk.give(*(event(start + i) for i in range(64)))
        lanes = desk.backlog._queues
        assert len(lanes.fresh) + len(lanes.old) <= FRESH_ROOM + FETCH_ROWS
    for packet in range(1, 4 * FRESH_ROOM + 1):
        desk.answer(packet)
    assert desk.link.seqs() == list(range(4 * FRESH_ROOM))


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
    desk.note(Disconnected(desk.link, "lost"))
    assert desk.counters.dropped == dropped + under_way, "those in the connection are lost with it"


def test_the_loop_is_never_held_and_memory_is_bounded_when_nobody_takes(desk: Desk) -> None:
    desk.connect()
    for i in range(LIVE_ROOM * 3):
        desk.sender.put(live(i))
    assert desk.counts == [0, LIVE_ROOM * 2, 0]
    for i in range(ROOM * 2):
        desk.sender.put(event(i))
    assert desk.store.waiting == ROOM


def test_in_a_long_outage_the_oldest_events_go_first_are_counted_and_told(desk: Desk) -> None:
    for start in range(0, 600, 50):
        desk.give(*(event(start + i, 20_000) for i in range(50)))
    lost = desk.counters.dropped
    assert 0 < lost == desk.store._outbox.losses.evicted
    assert desk.store.waiting == 600 - lost
    assert desk.told == []
    desk.connect()
    assert desk.link.seqs()[0] == lost, "the oldest that is left"
    desk.answer(1)
    assert [e.kind for e in desk.told] == ["outbox_loss"]
    assert desk.told[0].data == {"sink": "mqtt://b:1", "lost": lost, "total": lost}


def test_a_broker_that_is_not_there_is_told_once_and_tried_ever_more_rarely(
    monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(backoff_module, "PAUSE_S", 0.001)
    refused = ConnectionRefusedError(111, "Connection refused")
    desk = Desk([refused] * 4 + [OSError(113, "No route to host")])
    desk.sender._backoff.pause_s = 0.001
    pauses = []
    for _ in range(5):
        desk.sender._backoff.due_s = time.monotonic()
        desk.sender._connect()
        pauses.append(desk.sender._backoff.pause_s)
    assert pauses == [0.002, 0.004, 0.008, 0.016, 0.032]
    told = [r.getMessage().split(";")[0] for r in caplog.records]
    assert told == [
        "mqtt://b:1: cannot connect: Connection refused",
        "mqtt://b:1: cannot connect: No route to host",
    ]
    assert desk.sender.first_try_done.is_set()


def test_every_outage_is_told(desk: Desk, caplog: Any) -> None:
    for _ in range(2):
        desk.connect()
        desk.note(Disconnected(desk.link, "the connection is lost"))
    assert [r.getMessage() for r in caplog.records] == [
        "mqtt://b:1: the connection is lost; trying again, live frames are dropped, events wait"
    ] * 2


def test_a_pause_has_an_upper_bound(desk: Desk) -> None:
    for _ in range(20):
        desk.sender._on_lost("x")
    assert desk.sender._backoff.pause_s == 30.0
    assert desk.sender._backoff.due_s <= time.monotonic() + 30.0


def test_a_broker_that_accepts_but_does_not_answer_is_given_up(desk: Desk, caplog: Any) -> None:
    desk.sender._connect()
    silent = desk.link
    desk.sender._backoff.due_s = time.monotonic()
    desk.sender._connect()
    assert silent.ended == "hung up"
    assert "connected, but the broker does not answer" in caplog.text


def test_goodbye_comes_after_the_events(desk: Desk) -> None:
    desk.connect(window=2)
    desk.give(state("online", "status"))
    desk.answer(1)
    for i in range(3):
        desk.sender.put(event(i))
    desk.sender.put(state("offline", "status"))
    desk.note(CloseRequest(time.monotonic() + 20))
    for packet in (2, 3, 4, 5):
        desk.answer(packet)
    desk.sender.run()
    assert desk.link.seqs() == ["online", 0, 1, 2, "offline"]
    assert desk.link.ended == "left"
    assert desk.counts == [5, 0, 0]


def test_what_is_not_answered_in_time_is_told(desk: Desk, caplog: Any) -> None:
    desk.connect()
    desk.give(event(0), event(1))
    desk.close()
    assert desk.link.ended == "left", "nothing retained is unsent"
    assert desk.counts == [0, 2, 0]
    assert "2 events were not delivered" in caplog.text


def test_the_will_speaks_where_the_last_state_was_not_taken(desk: Desk) -> None:
    desk.connect()
    desk.give(state("stopped"))
    desk.close()
    assert desk.link.ended == "hung up", "without DISCONNECT the broker publishes the will"


def test_events_that_nobody_acknowledges_leave_room_for_the_last_states(desk: Desk) -> None:
    desk.connect(window=3)
    desk.give(*(event(seq) for seq in range(9)))
    desk.give(state("ended", "d/cam0/state"), state("offline", "d/status"))
    desk.close()
    last = desk.link.sent[-2:]
    assert [(p.topic, p.qos, p.retain) for p in last] == [
        ("d/cam0/state", 0, True),
        ("d/status", 0, True),
    ], "QoS 0 needs no room in the window"
    assert desk.link.ended == "hung up", "not written yet"


def test_closing_without_a_broker_waits_only_for_events() -> None:
    nobody = Desk([OSError("x")] * 100)
    nobody.give(state("s"))
    nobody.close(after_s=3600)
    assert nobody.counts == [0, 0, 0]


def nobody(desk: Desk, *packets: int) -> None:
    desk.note(*(Acknowledged(desk.link, p, NO_SUBSCRIBERS) for p in packets))


def fall(seq: int, topic: str = "d/event/fall") -> Message:
    return Message(topic, "event", {"seq": seq}, qos=1)


def test_what_nobody_has_subscribed_to_waits_is_tried_and_delays_nobody(desk: Desk) -> None:
    desk.connect()
    desk.give(*(fall(i, "d/event/a") for i in range(5)))
    nobody(desk, 1, 2, 3, 4, 5)
    desk.give(fall(5, "d/event/a"), fall(6, "d/event/b"))
    assert desk.link.seqs()[5:] == [6], "another topic passes"
    desk.answer(6)
    for n in range(3):
        desk.wait(2.1)
        assert desk.link.seqs()[6 + n :] == [0], "one of them is tried"
        nobody(desk, 7 + n)
    desk.wait(2.1)
    desk.answer(10)
    assert desk.link.seqs()[10:] == [1, 2, 3, 4, 5], "then the others, in order"
    desk.answer(11, 12, 13, 14, 15)
    assert desk.store.waiting == 0
    assert desk.counts == [7, 0, 0]


def test_live_events_do_not_stand_behind_history(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("edge.publish._send_queues.LATE_S", 0.0)
    desk.give(*(event(i) for i in range(200)))
    desk.connect(window=4)
    desk.answer(1, 2, 3, 4)
    desk.give(event(1000))
    done = len(desk.link.sent)
    desk.answer(5, 6, 7, 8)
    assert 1000 in desk.link.seqs()[: done + 4]
    for packet in range(9, 202):
        desk.answer(packet)
    history = [s for s in desk.link.seqs() if s < 1000]
    assert history == list(range(200)), "in order"
    assert desk.store.waiting == 0


def test_what_a_short_gap_left_goes_first_and_all_stays_in_order(desk: Desk) -> None:
    desk.give(*(event(i) for i in range(200)))
    desk.connect(window=4)
    desk.give(event(200))
    for packet in range(1, 202):
        desk.answer(packet)
    assert desk.link.seqs() == list(range(201))
    assert not any(b"historical" in p.body for p in desk.link.sent)


def test_history_is_marked_and_live_is_not(desk: Desk, monkeypatch: Any) -> None:
    desk.give(event(0))
    desk.connect()
    first = json.loads(desk.link.sent[0].body)
    desk.note(Disconnected(desk.link, "lost"))
    monkeypatch.setattr("edge.publish._send_queues.LATE_S", 0.0)
    desk.connect()
    second = json.loads(desk.link.sent[0].body)
    assert "historical" not in first
    assert second.pop("historical") is True
    assert second == first


def test_a_message_that_ends_connections_is_found_and_set_aside(desk: Desk, caplog: Any) -> None:
    desk.connect()
    desk.give(*(event(i) for i in range(5)))
    for _ in range(20):
        sent = desk.link.seqs()
        if sent.count(2) == 0 and desk.store.waiting == 0:
            break
        if 2 in sent:  # this broker closes on it
            desk.note(Disconnected(desk.link, "the connection is lost"))
            assert desk.sender._backoff.pause_s == backoff_module.PAUSE_S, (
                "no long pause for one event"
            )
            desk.connect()
        else:
            desk.answer(*range(1, len(sent) + 1))
    assert desk.counts == [4, 0, 1]
    assert "the broker closes on it; set aside" in caplog.text
    assert [(e.kind, e.data["topic"]) for e in desk.told] == [("outbox_parked", "d/event/fall")]
    desk.give(event(9))
    assert desk.link.seqs()[-1] == 9


def test_a_broker_that_dies_with_many_events_under_way_sets_none_aside(desk: Desk) -> None:
    for step in range(10):
        desk.connect()
        desk.give(event(step), state(step))  # which it does not take either
        desk.note(Disconnected(desk.link, "lost"))
    desk.connect()
    for packet in range(1, 12):
        desk.answer(packet)
    assert desk.link.seqs() == [9, *range(10)]
    assert desk.counts == [11, 0, 0]


def heard(desk: Desk, packet: Packet) -> None:
    desk.note(ConsumerAcknowledged(desk.link, packet.correlation))


def test_with_a_consumer_an_event_goes_when_it_answers_not_before() -> None:
    desk = Desk(consumer=True)
    desk.connect()
    desk.give(event(0), event(1), event(2))
    assert {p.response_topic for p in desk.link.sent} == {"d/ack"}
    desk.answer(1, 2)
    assert desk.store.waiting == 3
    heard(desk, desk.link.sent[0])
    heard(desk, desk.link.sent[2])  # before the broker acknowledged it
    desk.answer(3)
    assert desk.store.waiting == 1
    assert desk.counts == [2, 0, 0]
    heard(desk, desk.link.sent[1])
    assert desk.store.waiting == 0
    assert desk.counts == [3, 0, 0]


def test_a_consumer_that_does_not_answer_is_asked_again_and_others_pass() -> None:
    desk = Desk(consumer=True)
    desk.connect()
    desk.give(fall(0, "d/event/a"), fall(1, "d/event/a"), fall(2, "d/event/b"))
    desk.answer(1, 2, 3)
    heard(desk, desk.link.sent[2])
    desk.wait(5.1)
    desk.give(fall(3, "d/event/a"), fall(4, "d/event/b"))
    assert desk.link.seqs()[3:] == [4]
    desk.wait(2.1)
    assert desk.link.seqs()[4:] == [0], "asked again with one of them"
    heard(desk, desk.link.sent[5 - 1])
    assert desk.link.seqs()[5:] == [1, 3]
    for packet in desk.link.sent[3:]:
        heard(desk, packet)
    assert desk.store.waiting == 0


def test_few_events_wait_for_a_consumer_at_once(monkeypatch: Any) -> None:
    monkeypatch.setattr("edge.publish._backlog.ANSWERS", 10)
    desk = Desk(consumer=True)
    desk.connect(window=4)
    desk.give(*(event(i) for i in range(100)))
    for packet in range(1, 101):
        desk.answer(packet)
    asked = len(desk.link.sent)
    assert 10 <= asked < 10 + 4
    for packet in desk.link.sent[:asked]:  # type: ignore[assignment]
        heard(desk, packet)
    assert len(desk.link.sent) > asked


@pytest.mark.parametrize("wrong", [b"", b"x", b"-1", b"0" * 16 + b"-1", b"\xff" * 70, b"a-b"])
def test_an_answer_to_nothing_changes_nothing(wrong: bytes) -> None:
    desk = Desk(consumer=True)
    desk.connect()
    desk.give(event(0))
    desk.answer(1)
    desk.note(ConsumerAcknowledged(desk.link, wrong))
    assert desk.store.waiting == 1
    assert desk.counts == [0, 0, 0]


def test_an_event_too_large_for_the_outbox_is_refused_and_told(desk: Desk) -> None:
    desk.connect()
    desk.give(event(0, 2**17), event(1))
    assert desk.link.seqs() == [1]
    assert desk.counts == [0, 0, 1]
    assert [e.kind for e in desk.told] == ["outbox_parked"]
