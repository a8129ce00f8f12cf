"""An inertial sensor by formula on a limb that swings: synthetic://?amplitude_deg=40&period_s=2.

Two sensors with the same period that are opened at different times swing in phase, because time
itself gives the angle. Options:

- hz: samples a second; 200 by default.
- axis: x, y (default) or z, the axis of the swing; amplitude_deg, period_s: the swing.
- bias_dps: of the gyroscope about each axis; noise_dps: standard deviation of a sample.
- seed: of the noise.
- gone_after_s, gone_s: the sensor does not answer for `gone_s`, so long after each opening.
"""

from __future__ import annotations

import math
import time

import numpy as np

from edge.errors import TempError
from edge.sensors import ImuSamples, ImuSource, Now
from edge.sensors._address import Address

_OPTIONS = (
    *("hz", "axis", "amplitude_deg", "period_s", "bias_dps", "noise_dps", "seed"),
    *("gone_after_s", "gone_s"),
)
_ACCEL_NOISE_G = 0.003
_TEMP_C = 30.0


def check(address: Address) -> None:
    """Refuse wrong options.

    Raises:
        ConfigError: a wrong option.
    """
    _Swing(address, lambda: 0)


def open_source(address: Address, now_ns: Now = time.monotonic_ns) -> ImuSource:
    """Begin to swing."""
    return _Swing(address, now_ns)


class _Swing:
    def __init__(self, address: Address, now_ns: Now) -> None:
        address.only(_OPTIONS)
        number = address.number
        self._period_ns = round(1e9 / number("hz", 200, 1, 2000))
        self._axis = "xyz".index(address.choice("axis", ("y", "x", "z")))
        self._amplitude_deg = number("amplitude_deg", 40, 0, 180)
        self._omega = 2 * math.pi / number("period_s", 2, 0.05, 3600)
        self._bias_dps = number("bias_dps", 0, -250, 250)
        self._noise_dps = number("noise_dps", 0.05, 0, 100)
        gone_after_ns = int(number("gone_after_s", 0, 0, 1e6) * 1e9)
        self._rng = np.random.default_rng(int(number("seed", 0, 0, 2**31)))
        self.about = f"{address.uri}, {1e9 / self._period_ns:g} Hz"
        self._now_ns = now_ns
        start_ns = now_ns()
        self._index = start_ns // self._period_ns
        self._gone_ns = (start_ns + gone_after_ns, int(number("gone_s", 0, 0, 1e6) * 1e9))

    def read(self) -> ImuSamples:
        now_ns = self._now_ns()
        gone_ns, long_ns = self._gone_ns
        if gone_ns <= now_ns < gone_ns + long_ns:
            raise TempError("synthetic sensor: does not answer, as its options say")
        last = now_ns // self._period_ns
        t_ns = np.arange(self._index + 1, last + 1, dtype=np.int64) * self._period_ns
        self._index = max(last, self._index)
        t_s, n = t_ns * 1e-9, len(t_ns)
        gyro = self._rng.normal(self._bias_dps, self._noise_dps or 1e-12, (n, 3))
        gyro[:, self._axis] += self._amplitude_deg * self._omega * np.cos(self._omega * t_s)
        tilt = np.radians(self._amplitude_deg * np.sin(self._omega * t_s))
        accel = self._rng.normal(0, _ACCEL_NOISE_G, (n, 3))
        accel[:, (self._axis + 2) % 3] += np.cos(tilt)
        accel[:, (self._axis + 1) % 3] += np.sin(tilt)
        return ImuSamples(t_ns, gyro, accel, np.full(n, _TEMP_C))

    def close(self) -> None:
        """Nothing is open."""
