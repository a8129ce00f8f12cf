"""When to connect to a broker again."""

from __future__ import annotations

import random
import time

PAUSE_S = 0.5  # before the first new try, doubled each time
DIFFERENT_S = 0.1  # before a try with another version
STEADY_S = 5.0  # a connection that lasted this long was a good one
BRIEF = 3  # this many shorter ones in a row have a common cause


class Backoff:
    """Pauses between tries: they double, and start short again after a good connection.

    Args:
        pause_max_s: longest pause between two tries.
    """

    def __init__(self, pause_max_s: float) -> None:
        self.pause_s, self._pause_max_s = PAUSE_S, pause_max_s
        self.due_s = self._since_s = time.monotonic()
        self._brief = 0

    @property
    def steady_s(self) -> float:
        """When the present connection will have lasted STEADY_S, in monotonic seconds."""
        return self._since_s + STEADY_S

    @property
    def steady(self) -> bool:
        """Whether the present connection is a good one."""
        return time.monotonic() > self.steady_s

    @property
    def flapping(self) -> bool:
        """Whether the last BRIEF connections were accepted and lost at once."""
        return self._brief >= BRIEF

    def connected(self) -> None:
        """The broker has accepted a connection."""
        self._since_s = time.monotonic()

    def lost(self, was_up: bool, soon: bool) -> None:
        """The connection or the try has ended.

        Args:
            was_up: the broker had accepted the connection.
            soon: the next try must not wait long.
        """
        steady = was_up and self.steady
        self._brief = 0 if steady else self._brief + was_up
        quick = steady or soon
        self.pause_s = PAUSE_S if quick else min(self.pause_s * 2, self._pause_max_s)
        self.due_s = time.monotonic() + self.pause_s * random.uniform(0.7, 1.0)

    def next_differs(self) -> None:
        """The try has ended, and the next one speaks another version of MQTT: it follows soon."""
        self.due_s = time.monotonic() + DIFFERENT_S


def requested_keepalive_s(keepalive_s: int) -> int:
    """Return the keepalive for paho: silence is then noticed within 1.6 times the configured one.

    paho pings after one keepalive without traffic, gives up after another one without an answer,
    and looks once a second: at worst 2 x + 1 s.
    """
    return max(1, int((1.6 * keepalive_s - 1) / 2))
