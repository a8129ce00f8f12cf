"""When to try a broker again."""

from __future__ import annotations

import random
import time

PAUSE_S = 0.5  # before the first new try, doubled each time
STEADY_S = 5.0  # a connection that lived so long was a good one
BRIEF = 3  # so many that were not, one after the other, are no accident


class Pace:
    """Ever more rarely, but at once after a good connection.

    Args:
        pause_max_s: longest wait between two tries.
    """

    def __init__(self, pause_max_s: float) -> None:
        self.pause_s, self._pause_max_s = PAUSE_S, pause_max_s
        self.due_s = self._since_s = time.monotonic()
        self._brief = 0

    @property
    def steady_s(self) -> float:
        """When the connection will have been a good one."""
        return self._since_s + STEADY_S

    @property
    def steady(self) -> bool:
        """Whether it is."""
        return time.monotonic() > self.steady_s

    @property
    def flapping(self) -> bool:
        """Whether brokers let us in and end it at once, again and again."""
        return self._brief >= BRIEF

    def connected(self) -> None:
        """The broker has let us in."""
        self._since_s = time.monotonic()

    def lost(self, was_up: bool, soon: bool) -> None:
        """The connection or the try is over; `soon` = the next one must not be late."""
        steady = was_up and self.steady
        self._brief = 0 if steady else self._brief + was_up
        quick = steady or soon
        self.pause_s = PAUSE_S if quick else min(self.pause_s * 2, self._pause_max_s)
        self.due_s = time.monotonic() + self.pause_s * random.uniform(0.7, 1.0)


def ping_s(keepalive_s: int) -> int:
    """The keepalive to ask for, so that silence is noticed within 1.6 times the configured one.

    paho sends a ping after so long without traffic, gives up after as long again without an
    answer, and looks once a second: at worst 2 x + 1 s.
    """
    return max(1, int((1.6 * keepalive_s - 1) / 2))
