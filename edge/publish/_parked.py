"""Try events again that were set aside.

A broker may have been ill, or its access list wrong. So parked events are tried again on a good
connection, one by one and each alone: an event that ends connections then ends one, and no other
event is blamed. The pause before the next round doubles while none succeeds.
"""

from __future__ import annotations

from typing import List, Optional, Set

from edge.outbox.store import Row
from edge.publish._inbox import FetchRequest

FIRST_S = 10.0  # after the connection has become a good one
LAST_S = 600.0
MAX_TOPICS = 500  # SQLite takes 999 parameters


class ParkedRetry:
    """Which parked event is tried next, and when."""

    def __init__(self) -> None:
        self.row: Optional[Row] = None  # to be sent next, or under way
        self.under_way = False
        self._some = False  # whether there may be parked rows
        self._pause_s = FIRST_S
        self._next_s: Optional[float] = None  # monotonic; None = the connection is not a good one
        self._request: Optional[FetchRequest] = None
        self._cursor = 0  # rows up to this id had their turn in this round
        self._refused: Set[str] = set()  # topics that failed in this round
        self._tried = False  # whether this round has tried a row

    @property
    def waits_for_steady(self) -> bool:
        """Whether a round begins once the connection is a good one."""
        return self._some and self._next_s is None

    def parked(self) -> None:
        """An event was set aside."""
        self._some = True

    def steady(self, now_s: float) -> None:
        """The connection is a good one."""
        if self.waits_for_steady:
            self._next_s = now_s + self._pause_s

    def due_s(self) -> List[float]:
        """When a row is to be read, in monotonic seconds; [] = not now."""
        waits = self._next_s is None or self.row is not None or self._request is not None
        return [] if waits or self._next_s is None else [self._next_s]

    def wanted(self, now_s: float, generation: int) -> Optional[FetchRequest]:
        """Return the request for the next parked row if it is time."""
        if not any(now_s >= due_s for due_s in self.due_s()):
            return None
        without = tuple(self._refused)
        self._request = FetchRequest(generation, self._cursor, without=without, parked=True)
        return self._request

    def fetched(self, request: FetchRequest, rows: List[Row], now_s: float) -> None:
        """Take the answer to a request."""
        if request is not self._request:
            return
        self._request = None
        if rows:
            self.row = rows[0]
            return
        if self._cursor and not self._tried:  # the last round ended behind every row
            self._cursor = 0
            return
        self._some, failed = self._tried, bool(self._refused)
        self._cursor, self._refused, self._tried = 0, set(), False
        self._pause_s = min(self._pause_s * 2, LAST_S) if failed else FIRST_S
        self._next_s = now_s + self._pause_s if self._some else None

    def is_trying(self, row_id: int) -> bool:
        """Whether this row is the one that is tried."""
        return self.row is not None and self.row.id == row_id

    def answered(self, accepted: bool) -> None:
        """The row that was tried is accepted, or its topic is refused; the next one follows."""
        row = self._end_try()
        if accepted:
            self._pause_s = FIRST_S
        elif len(self._refused) < MAX_TOPICS:
            self._refused.add(row.topic)

    def connection_lost(self) -> None:
        """The connection has ended; the next round begins on a good one."""
        self._next_s, self._request = None, None
        if self.under_way:
            self._end_try()
            self._pause_s = min(self._pause_s * 2, LAST_S)
        else:
            self.row, self._pause_s = None, FIRST_S
        self._refused, self._tried = set(), False

    def _end_try(self) -> Row:
        assert self.row is not None, "no row is tried"
        row, self.row, self.under_way = self.row, None, False
        self._cursor, self._tried = row.id, True
        return row
