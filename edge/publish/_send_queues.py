"""Events in memory that may be sent, and topics whose events have to wait."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Callable, Deque, Dict, List, Optional, Tuple

from edge.outbox.store import Row

LATE_S = 5.0  # an event sent later than this after it was stored is marked historical
PAUSE_S = 2.0  # before an event of a held topic is tried
PAUSE_MAX_S = 30.0
MAX_HELD = 500  # topics: SQLite takes 999 parameters


def late_in_run(run: str) -> Callable[[Row], bool]:
    """Return the test whether an event is late if it is sent now.

    Args:
        run: names this run of the program; every event of another run is late.
    """

    def late(row: Row) -> bool:
        return row.run != run or time.monotonic_ns() - row.t_ns > LATE_S * 1e9

    return late


@dataclass
class SendQueues:
    """Rows in memory that may be sent, in three queues."""

    probes: Deque[Row] = field(default_factory=deque)  # one event of a held topic each
    old: Deque[Row] = field(default_factory=deque)  # read from the outbox, in the order of ids
    fresh: Deque[Row] = field(default_factory=deque)  # just stored
    old_is_historical: bool = False  # every row of `old`, and every row read after them
    fresh_is_next: bool = False  # while both queues have rows, they take turns

    def take(self, late: Callable[[Row], bool], more: bool) -> Optional[Tuple[Row, bool]]:
        """Take the next row to send.

        After a short gap `old` goes first, so that events keep their order. As soon as a row of
        `old` is late, `old` is historical and takes turns with `fresh`.

        Args:
            late: whether a row is late if it is sent now.
            more: whether the outbox may have rows behind those in `old`.

        Returns:
            The row, and whether it is marked historical; None if no row may be sent now.
        """
        if self.probes:
            row = self.probes.popleft()
            return row, late(row)
        if self.old and not self.old_is_historical:
            self.old_is_historical = late(self.old[0])
        self.fresh_is_next = not self.fresh_is_next
        if self.old and not (self.old_is_historical and self.fresh and self.fresh_is_next):
            return self.old.popleft(), self.old_is_historical
        if self.fresh and (self.old_is_historical or not more):
            return self.fresh.popleft(), False
        return None

    @property
    def any(self) -> bool:
        """Whether there is a row in one of the queues."""
        return bool(self.probes or self.fresh or self.old)

    def clear(self) -> None:
        """Forget all rows: the outbox still has them."""
        self.probes.clear()
        self.fresh.clear()
        self.old.clear()
        self.old_is_historical = False


@dataclass
class Hold:
    """Until when a topic waits, and for how long after its next try."""

    until_s: float  # monotonic
    pause_s: float


class HeldTopics:
    """Topics whose events nobody accepts at present."""

    def __init__(self) -> None:
        self._holds: Dict[str, Hold] = {}

    @property
    def topics(self) -> Tuple[str, ...]:
        """The names of the held topics."""
        return tuple(self._holds)

    def __contains__(self, topic: str) -> bool:
        return topic in self._holds

    def hold(self, topic: str, now_s: float, pause_s: float) -> None:
        """Hold a topic that the broker does not accept now; one event is tried after the pause."""
        if topic in self._holds or len(self._holds) < MAX_HELD:
            self._holds[topic] = Hold(now_s + pause_s, pause_s)

    def unanswered(self, topic: str, now_s: float, first_s: float) -> None:
        """Hold a topic that no consumer acknowledges.

        The pause doubles with every try, because each try leaves one more copy at the broker.
        """
        before = self._holds.get(topic)
        self.hold(topic, now_s, min(before.pause_s * 2, PAUSE_MAX_S) if before else first_s)

    def due(self, now_s: float) -> List[str]:
        """Return the topics to be tried now; each is due again after its pause."""
        due = [topic for topic, hold in self._holds.items() if now_s >= hold.until_s]
        for topic in due:
            self._holds[topic].until_s = now_s + self._holds[topic].pause_s
        return due

    def due_s(self) -> List[float]:
        """When each held topic is due, in monotonic seconds."""
        return [hold.until_s for hold in self._holds.values()]

    def drop(self, topic: str) -> None:
        """Release one topic: none of its events waits."""
        self._holds.pop(topic, None)

    def clear(self) -> None:
        """Release all topics."""
        self._holds.clear()
