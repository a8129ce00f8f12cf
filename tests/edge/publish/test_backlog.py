"""Events in memory: order, bounds, and that nothing goes without being counted."""

from __future__ import annotations

from typing import List

from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from edge.messages import Message
from edge.publish._backlog import Backlog

ROOM = 6


def number(seq: int) -> Message:
    return Message("t", "event", {"seq": seq}, qos=1)


def seqs(backlog: Backlog) -> List[int]:
    found = []
    while True:
        message = backlog.next()
        if message is None:
            return found
        found.append(message.payload["seq"])


def test_first_in_first_out() -> None:
    backlog = Backlog(9)
    for i in range(5):
        assert backlog.add(number(i)) == 0
    assert len(backlog) == 5
    assert seqs(backlog) == [0, 1, 2, 3, 4]


def test_a_lost_connection_puts_what_was_under_way_back_in_front_in_order() -> None:
    backlog = Backlog(9)
    for i in range(5):
        backlog.add(number(i))
    for packet in (70, 80, 60):
        message = backlog.next()
        assert message
        backlog.sent(packet, message)
    assert backlog.done(80)
    assert backlog.done(80) is None
    backlog.again()
    assert backlog.under_way == 0
    assert seqs(backlog) == [0, 2, 3, 4]


def test_full_gives_up_the_oldest_that_waits_not_one_under_way() -> None:
    backlog = Backlog(3)
    for i in range(3):
        backlog.add(number(i))
    first = backlog.next()
    assert first
    backlog.sent(1, first)
    assert backlog.add(number(3)) == 1
    backlog.again()
    assert seqs(backlog) == [0, 2, 3]


class Machine(RuleBasedStateMachine):
    """Any order of calls: what came in is waiting, under way, done or counted as given up."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog(ROOM)
        self.added = self.finished = self.given_up = 0
        self.packets: List[int] = []

    @rule()
    def add(self) -> None:
        self.given_up += self.backlog.add(number(self.added))
        self.added += 1
        assert len(self.backlog) <= ROOM

    @rule()
    def send(self) -> None:
        message = self.backlog.next()
        if message is not None:
            self.backlog.sent(message.payload["seq"], message)
            assert self.packets[-1:] < [message.payload["seq"]], "out of order"
            self.packets.append(message.payload["seq"])

    @precondition(lambda self: self.packets)
    @rule()
    def finish(self) -> None:
        assert self.backlog.done(self.packets.pop(0))
        self.finished += 1

    @rule()
    def lose(self) -> None:
        self.backlog.again()
        self.packets.clear()

    def teardown(self) -> None:
        assert self.added == self.finished + self.given_up + len(self.backlog)


TestMachine = Machine.TestCase
