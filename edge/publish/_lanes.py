"""Events in memory that may be sent, and topics that have to wait."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Deque, Dict, List, Optional, Tuple

from edge.outbox import Row

PAUSE_S = 2.0  # before an event of a held topic is tried
PAUSE_MAX_S = 30.0
MAX_HELD = 500  # topics: SQLite takes 999 parameters


@dataclass
class Lanes:
    """Rows in memory that may be sent."""

    probes: Deque[Row] = field(default_factory=deque)
    fresh: Deque[Row] = field(default_factory=deque)
    old: Deque[Row] = field(default_factory=deque)
    turn: bool = False

    def take(self) -> Optional[Row]:
        """The next; fresh and old take turns."""
        if self.probes:
            return self.probes.popleft()
        self.turn = not self.turn
        order = (self.fresh, self.old) if self.turn else (self.old, self.fresh)
        lane = order[0] or order[1]
        return lane.popleft() if lane else None

    def clear(self) -> None:
        """Forget them: the outbox has them all."""
        self.probes.clear()
        self.fresh.clear()
        self.old.clear()


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
