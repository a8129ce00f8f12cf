"""Messages that no outbox keeps: the newest of each retained topic, and live ones under way."""

from __future__ import annotations

from typing import Dict, Optional

from edge.messages import Message


class Retained:
    """The newest message of each topic, told at every connection."""

    def __init__(self) -> None:
        self.under_way: Dict[int, str] = {}  # packet number -> topic
        self._newest: Dict[str, Message] = {}
        self._untold: Dict[str, None] = {}  # in the order to tell them

    @property
    def told(self) -> bool:
        """Whether the broker has all of them."""
        return not (self._untold or self.under_way)

    def add(self, message: Message) -> None:
        """It takes the place of the one before."""
        self._newest[message.topic] = message
        self._untold[message.topic] = None

    def next(self) -> Optional[Message]:
        """Take one that is to be told."""
        if not self._untold:
            return None
        topic = next(iter(self._untold))
        del self._untold[topic]
        return self._newest[topic]

    def tell_all(self) -> None:
        """The broker may have forgotten everything."""
        self._untold = dict.fromkeys(self._newest)


class Live:
    """Live messages that the connection holds and has not written."""

    def __init__(self) -> None:
        self.bytes = 0
        self._sizes: Dict[int, int] = {}  # by packet number

    def __len__(self) -> int:
        return len(self._sizes)

    def sent(self, packet: int, size: int) -> None:
        """The connection has it."""
        self._sizes[packet] = size
        self.bytes += size

    def done(self, packet: int) -> bool:
        """It is written; tells whether it was one of them."""
        size = self._sizes.pop(packet, None)
        self.bytes -= size or 0
        return size is not None

    def clear(self) -> int:
        """They are lost; tells how many."""
        left = len(self._sizes)
        self._sizes.clear()
        self.bytes = 0
        return left
