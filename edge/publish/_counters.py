"""The counters of a sink: how many messages were sent, dropped or refused."""

from __future__ import annotations

import threading
from typing import Any, Dict


class Counters:
    """Counts a sink's messages by their fate; several threads may write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = 0  # written, or acknowledged by the broker
        self.dropped = 0  # given up: no connection, no room, or a full disk
        self.refused = 0  # too large, or not allowed by the broker
        self.outbox: Dict[str, Any] = {}  # see contract/metrics.json; empty = no outbox

    def add(self, name: str, count: int = 1) -> None:
        """Add to the counter with this name."""
        with self._lock:
            setattr(self, name, getattr(self, name) + count)

    def report(self) -> Dict[str, Any]:
        """All counters of one instant."""
        with self._lock:
            counts = {"sent": self.sent, "dropped": self.dropped, "refused": self.refused}
        return {**counts, "outbox": self.outbox} if self.outbox else counts
