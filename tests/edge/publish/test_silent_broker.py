"""A broker that is connected and does not acknowledge: told, given up, asked again."""

from __future__ import annotations

from typing import Any, List

import pytest

from edge.messages import Message
from edge.publish import _outbox_thread as thread_module
from edge.publish._ack_watch import ACK_MAX_S, ACK_S, AckWatch
from edge.publish._suspects import STRIKES
from tests.edge.publish.desk import Desk, event, state


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: Any) -> None:
    monkeypatch.setattr(thread_module, "LINGER_S", 0.0)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.connect()
    return desk


def test_events_that_are_never_acknowledged_end_the_connection_and_are_sent_again(
    desk: Desk, caplog: Any
) -> None:
    desk.give(event(0), event(1))
    desk.pass_time(ACK_S - 1)
    assert not desk.link.ended
    desk.pass_time(1)
    assert desk.links[0].ended == "hung up"
    assert "d/event/fall is not acknowledged within 30 s; is the broker overloaded" in caplog.text
    desk.connect()
    desk.pass_time(5)  # one by one until the connection has lasted
    desk.answer(1)
    desk.pass_time(0)
    assert [seq for seq in desk.link.seqs() if seq in (0, 1)] == [0, 1]
    desk.answer(2)
    assert desk.counts == [2, 0, 0]


def test_a_broker_that_acknowledges_states_and_never_an_event_is_noticed(desk: Desk) -> None:
    desk.give(event(0))
    for i in range(7):
        desk.give(state(i))
        desk.answer(len(desk.link.sent))
        desk.pass_time(ACK_S / 5)
    assert desk.links[0].ended == "hung up"


def test_a_state_that_is_never_acknowledged_is_noticed(desk: Desk, caplog: Any) -> None:
    desk.give(state(0))
    desk.pass_time(ACK_S)
    assert desk.links[0].ended == "hung up"
    assert "d/state is not acknowledged" in caplog.text


def test_a_slow_link_that_goes_on_is_not_given_up(desk: Desk) -> None:
    desk.give(*(event(seq) for seq in range(9)))
    for packet in range(1, 10):
        desk.pass_time(ACK_S - 1)
        desk.answer(packet)
    assert not desk.link.ended
    assert desk.counts == [9, 0, 0]


def test_nothing_under_way_is_no_silence(desk: Desk) -> None:
    desk.give(event(0))
    desk.answer(1)
    desk.pass_time(100 * ACK_S)
    assert not desk.link.ended


def test_a_silent_broker_is_given_ever_more_time(desk: Desk) -> None:
    desk.give(event(0))
    waited: List[float] = []
    for _ in range(4):
        start_s = desk.now_s
        while not desk.link.ended:
            desk.pass_time(1)
        waited.append(desk.now_s - start_s)
        desk.connect()
    assert waited == [ACK_S, 60, ACK_MAX_S, ACK_MAX_S]
    assert desk.backlog.under_way == 1, "it is not to blame: nothing else was acknowledged"


def wave(seq: int) -> Message:
    return Message("d/event/wave", "event", {"seq": seq}, qos=1)


def test_an_event_that_alone_is_never_acknowledged_is_set_aside(desk: Desk) -> None:
    desk.give(event(0))
    for turn in range(STRIKES):
        desk.pass_time(6)  # the connection lasts
        desk.give(wave(10 + turn))
        desk.answer(desk.link.seqs().index(10 + turn) + 1)
        desk.pass_time(ACK_S)
        assert desk.link.ended == "hung up"
        desk.connect()
        desk.pass_time(0)
    assert [e.kind for e in desk.told] == ["outbox_parked"]
    assert "later events were" in str(desk.told[0].data["reason"])
    assert 0 not in desk.link.seqs(), "set aside"


def test_only_the_oldest_packet_counts() -> None:
    now = [0.0]
    watch = AckWatch(lambda: now[0])
    assert watch.due_s() == []
    watch.acknowledged(5)  # unknown
    for packet in (1, 2, 3):
        watch.sent(packet)
        now[0] += 1
    assert watch.due_s() == [ACK_S]
    now[0] = 10
    watch.acknowledged(2)
    assert watch.due_s() == [10 + ACK_S]
    now[0] = 20
    watch.acknowledged(3)
    assert watch.due_s() == [10 + ACK_S], "overtaken since then"
    now[0] = 30
    watch.acknowledged(1)
    assert watch.due_s() == []
    watch.sent(4)
    assert watch.silent() is None
    now[0] += ACK_S
    assert watch.silent() == 4
    watch.clear()
    assert watch.silent() is None
