"""Notice a broker that is alive and does not acknowledge.

A broker acknowledges in the order of sending (MQTT 5, section 4.6). So the oldest packet is
watched. On a slow link an acknowledgement may take minutes, but they come one after another.
"""

from __future__ import annotations

import time
from typing import Callable, Dict, List, Optional

ACK_S = 30.0  # without any acknowledgement, or after that of a later packet
ACK_MAX_S = 120.0  # the limit doubles while nothing is acknowledged


class AckWatch:
    """The packets under way on one connection after another.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: Dict[int, float] = {}  # packet -> since when, the oldest first
        self._last_s = 0.0  # of the last acknowledgement
        self._overtaken_s: Optional[float] = None  # since when the oldest is overtaken
        self.limit_s = ACK_S

    def sent(self, packet: int) -> None:
        """A packet that is to be acknowledged was sent."""
        self._sent[packet] = self._clock()

    def acknowledged(self, packet: int) -> None:
        """The broker has answered a packet; other numbers are ignored."""
        if packet not in self._sent:
            return
        self._last_s, self.limit_s = self._clock(), ACK_S
        if packet == next(iter(self._sent)):
            self._overtaken_s = None
        elif self._overtaken_s is None:
            self._overtaken_s = self._last_s
        del self._sent[packet]

    def clear(self) -> None:
        """The connection is over."""
        self._sent.clear()
        self._overtaken_s = None

    def due_s(self) -> List[float]:
        """When the oldest packet has waited too long, in monotonic seconds; [] = none waits."""
        if not self._sent:
            return []
        since_s = max(next(iter(self._sent.values())), self._last_s)
        return [(self._overtaken_s or since_s) + self.limit_s]

    def silent(self) -> Optional[int]:
        """Return the packet that has waited too long, and wait longer for the next; None = none."""
        if any(self._clock() >= due_s for due_s in self.due_s()):
            self.limit_s = min(self.limit_s * 2, ACK_MAX_S)
            return next(iter(self._sent))
        return None
