"""What the loop does without while the machine is throttled or behind, and when it comes back.

The order: the detector looks rarer, then hands and faces of fewer people, then fewer frames. Each
level holds for a while; the way back is taken one level at a time after the strain has been over
for longer, and the longer the sooner the last way back had to be undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

from edge.settings.sections import Degrade as Settings

S = 10**9
COMFORT = 0.8  # share of the time between two frames that a step may take on the way back


@dataclass(frozen=True)
class Level:
    """How much is done."""

    detect_times: int = 1  # the detector rests so many times as long
    part_limit: int = 0  # people of a step who get hands and a face; 0 = everybody
    rate_share: float = 1.0  # of the frames that cameras give

    def __str__(self) -> str:
        """One line for a person."""
        parts = []
        if self.detect_times > 1:
            parts.append(f"detector {self.detect_times} times rarer")
        if self.part_limit:
            parts.append(f"hands and faces of {self.part_limit}")
        if self.rate_share < 1:
            parts.append(f"{self.rate_share:.0%} of the frames")
        return ", ".join(parts) or "everything"


@dataclass(frozen=True)
class Signs:
    """How the machine is at an instant."""

    throttled: str = ""  # why; empty = it is not
    load: float = 0.0  # mean time of a step / time between two frames of the fastest camera


def ladder(settings: Settings, detector: bool = True, parts: bool = True) -> List[Level]:
    """The levels in their order; the first is everything.

    Args:
        settings: the steps.
        detector: there is one.
        parts: the pose model looks at hands and faces apart from the body.
    """
    times = sorted(set(settings.detect_times)) if detector else []
    limits = sorted(set(settings.part_limits), reverse=True) if parts else []
    shares = sorted(set(settings.rate_shares), reverse=True)
    levels = [Level()]
    levels += [Level(n) for n in times]
    levels += [Level(levels[-1].detect_times, n) for n in limits]
    rarest = levels[-1]
    return levels + [Level(rarest.detect_times, rarest.part_limit, share) for share in shares]


class Degrade:
    """Which level holds.

    Args:
        settings: the times.
        levels: of `ladder`.
        t_ns: now, monotonic.
    """

    def __init__(self, settings: Settings, levels: Sequence[Level], t_ns: int) -> None:
        self.levels = list(levels)
        self.at = 0  # index of the level that holds
        self.why = ""  # it holds
        self.changes = 0  # so far
        self._settings = settings
        self._wait_ns = self._least_wait_ns
        self._changed_ns = t_ns
        self._bad_ns = self._good_ns = t_ns  # since when the signs are so
        self._went_up = False  # at the last change

    @property
    def level(self) -> Level:
        """The one that holds."""
        return self.levels[self.at]

    def update(self, signs: Signs, t_ns: int) -> bool:
        """Look at the machine; to be called every second or so.

        Returns:
            Whether another level holds from now on.
        """
        strain = self._strain(signs)
        if not strain:
            self._bad_ns = t_ns
        if strain or not self._easy(signs):
            self._good_ns = t_ns
        if strain and self.at + 1 < len(self.levels) and self._is_time_to_worsen(t_ns):
            self._wait_ns = self._next_wait_ns(t_ns)
            return self._change(+1, strain, t_ns)
        if self.at and t_ns - max(self._good_ns, self._changed_ns) >= self._wait_ns:
            return self._change(-1, self.why if self.at > 1 else "", t_ns)
        return False

    @property
    def _least_wait_ns(self) -> int:
        return int(max(self._settings.recover_s, self._settings.hold_s) * S)

    def _strain(self, signs: Signs) -> str:
        """Why it is too much; empty = it is not."""
        if signs.throttled and "throttled" in self._settings.when:
            return f"throttled: {signs.throttled}"
        load = signs.load * self.level.rate_share
        if load > 1 and "behind" in self._settings.when:
            return f"behind: a step takes {signs.load:.1f} times the time between two frames"
        return ""

    def _easy(self, signs: Signs) -> bool:
        """Whether the level above would do, as far as that can be told."""
        above = self.levels[max(self.at - 1, 0)]
        fits = signs.load * above.rate_share < COMFORT or "behind" not in self._settings.when
        return fits and not (signs.throttled and "throttled" in self._settings.when)

    def _is_time_to_worsen(self, t_ns: int) -> bool:
        lasts = t_ns - self._bad_ns >= int(self._settings.after_s * S)
        return lasts and t_ns - self._changed_ns >= int(self._settings.hold_s * S)

    def _next_wait_ns(self, t_ns: int) -> int:
        """Twice as long as the last time where that was too soon."""
        if self._went_up and t_ns - self._changed_ns < 2 * self._wait_ns:
            most_ns = max(int(self._settings.recover_max_s * S), self._least_wait_ns)
            return min(2 * self._wait_ns, most_ns)
        return self._wait_ns if not self._went_up and self.at else self._least_wait_ns

    def _change(self, step: int, why: str, t_ns: int) -> bool:
        self.at += step
        self.why = why
        self.changes += 1
        self._went_up = step < 0
        self._changed_ns = self._bad_ns = self._good_ns = t_ns
        return True
