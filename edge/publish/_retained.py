"""Retained messages of a sender: the newest of each topic, sent again after every connect."""

from __future__ import annotations

from typing import Dict, Optional

from edge.messages import Message


class Retained:
    """The newest message of each retained topic."""

    def __init__(self) -> None:
        self.under_way: Dict[int, str] = {}  # packet number -> topic
        self._newest: Dict[str, Message] = {}
        self._unsent: Dict[str, None] = {}  # topics, in the order to send them

    @property
    def all_sent(self) -> bool:
        """Whether the broker has acknowledged the newest message of every topic."""
        return not (self._unsent or self.under_way)

    def add(self, message: Message) -> None:
        """Replace the message of its topic."""
        self._newest[message.topic] = message
        self._unsent[message.topic] = None

    def next(self) -> Optional[Message]:
        """Take the next message to send; None = there is none."""
        if not self._unsent:
            return None
        topic = next(iter(self._unsent))
        del self._unsent[topic]
        return self._newest[topic]

    def resend_all(self) -> None:
        """Send every topic again: a broker that restarted may have lost them."""
        self._unsent = dict.fromkeys(self._newest)
