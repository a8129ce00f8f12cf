"""Whether a camera shows enough to judge blows."""

from __future__ import annotations

from edge.rules._blindness import Blindness
from edge.rules._strikes.windows import Bodies

_SLOWEST_HZ = 8.0  # fewer frames a second do not show a blow
_MEAN_S = 2.0
_TIPS = [9, 10, 15, 16]


class Sight:
    """Follows how often frames come, and whether anybody in view can be judged."""

    def __init__(self) -> None:
        self._last_ns = -1
        self._interval_s = 0.0
        self._blindness = Blindness()

    def note(self, found: Bodies, t_ns: int) -> None:
        """Note a frame."""
        step_s = max(t_ns - self._last_ns, 0) * 1e-9 if self._last_ns >= 0 else 0.0
        gain = min(step_s / _MEAN_S, 1.0) if self._interval_s else 1.0
        self._interval_s += gain * (step_s - self._interval_s)
        self._last_ns = t_ns
        self._blindness.note(found.known & found.visible[:, _TIPS].any(1), t_ns)

    def unsure(self) -> str:
        """Why blows cannot be judged at present; empty = they can."""
        if self._interval_s > 1 / _SLOWEST_HZ:
            rate_hz = 1 / self._interval_s
            return f"{rate_hz:.1f} frames a second are too few to see a blow"
        return self._blindness.unsure("trunk, hands or feet of everybody in view are hidden")
