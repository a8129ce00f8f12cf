"""The local time of this machine, for rules that are active at some hours only."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional

from edge.messages import Clock
from edge.publish import clock_quality

_ASK_AGAIN_NS = 10 * 10**9
_CLOCK = Clock()


class LocalTime:
    """Gives the minute of the local day at a monotonic time, if the wall clock can be trusted.

    Args:
        clock: of the machine.
        quality: tells whether the wall clock is disciplined (edge.publish.clock_quality).
    """

    def __init__(
        self, clock: Clock = _CLOCK, quality: Callable[[], Dict[str, Any]] = clock_quality
    ) -> None:
        self._clock, self._quality = clock, quality
        self._asked_ns: Optional[int] = None
        self._set = False

    def __call__(self, t_ns: int) -> Optional[float]:
        """Minutes since local midnight; None while the clock is not synchronised."""
        if self._asked_ns is None or abs(t_ns - self._asked_ns) > _ASK_AGAIN_NS:
            self._asked_ns, self._set = t_ns, self._quality()["source"] != "none"
        return minute_of_day(self._clock.utc_ns(t_ns)) if self._set else None


def minute_of_day(utc_ns: int) -> float:
    """Minutes since midnight in the time zone of this machine."""
    now = time.localtime(utc_ns * 1e-9)
    return now.tm_hour * 60 + now.tm_min + now.tm_sec / 60
