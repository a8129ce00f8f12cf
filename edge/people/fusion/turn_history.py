"""How far a joint has turned by its gyroscopes alone, for the last seconds."""

from __future__ import annotations

import numpy as np


class TurnHistory:
    """The integral of a turning rate at the times of its samples.

    Args:
        span_s: older samples are forgotten.
    """

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._zero_ns = -1  # time of the first sample ever; times in seconds count from here
        self._t_s = np.zeros(0)  # since _zero_ns
        self._turn_deg = np.zeros(0)
        self._rate_dps = np.zeros(0)

    def __len__(self) -> int:
        return len(self._t_s)

    @property
    def end_s(self) -> float:
        """Time of the newest sample; there must be one."""
        return float(self._t_s[-1])

    @property
    def start_s(self) -> float:
        """Time of the oldest sample kept; there must be one."""
        return float(self._t_s[0])

    def seconds(self, t_ns: np.ndarray) -> np.ndarray:
        """Monotonic ns as seconds of this history."""
        return np.asarray((t_ns - self._zero_ns) * 1e-9)

    def add(self, t_ns: np.ndarray, rate_dps: np.ndarray) -> None:
        """Append samples [S], whose times rise; rates between two samples are interpolated."""
        if self._zero_ns < 0:
            self._zero_ns = int(t_ns[0])
        t_s = self.seconds(t_ns)
        before_s = self._t_s[-1:] if len(self) else t_s[:1]
        before_dps = self._rate_dps[-1:] if len(self) else rate_dps[:1]
        steps = np.diff(np.concatenate((before_s, t_s)))
        rates = np.concatenate((before_dps, rate_dps))
        start_deg = self._turn_deg[-1] if len(self) else 0.0
        turn = start_deg + np.cumsum(steps * (rates[:-1] + rates[1:]) / 2)
        keep = slice(int(np.searchsorted(self._t_s, t_s[-1] - self._span_s)), None)
        self._t_s = np.concatenate((self._t_s[keep], t_s))
        self._turn_deg = np.concatenate((self._turn_deg[keep], turn))
        self._rate_dps = np.concatenate((self._rate_dps[keep], rate_dps))

    def turn_deg(self, t_s: np.ndarray) -> np.ndarray:
        """The integral at times of any shape; constant before the first and after the last."""
        return np.asarray(np.interp(t_s, self._t_s, self._turn_deg))

    def rate_dps(self, t_s: float) -> float:
        """The rate at a time."""
        return float(np.interp(t_s, self._t_s, self._rate_dps))
