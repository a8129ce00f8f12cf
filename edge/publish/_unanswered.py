"""Events that the broker has acknowledged and that a consumer has yet to acknowledge."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Set, Tuple

from edge.outbox.store import Row


class Unanswered:
    """The events, in the order in which their waiting began.

    Args:
        limit_s: how long a consumer may take.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._rows: Dict[int, Tuple[Row, float]] = {}  # id -> row, since when

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return (row for row, _ in self._rows.values())

    def add(self, row: Row, now_s: float) -> None:
        """An event begins to wait."""
        self._rows[row.id] = (row, now_s)

    def pop(self, row_id: int) -> Optional[Row]:
        """A consumer has acknowledged an event; None if that event does not wait."""
        row, _ = self._rows.pop(row_id, (None, 0.0))
        return row

    def expire(self, now_s: float) -> Set[str]:
        """Forget the events that have waited too long; returns their topics."""
        late = []
        for row, since_s in self._rows.values():
            if now_s - since_s < self._limit_s:
                break
            late.append(row)
        for row in late:
            del self._rows[row.id]
        return {row.topic for row in late}

    def due_s(self) -> List[float]:
        """When the oldest has waited too long, in monotonic seconds; [] = none waits."""
        return [since_s + self._limit_s for _, since_s in list(self._rows.values())[:1]]

    def clear(self) -> None:
        """Forget all events."""
        self._rows.clear()
