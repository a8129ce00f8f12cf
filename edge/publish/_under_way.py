"""Events that were sent and that the broker has yet to acknowledge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from edge.outbox.store import Row
from edge.publish._suspects import STRIKES


@dataclass
class Sent:
    """One event under way."""

    row: Row
    since_s: float
    consumer_acknowledged: bool = False  # before the broker did
    overtaken: bool = False  # a later event was acknowledged


class UnderWay:
    """The events, in the order of sending."""

    def __init__(self) -> None:
        self._by_packet: Dict[int, Sent] = {}
        self._skipped: Dict[int, int] = {}  # id -> connections on which only later events passed

    def __len__(self) -> int:
        return len(self._by_packet)

    def __iter__(self) -> Iterator[Sent]:
        return iter(self._by_packet.values())

    def add(self, packet: int, row: Row, now_s: float) -> None:
        """An event was sent under this packet number."""
        self._by_packet[packet] = Sent(row, now_s)

    def answered(self, packet: int) -> Optional[Sent]:
        """The broker has answered a packet; None if it is no event."""
        found = self._by_packet.pop(packet, None)
        if found is None:
            return None
        self._skipped.pop(found.row.id, None)
        first = next(iter(self), found)
        first.overtaken |= first.since_s < found.since_s
        return found

    def answered_by_consumer(self, row_id: int) -> Optional[Row]:
        """A consumer has acknowledged an event before the broker; None if it is not under way."""
        found = next((sent for sent in self if sent.row.id == row_id), None)
        if found is not None:
            found.consumer_acknowledged = True
        return found.row if found else None

    def ids(self, topic: str) -> List[int]:
        """The ids of the events of a topic."""
        return [sent.row.id for sent in self if sent.row.topic == topic]

    def silent(self, packet: int) -> Tuple[Optional[Row], bool]:
        """The broker does not answer a packet.

        Returns:
            The event, None if it is none; and whether it was skipped on STRIKES connections. A
            skipped one is under way no longer.
        """
        found = self._by_packet.get(packet)
        if found is None:
            return None, False
        skips = self._skipped.get(found.row.id, 0) + found.overtaken
        if found.overtaken:
            self._skipped[found.row.id] = skips
        if skips < STRIKES:
            return found.row, False
        del self._by_packet[packet], self._skipped[found.row.id]
        return found.row, True

    def clear(self) -> None:
        """The connection is over."""
        self._by_packet.clear()
