"""Events in memory from the moment a rule gives them until a broker has taken them."""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, List, Optional

from edge.messages import Message


class Backlog:
    """First in, first out, bounded; what is under way stays until it is acknowledged.

    It lives in memory: a device that dies while the broker is away loses what is in here.

    Args:
        room: messages it holds; one more and the oldest that is not under way is given up.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: Deque[Message] = deque()
        self._sent: Dict[int, Message] = {}  # by packet number, in the order of sending

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    @property
    def under_way(self) -> int:
        """Messages sent and not yet acknowledged."""
        return len(self._sent)

    def add(self, message: Message) -> int:
        """Keep a message; returns how many were given up for it."""
        self._waiting.append(message)
        if len(self) <= self._room:
            return 0
        self._waiting.popleft()
        return 1

    def next(self) -> Optional[Message]:
        """Take the oldest that waits; follow with `sent`, or it is gone."""
        return self._waiting.popleft() if self._waiting else None

    def sent(self, packet: int, message: Message) -> None:
        """It is under way under this number."""
        self._sent[packet] = message

    def done(self, packet: int) -> Optional[Message]:
        """It was answered: forget it. None when the number is none of ours."""
        return self._sent.pop(packet, None)

    def again(self) -> None:
        """The connection is gone: everything under way waits again, before the rest."""
        lost: List[Message] = list(self._sent.values())
        self._sent.clear()
        self._waiting.extendleft(reversed(lost))

    def clear(self) -> int:
        """Give everything up; returns how many."""
        left = len(self)
        self._waiting.clear()
        self._sent.clear()
        return left
