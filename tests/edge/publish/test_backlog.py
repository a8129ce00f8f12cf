"""Any order of what may happen: nothing is lost, nothing is sent for ever, order is kept."""

from __future__ import annotations

from typing import Any, Dict, List, Set

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from hypothesis.strategies import integers

from edge.outbox.store import Entry, Outbox, Row
from edge.publish._backlog import Backlog
from edge.publish._connection import NO_SUBSCRIBERS, SUCCESS, correlation, read_correlation
from edge.publish._inbox import FetchRequest, RowsFetched

TOPICS = ("a", "b", "c")


class Machine(RuleBasedStateMachine):
    """An outbox, a backlog and a broker that may do anything, all in one thread."""

    answer_s = None

    def __init__(self) -> None:
        super().__init__()
        self.box = Outbox(None, 4 * 2**20, "run")
        self.now_s = 0.0
        self.backlog = Backlog(self, self.is_late, self.answer_s, lambda: self.now_s)
        self.wishes: List[FetchRequest] = []
        self.packets: Dict[int, Row] = {}
        self.asked: List[Row] = []
        self.packet = 0
        self.added: Set[int] = set()
        self.delivered: Set[int] = set()
        self.stored_s: Dict[int, float] = {}
        self.newest: Dict[Any, int] = {}  # topic and historical -> highest id sent
        self.ever_sent: Set[int] = set()
        self.up = False

    def is_late(self, row: Row) -> bool:
        return self.now_s - self.stored_s[row.id] > 5

    # What the store does.

    def remove(self, row_id: int, token: str) -> None:
        self.box.commit([], [row_id])

    def park(self, row: Row, reason: str) -> None:
        raise AssertionError("nothing here is to blame")

    def fetch(self, request: FetchRequest) -> None:
        self.wishes.append(request)

    # What may happen.

    @rule(topic=integers(0, 2), count=integers(1, 40))
    def store(self, topic: int, count: int) -> None:
        rows = self.box.commit([Entry(TOPICS[topic], b"{}")] * count)
        self.added.update(r.id for r in rows)
        self.stored_s.update((r.id, self.now_s) for r in rows)
        self.backlog.stored(rows, self.up)

    @rule()
    def connect(self) -> None:
        self.up = True
        self.backlog.tick()

    @precondition(lambda self: self.up)
    @rule()
    def lose(self) -> None:
        self.up = False
        self.packets.clear()
        self.asked.clear()
        self.now_s += 4  # more than SUSPECT_S: no event is the cause
        self.backlog.connection_lost()

    @rule()
    def answer_wishes(self) -> None:
        wishes, self.wishes = self.wishes, []
        for request in wishes:
            if request.only:
                rows = self.box.oldest(request.only, request.skip)
            else:
                rows = self.box.after(request.cursor, request.below, 16, request.without)
            self.backlog.fetched(RowsFetched(request, rows))

    @precondition(lambda self: self.up)
    @rule(window=integers(1, 20))
    def send(self, window: int) -> None:
        while self.backlog.under_way < window:
            found = self.backlog.next()
            if found is None:
                break
            row, historical = found
            assert row.id not in {r.id for r in self.packets.values()}, "sent twice at once"
            self.check_order(row, historical)
            self.packet += 1
            self.packets[self.packet] = row
            self.backlog.sent(self.packet, row)
        self.backlog.tick()

    def check_order(self, row: Row, historical: bool) -> None:
        lane = row.topic, historical
        if row.id not in self.ever_sent:
            assert row.id > self.newest.get(lane, 0), "a topic keeps its order in each lane"
        self.ever_sent.add(row.id)
        self.newest[lane] = max(row.id, self.newest.get(lane, 0))

    @precondition(lambda self: self.packets)
    @rule(which=integers(0, 100), nobody=integers(0, 4))
    def acknowledge(self, which: int, nobody: int) -> None:
        packet = sorted(self.packets)[which % len(self.packets)]
        row = self.packets.pop(packet)
        if self.answer_s is not None and nobody:
            self.asked.append(row)
        elif nobody:
            self.delivered.add(row.id)
        self.backlog.acknowledged(packet, SUCCESS if nobody else NO_SUBSCRIBERS, "")

    @precondition(lambda self: self.asked)
    @rule(which=integers(0, 100))
    def consumer_answers(self, which: int) -> None:
        row = self.asked.pop(which % len(self.asked))
        self.delivered.add(row.id)
        self.backlog.consumer_acknowledged(correlation(row))

    @rule(seconds=integers(1, 9))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds
        if self.up:
            self.backlog.tick()

    def teardown(self) -> None:
        """From whatever happened, a broker that works gets everything, each topic in order."""
        left = {r.id for r in self.box.after(0, 2**62, 10**6)}
        assert left == self.added - self.delivered, "kept until delivered, and no longer"
        if self.up:
            self.lose()
        self.connect()
        order: List[int] = []
        for _ in range(2000):
            if not self.box.count:
                break
            self.answer_wishes()
            self.send(20)
            for packet in sorted(self.packets):
                order.append(self.packets[packet].id)
                self.acknowledge(sorted(self.packets).index(packet), 1)
            while self.asked:
                self.consumer_answers(0)
            self.time_passes(3)
        assert order == sorted(left), "after a loss all of it, once, in order"
        assert self.box.count == 0, "everything is delivered"
        assert self.delivered == self.added
        self.box.close()


class ConsumerMachine(Machine):
    """The same, when only a consumer's answer counts."""

    answer_s = 5.0  # type: ignore[assignment]


TestMachine = Machine.TestCase
TestConsumerMachine = ConsumerMachine.TestCase
TestMachine.settings = TestConsumerMachine.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)


class EventStore:
    """An outbox's thread that only remembers what it was asked for."""

    def __init__(self) -> None:
        self.wishes: List[FetchRequest] = []
        self.finished: List[int] = []

    def remove(self, row_id: int, token: str) -> None:
        self.finished.append(row_id)

    def park(self, row: Row, reason: str) -> None:
        raise AssertionError("nothing here is to blame")

    def fetch(self, request: FetchRequest) -> None:
        self.wishes.append(request)


def test_rows_acknowledged_while_they_are_read_are_not_sent_again(monkeypatch: Any) -> None:
    shelf = EventStore()
    backlog = Backlog(shelf, lambda row: False)
    first, second, third = (Row(i, 1, "run", 0, "t", b"{}", "token") for i in (1, 2, 3))
    backlog.tick()
    backlog.fetched(RowsFetched(shelf.wishes.pop(), []))
    backlog.stored([first, second], up=True)
    for packet in (1, 2):
        found = backlog.next()
        assert found is not None
        backlog.sent(packet, found[0])
    monkeypatch.setattr("edge.publish._backlog.FRESH_ROOM", 0)  # so that all is read again
    backlog.stored([third], up=True)
    monkeypatch.undo()
    backlog.tick()
    backlog.acknowledged(1, SUCCESS, "")
    backlog.fetched(RowsFetched(shelf.wishes.pop(), [first, second, third]))
    assert backlog.next() == (third, False)
    assert backlog.next() is None
    assert shelf.finished == [1]


def test_an_event_that_a_live_one_overtook_is_historical() -> None:
    """Or consumers would see live events of one topic out of order."""
    store, late = EventStore(), {1}
    backlog = Backlog(store, lambda row: row.id in late)
    first, second, third, fourth = (Row(i, 1, "run", 0, "t", b"{}", "token") for i in range(1, 5))
    other = Row(5, 1, "run", 0, "another topic", b"{}", "token")
    backlog.stored([first, second, third], up=False)
    backlog.tick()
    backlog.fetched(RowsFetched(store.wishes.pop(), [first, second, third]))
    backlog.stored([fourth], up=True)
    sent = [backlog.next() for _ in range(2)]
    assert sent == [(fourth, False), (first, True)] or sent == [(first, True), (fourth, False)]
    backlog.connection_lost()
    backlog.stored([other], up=False)
    backlog.tick()
    backlog.fetched(RowsFetched(store.wishes.pop(), [second, third, fourth, other]))
    assert [backlog.next() for _ in range(4)] == [
        (second, True),
        (third, True),
        (fourth, False),
        (other, False),
    ]


def test_live_events_that_are_sent_again_stay_live() -> None:
    store = EventStore()
    backlog = Backlog(store, lambda row: False)
    rows = [Row(i, 1, "run", 0, "t", b"{}", "token") for i in range(1, 4)]
    backlog.tick()
    backlog.fetched(RowsFetched(store.wishes.pop(), []))
    backlog.stored(rows, up=True)
    for packet, row in enumerate(rows, 1):
        assert backlog.next() == (row, False)
        backlog.sent(packet, row)
    backlog.connection_lost()
    backlog.tick()
    backlog.fetched(RowsFetched(store.wishes.pop(), rows))
    assert backlog.next() == (rows[0], False)


def test_correlations_come_back_and_nothing_else_does() -> None:
    row = Row(17, 1, "run", 0, "t", b"", "0123456789abcdef")
    assert read_correlation(correlation(row)) == ("0123456789abcdef", 17)
    for wrong in (b"", b"-", b"a-", b"-1", b"a-x", b"\xff-1", b"a-" + b"9" * 19, b"a b-1"):
        assert read_correlation(wrong) == ("", 0)
