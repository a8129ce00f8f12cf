"""Decide how much the loop does while the machine is throttled or too slow.

The loop goes from level to level: first the detector runs less often, then fewer people get hands
and faces, then fewer frames are taken. The next level comes while a reason lasts. The way back is
one level at a time, after the reason is over for `recover_s`; this wait doubles whenever a level
back did not last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

from edge.settings.sections import Degrade as Settings

S = 10**9
# A level back needs reserve: a step may take this share of the time between two frames there.
COMFORT = 0.8


@dataclass(frozen=True)
class Level:
    """How much the loop does."""

    detect_times: int = 1  # factor on the detector's pauses
    part_limit: int = 0  # people of a step who get hands and a face; 0 = everybody
    rate_share: float = 1.0  # of the frames that cameras give

    def __str__(self) -> str:
        """One line for people."""
        parts = []
        if self.detect_times > 1:
            parts.append(f"detector {self.detect_times} times less often")
        if self.part_limit:
            people = "1 person" if self.part_limit == 1 else f"{self.part_limit} people"
            parts.append(f"hands and faces of {people}")
        if self.rate_share < 1:
            parts.append(f"{self.rate_share:.0%} of the frames")
        return ", ".join(parts) or "full quality"


@dataclass(frozen=True)
class Signs:
    """The state of the machine at one time."""

    throttled: str = ""  # what throttles it; empty = nothing
    load: float = 0.0  # mean time of a step / time between two frames of the fastest camera


def ladder(settings: Settings, detector: bool = True, parts: bool = True) -> List[Level]:
    """All levels in their order; the first one is full quality.

    Args:
        settings: the steps.
        detector: whether there is a detector.
        parts: whether the pose model has a separate stage for hands and faces.
    """
    times = sorted(set(settings.detect_times)) if detector else []
    limits = sorted(set(settings.part_limits), reverse=True) if parts else []
    shares = sorted(set(settings.rate_shares), reverse=True)
    levels = [Level()]
    levels += [Level(n) for n in times]
    levels += [Level(levels[-1].detect_times, n) for n in limits]
    slowest = levels[-1]
    return levels + [Level(slowest.detect_times, slowest.part_limit, share) for share in shares]


class LevelSwitch:
    """Chooses the level.

    Args:
        settings: the times.
        levels: from `ladder`.
        t_ns: now, monotonic.
    """

    def __init__(self, settings: Settings, levels: Sequence[Level], t_ns: int) -> None:
        self.levels = list(levels)
        self.at = 0  # index of the current level
        self.why = ""  # the reason for it
        self.changes = 0
        self._settings = settings
        self._wait_ns = self._shortest_wait_ns
        self._changed_ns = t_ns
        self._fine_ns = t_ns  # the last time without a reason
        self._strained_ns = t_ns  # the last time with one, or without reserve for a level back
        self._went_back = False  # at the last change

    @property
    def level(self) -> Level:
        """The current level."""
        return self.levels[self.at]

    def update(self, signs: Signs, t_ns: int) -> bool:
        """Choose the level for the state of the machine; to be called about once a second.

        Args:
            signs: the state since the last call.
            t_ns: now, monotonic.

        Returns:
            Whether the level changed.
        """
        reason = self._reason(signs)
        if not reason:
            self._fine_ns = t_ns
        if reason or not self._has_reserve(signs):
            self._strained_ns = t_ns
        if reason and self.at + 1 < len(self.levels) and self._is_time_for_next(t_ns):
            self._wait_ns = self._next_wait_ns(t_ns)
            return self._change(+1, reason, t_ns)
        if self.at and t_ns - max(self._strained_ns, self._changed_ns) >= self._wait_ns:
            return self._change(-1, self.why if self.at > 1 else "", t_ns)
        return False

    @property
    def _shortest_wait_ns(self) -> int:
        return int(max(self._settings.recover_s, self._settings.hold_s) * S)

    def _reason(self, signs: Signs) -> str:
        """Why the loop should do less; empty = no reason."""
        if signs.throttled and "throttled" in self._settings.when:
            return f"throttled: {signs.throttled}"
        load = signs.load * self.level.rate_share
        if load > 1 and "behind" in self._settings.when:
            return f"behind: a step takes {signs.load:.1f} times the time between two frames"
        return ""

    def _has_reserve(self, signs: Signs) -> bool:
        """Whether the machine could do the level before this one, as far as the load tells."""
        before = self.levels[max(self.at - 1, 0)]
        fits = signs.load * before.rate_share < COMFORT or "behind" not in self._settings.when
        return fits and not (signs.throttled and "throttled" in self._settings.when)

    def _is_time_for_next(self, t_ns: int) -> bool:
        lasts = t_ns - self._fine_ns >= int(self._settings.after_s * S)
        return lasts and t_ns - self._changed_ns >= int(self._settings.hold_s * S)

    def _next_wait_ns(self, t_ns: int) -> int:
        """The wait before a level back: doubled if the last level back did not last."""
        if self._went_back and t_ns - self._changed_ns < 2 * self._wait_ns:
            longest_ns = max(int(self._settings.recover_max_s * S), self._shortest_wait_ns)
            return min(2 * self._wait_ns, longest_ns)
        return self._wait_ns if not self._went_back and self.at else self._shortest_wait_ns

    def _change(self, step: int, why: str, t_ns: int) -> bool:
        self.at += step
        self.why = why
        self.changes += 1
        self._went_back = step < 0
        self._changed_ns = self._fine_ns = self._strained_ns = t_ns
        return True
