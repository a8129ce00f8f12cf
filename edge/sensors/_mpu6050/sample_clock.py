"""Times of samples whose chip has a clock of its own.

The chip says how many samples are waiting, never when it took them. Its rate is off by up to some
percent and drifts with temperature. At each reading the newest sample is 0 to 1 period old. So each
reading measures the phase of the chip's clock with an error of period / sqrt(12), and a Kalman
filter of phase and period smooths that.
"""

from __future__ import annotations

import numpy as np

_START_ERROR = 0.05  # of the nominal rate
_WANDER = 2e-6  # standard deviation of the rate's change in one second, as a share of it


class SampleClock:
    """Gives monotonic times to samples that are read in batches.

    Args:
        period_ns: nominal time from sample to sample.
    """

    def __init__(self, period_ns: float) -> None:
        self._period_ns = period_ns
        self._rate_var = (_START_ERROR * period_ns) ** 2
        self._last_ns = -(1 << 62)
        self.restart()

    def restart(self) -> None:
        """Forget the phase: samples were lost, or the chip was set up again. The rate stays."""
        self._zero_ns, self._phase_ns = -1, 0.0  # the phase: of the newest sample, from _zero_ns
        self._p00, self._p01 = 0.0, 0.0

    @property
    def period_ns(self) -> float:
        """The chip's period as far as it is known."""
        return self._period_ns

    def times(self, count: int, before_ns: int, after_ns: int) -> np.ndarray:
        """Times of new samples.

        Args:
            count: samples since the last call, at least 1.
            before_ns: monotonic time before the chip was asked how many there are.
            after_ns: the same after it answered.

        Returns:
            [count] i64, strictly rising from call to call.
        """
        seen_ns = (before_ns + after_ns) / 2 - self._period_ns / 2
        spread = (self._period_ns**2 + (after_ns - before_ns) ** 2) / 12
        if self._zero_ns < 0:
            self._zero_ns, self._phase_ns, self._p00 = int(seen_ns), 0.0, spread
        else:
            self._step(count)
            self._correct(seen_ns - self._zero_ns, spread)
        back = np.arange(count - 1, -1, -1) * self._period_ns
        t_ns = np.rint(self._phase_ns - back).astype(np.int64) + self._zero_ns
        # A correction backwards must not make time run backwards.
        t_ns = np.maximum(t_ns, self._last_ns + 1 + np.arange(count))
        self._last_ns = int(t_ns[-1])
        return t_ns

    def _step(self, count: int) -> None:
        drift = (_WANDER * self._period_ns) ** 2 * count * self._period_ns * 1e-9
        self._phase_ns += count * self._period_ns
        self._p00 += 2 * count * self._p01 + count**2 * self._rate_var
        self._p01 += count * self._rate_var
        self._rate_var += drift

    def _correct(self, seen_ns: float, spread: float) -> None:
        gain = 1.0 / (self._p00 + spread)
        k0, k1 = self._p00 * gain, self._p01 * gain
        miss = seen_ns - self._phase_ns
        self._phase_ns += k0 * miss
        self._period_ns += k1 * miss
        self._rate_var -= k1 * self._p01
        self._p01 *= 1 - k0
        self._p00 *= 1 - k0
