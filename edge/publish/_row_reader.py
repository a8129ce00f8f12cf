"""Which rows of the outbox are to be read next."""

from __future__ import annotations

from typing import Iterator, List, Optional, Set, Tuple

from edge.outbox.store import Row
from edge.publish._inbox import FetchRequest, RowsFetched

MAX_ID = 2**63 - 1


class RowReader:
    """The place in the outbox up to which rows were read.

    Rows from an id on come as they are stored, the rows before that are read in the order of ids.
    """

    def __init__(self) -> None:
        self.more = True  # whether the outbox may have rows that were not read
        self.generation = 0  # rises when rows have to be read again
        self._fresh_from_id = MAX_ID  # rows from this id on come as they are stored
        self._highest_id = 0  # of all rows seen
        self._cursor = 0  # highest id that was read
        self._request: Optional[FetchRequest] = None  # not answered yet
        self._finished: Set[int] = set()  # ids finished since that request

    def stored(self, rows: List[Row]) -> None:
        """Rows were stored; the caller then calls `fresh` or `again`."""
        self._highest_id = rows[-1].id

    def fresh(self, rows: List[Row]) -> None:
        """Rows that were stored are in memory."""
        self._fresh_from_id = min(self._fresh_from_id, rows[0].id)

    def again(self) -> None:
        """Every row has to be read again."""
        self._cursor, self.more, self._request = 0, True, None
        self._fresh_from_id = self._highest_id + 1 if self._highest_id else MAX_ID
        self._finished.clear()
        self.generation += 1

    def replaced(self) -> None:
        """Another outbox is in use, whose ids are others."""
        self._highest_id, self._fresh_from_id = 0, MAX_ID

    def finished(self, row_id: int) -> None:
        """A row was acknowledged or parked: the answer that is under way may still have it."""
        if self._request is not None:
            self._finished.add(row_id)

    def request(self, without: Tuple[str, ...]) -> Optional[FetchRequest]:
        """Return the next request, without some topics; None if there is nothing to read."""
        if not self.more or self._request is not None:
            return None
        self._request = FetchRequest(self.generation, self._cursor, self._fresh_from_id, without)
        return self._request

    def fetched(self, answer: RowsFetched, busy: Set[int]) -> Optional[Iterator[Row]]:
        """Take an answer.

        Args:
            answer: to any request.
            busy: ids of rows that are in memory.

        Returns:
            The new rows; None if the request is of an earlier generation.
        """
        if answer.request is not self._request:
            return None
        self._request = None
        self.more = bool(answer.rows)
        if answer.rows:
            self._cursor = answer.rows[-1].id
            self._highest_id = max(self._highest_id, self._cursor)
        busy = busy | self._finished
        self._finished = set()
        below = self._fresh_from_id
        return (r for r in answer.rows if r.id not in busy and r.id < below)
