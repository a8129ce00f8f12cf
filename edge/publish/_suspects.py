"""Find the event that ends connections.

A broker that closes the connection because an event is too large does not say which event. So after
a loss events are sent one by one. If an event ends STRIKES connections in a row, each time alone
and within SUSPECT_S, it is the cause.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Set, Tuple

from edge.outbox.store import Row

SUSPECT_S = 3.0
STRIKES = 3


class Suspects:
    """Events that were under way when a connection ended."""

    def __init__(self) -> None:
        self._ids: Set[int] = set()
        self._strikes: Dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._ids)

    def cleared(self, row_id: int) -> None:
        """An event is under suspicion no longer: it was answered or parked."""
        self._ids.discard(row_id)
        self._strikes.pop(row_id, None)

    def clear(self) -> None:
        """Suspect no event any more."""
        self._ids.clear()
        self._strikes.clear()

    def connection_lost(
        self, under_way: List[Tuple[Row, float]], others_accepted: bool
    ) -> Optional[Row]:
        """Suspect the events under way.

        Args:
            under_way: each event, and for how many seconds.
            others_accepted: whether the broker had acknowledged all other messages.

        Returns:
            The event that is the cause; None if that is not known.
        """
        self._ids = {row.id for row, _ in under_way}
        if not others_accepted or len(under_way) != 1 or under_way[0][1] >= SUSPECT_S:
            return None
        row = under_way[0][0]
        self._strikes[row.id] = self._strikes.get(row.id, 0) + 1
        return row if self._strikes[row.id] >= STRIKES else None
