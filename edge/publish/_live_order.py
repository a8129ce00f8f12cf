"""Keep the live events of a topic in order.

An event that is not marked historical is live. After a lost connection the outbox is read again,
and an older event of a topic may follow a live one that was already sent. Such an event is marked
historical even if it is not late, because consumers expect live events of a topic in order.
"""

from __future__ import annotations

from typing import Dict, Set

from edge.outbox.store import Row

MOST_IDS = 4096  # remembered; an event that is evicted from the outbox is never finished


class LiveOrder:
    """Which events of each topic were sent live."""

    def __init__(self) -> None:
        self._newest: Dict[str, int] = {}  # topic -> highest id sent live
        self._sent: Set[int] = set()  # ids sent live and not finished

    def historical(self, row: Row, late: bool) -> bool:
        """Decide whether an event is marked historical; an event that is not counts as sent live.

        Args:
            row: the event that is sent next.
            late: whether it is late.
        """
        newest = self._newest.get(row.topic, 0)
        if late or (row.id < newest and row.id not in self._sent):
            return True
        self._newest[row.topic] = max(row.id, newest)
        self._sent.add(row.id)
        if len(self._sent) > MOST_IDS:
            self._sent = set(sorted(self._sent)[-MOST_IDS // 2 :])
        return False

    def finished(self, row_id: int) -> None:
        """An event was acknowledged or parked."""
        self._sent.discard(row_id)

    def clear(self) -> None:
        """Forget everything, for an outbox whose ids begin at 1."""
        self._newest.clear()
        self._sent.clear()
