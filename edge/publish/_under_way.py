"""Events that were sent and that the broker has yet to acknowledge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, Optional

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

    def silent(self, packet: int) -> Optional[Row]:
        """The broker does not answer a packet; None if it is no event."""
        found = self._by_packet.get(packet)
        if found is None:
            return None
        if found.overtaken:
            self._skipped[found.row.id] = self._skipped.get(found.row.id, 0) + 1
        return found.row

    def take_skipped(self, packet: int) -> Optional[Row]:
        """Take an event that was skipped on STRIKES connections; None if it was not."""
        found = self._by_packet.get(packet)
        if found is None or self._skipped.get(found.row.id, 0) < STRIKES:
            return None
        del self._by_packet[packet], self._skipped[found.row.id]
        return found.row

    def clear(self) -> None:
        """The connection is over."""
        self._by_packet.clear()
