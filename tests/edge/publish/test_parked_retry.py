"""Events that were set aside are tried again on a good connection, and delay nobody."""

from __future__ import annotations

from typing import Any, List

import pytest

from edge.messages import Message
from edge.publish import _outbox_thread as thread_module
from edge.publish._connection import NO_SUBSCRIBERS
from edge.publish._inbox import Acknowledged, Disconnected
from edge.publish._parked import FIRST_S, LAST_S
from edge.publish._suspects import STRIKES
from tests.edge.publish.desk import Desk


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: Any) -> None:
    monkeypatch.setattr(thread_module, "LINGER_S", 0.0)


def event(seq: int, kind: str = "wave") -> Message:
    return Message(f"d/event/{kind}", "event", {"seq": seq}, qos=1)


def end(desk: Desk) -> None:
    desk.note(Disconnected(desk.link, "closed"))
    desk.connect()


def parked_by_an_ill_broker(count: int) -> Desk:
    """A broker that closed the connection at every event until each was set aside."""
    desk = Desk()
    desk.connect()
    for seq in range(count):
        desk.give(event(seq))
        for _ in range(STRIKES):
            end(desk)
    assert desk.store._outbox.current.parked == count
    assert desk.link.sent == []
    return desk


def take_all(desk: Desk) -> List[Any]:
    """The broker accepts whatever comes; returns its numbers."""
    done = 0
    while done < len(desk.link.sent):
        done += 1
        desk.answer(done)
        desk.pass_time(0)
    return desk.link.seqs()


def test_innocent_events_are_sent_once_the_broker_is_well() -> None:
    desk = parked_by_an_ill_broker(30)
    desk.pass_time(0)
    desk.pass_time(FIRST_S - 1)
    assert desk.link.sent == []
    desk.pass_time(1)
    assert take_all(desk) == list(range(30))
    assert desk.store._outbox.current.count == 0
    assert desk.store._outbox.current.parked == 0
    assert desk.counters.report()["sent"] == 30


def test_they_are_marked_historical_and_alone_under_way() -> None:
    desk = parked_by_an_ill_broker(2)
    desk.pass_time(0)
    desk.pass_time(FIRST_S)
    desk.give(event(99))
    assert desk.link.seqs() == [0]
    assert b'"historical":true' in desk.link.sent[0].body
    desk.answer(1)
    desk.pass_time(0)
    assert set(take_all(desk)) == {0, 1, 99}


def test_an_event_that_ends_every_connection_ends_ever_fewer(caplog: Any) -> None:
    desk = parked_by_an_ill_broker(1)
    pauses = []
    for _ in range(8):
        start_s = desk.now_s
        desk.pass_time(0)
        while not desk.link.sent:
            desk.pass_time(1)
        pauses.append(desk.now_s - start_s)
        end(desk)
    assert pauses == [FIRST_S, 20, 40, 80, 160, 320, LAST_S, LAST_S]
    assert len(desk.told) == 1, "it was reported when it was set aside"
    desk.give(event(5))
    assert desk.link.seqs() == [5], "no other event is under suspicion"


def test_behind_a_guilty_event_the_innocent_have_their_turn() -> None:
    desk = parked_by_an_ill_broker(5)
    for _ in range(2):
        desk.pass_time(0)
        desk.pass_time(1000)
        if desk.link.seqs() == [0]:  # the guilty one
            end(desk)
    assert take_all(desk) == [1, 2, 3, 4]


def test_a_refused_topic_is_tried_by_one_event_and_delays_no_other() -> None:
    desk = Desk()
    desk.connect()
    desk.give(*(event(i, "secret") for i in range(5)), event(10, "other"))
    desk.answer(*range(1, 7), refusal="not authorized")
    assert desk.store._outbox.current.parked == 6
    told = len(desk.told)
    desk.pass_time(0)
    desk.pass_time(FIRST_S)
    desk.answer(7, refusal="not authorized")
    desk.pass_time(0)
    assert desk.link.seqs()[6:] == [0, 10]
    desk.answer(8)
    desk.pass_time(0)
    assert desk.store._outbox.current.parked == 5
    assert len(desk.told) == told, "told once"
    desk.pass_time(2 * FIRST_S)
    assert desk.link.seqs()[8:] == [0]
    for packet in range(9, 14):  # the access list was mended
        desk.answer(packet)
        desk.pass_time(0)
    assert desk.store._outbox.current.count == 0


def test_nobody_subscribed_is_no_refusal() -> None:
    desk = parked_by_an_ill_broker(1)
    desk.pass_time(0)
    desk.pass_time(FIRST_S)
    desk.note(Acknowledged(desk.link, 1, NO_SUBSCRIBERS))
    assert desk.store._outbox.current.parked == 0
    assert desk.store._outbox.current.count == 1, "it waits as any other"


@pytest.mark.parametrize("early", [False, True])
def test_with_a_consumer_the_event_stays_until_it_has_answered(early: bool) -> None:
    from edge.publish._inbox import ConsumerAcknowledged

    desk = Desk(consumer=True)
    desk.connect()
    desk.give(event(0))
    for _ in range(STRIKES):
        end(desk)
    desk.pass_time(0)
    desk.pass_time(FIRST_S)
    note = ConsumerAcknowledged(desk.link, desk.link.sent[0].correlation)
    if early:
        desk.note(note)
    desk.answer(1)
    if not early:
        assert desk.store._outbox.current.count == 1
        desk.note(note)
    assert desk.store._outbox.current.count == 0
    desk.give(event(1))
    assert desk.link.seqs()[-1] == 1, "nothing stands in the way"


def test_what_was_acknowledged_is_not_remembered_for_as_long_as_a_connection_lasts() -> None:
    desk = Desk()
    desk.connect()
    for seq in range(300):
        desk.give(event(seq))
        desk.answer(seq + 1)
    assert len(desk.backlog._reader._finished) == 0
    assert len(desk.backlog._live_order._sent) == 0
