"""Events in memory that may be sent, and topics that have to wait."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Callable, Deque, Dict, List, Optional, Tuple

from edge.outbox.store import Row

LATE_S = 5.0  # an event told later than this after it was stored is history
PAUSE_S = 2.0  # before an event of a held topic is tried
PAUSE_MAX_S = 30.0
MAX_HELD = 500  # topics: SQLite takes 999 parameters


def lateness(run: str) -> Callable[[Row], bool]:
    """Whether a row is told late by this run of the program."""

    def late(row: Row) -> bool:
        return row.run != run or time.monotonic_ns() - row.t_ns > LATE_S * 1e9

    return late


@dataclass
class Lanes:
    """Rows in memory that may be sent."""

    probes: Deque[Row] = field(default_factory=deque)
    fresh: Deque[Row] = field(default_factory=deque)
    old: Deque[Row] = field(default_factory=deque)
    turn: bool = False

    history: bool = False  # what is read now is told late

    def take(self, late: Callable[[Row], bool], more: bool) -> Optional[Tuple[Row, bool]]:
        """The next row, and whether it is history.

        What a short gap left goes first, so that all stays in order. Once something is late, it
        and all that is read after it are history and take turns with what happens now.

        Args:
            late: whether a row is told late now.
            more: rows may follow those in `old`.
        """
        if self.probes:
            row = self.probes.popleft()
            return row, late(row)
        if self.old and not self.history:
            self.history = late(self.old[0])
        self.turn = not self.turn
        if self.old and not (self.history and self.fresh and self.turn):
            return self.old.popleft(), self.history
        if self.fresh and (self.history or not more):
            return self.fresh.popleft(), False
        return None

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return bool(self.probes or self.fresh or self.old)

    def clear(self) -> None:
        """Forget them: the outbox has them all."""
        self.probes.clear()
        self.fresh.clear()
        self.old.clear()
        self.history = False


@dataclass
class Hold:
    """A topic that waits."""

    until_s: float
    pause_s: float


class Held:
    """Topics whose events nobody takes at the moment."""

    def __init__(self) -> None:
        self._holds: Dict[str, Hold] = {}

    @property
    def topics(self) -> Tuple[str, ...]:
        """Their names."""
        return tuple(self._holds)

    def __contains__(self, topic: str) -> bool:
        return topic in self._holds

    def hold(self, topic: str, now_s: float, pause_s: float) -> None:
        """The broker does not take it now: try again after a pause."""
        if topic in self._holds or len(self._holds) < MAX_HELD:
            self._holds[topic] = Hold(now_s + pause_s, pause_s)

    def unanswered(self, topic: str, now_s: float, first_s: float) -> None:
        """No consumer answers: try ever more rarely, for each try piles up at the broker."""
        before = self._holds.get(topic)
        self.hold(topic, now_s, min(before.pause_s * 2, PAUSE_MAX_S) if before else first_s)

    def due(self, now_s: float) -> List[str]:
        """The topics to be tried now, which are then due again after their pause."""
        due = [topic for topic, hold in self._holds.items() if now_s >= hold.until_s]
        for topic in due:
            self._holds[topic].until_s = now_s + self._holds[topic].pause_s
        return due

    def due_s(self) -> List[float]:
        """When they are due."""
        return [hold.until_s for hold in self._holds.values()]

    def drop(self, topic: str) -> None:
        """Nothing of it waits."""
        self._holds.pop(topic, None)

    def clear(self) -> None:
        """All may go out again."""
        self._holds.clear()
