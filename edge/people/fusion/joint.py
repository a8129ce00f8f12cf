"""One joint: the angle that gyroscopes and the camera give together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Deque, Optional, Tuple

import numpy as np

from edge.people.fusion.angle_filter import ANGLE, BIAS, DELAY, AngleFilter, FilterNoise
from edge.people.fusion.delay import RANGE_S, Delay, find_delay
from edge.people.fusion.hinge import Turning
from edge.people.fusion.turn_history import TurnHistory

BOTH, VISION, GYRO, NONE = "both", "vision", "gyro", "none"
STATED = FilterNoise()
_SPAN_S = 20.0  # of the comparison with the camera
_COMPARE_S = 1.0  # pause between two comparisons
_SURE_S = 0.02  # a delay with a smaller error is taken
_FRESH_SIGHT_S, _FRESH_GYRO_S = 0.4, 0.15
_GAP_S = 0.1  # between two samples; a longer one is no motion that can be interpolated
_MOST_ERROR_DEG = 30.0  # an angle with a larger error stands on nothing
# A sensor that is mounted a little off the joint's axis takes part of other turns for the joint's.
# This error comes and goes with the turn, so it widens the told error and not the filter's.
_ACROSS_S, _MOUNTED = 0.5, 0.015
_WAITING = 64  # angles of the camera whose time the gyroscopes have not reached


@dataclass(frozen=True)
class FusedAngle:
    """An angle and what it rests on."""

    degrees: float  # NaN = nothing is known yet
    error_deg: float  # one standard deviation; grows while the camera does not see the joint
    stands_on: str  # both | vision | gyro | none: the measurements of the last moments


UNKNOWN = FusedAngle(float("nan"), 180.0, NONE)


class JointFusion:
    """Fuses one joint. Samples and angles may come in any interleaving.

    Args:
        delay_s: by how much the camera's times are late, as far as is known.
        noise: what the filter expects.
        unseen_deg: growth in one second of the error by turns that no gyroscope sees; 0 with a
            sensor on both limbs.
    """

    def __init__(
        self, delay_s: float = 0.05, noise: FilterNoise = STATED, unseen_deg: float = 0.0
    ) -> None:
        self._filter = AngleFilter(noise, delay_s)
        self._unseen_deg2 = unseen_deg**2
        self._history = TurnHistory(_SPAN_S + 2 * RANGE_S + 1)
        self._seen: Deque[Tuple[int, float, float]] = deque(maxlen=3000)
        self._waiting: Deque[Tuple[int, float, float]] = deque(maxlen=_WAITING)
        self._now_ns = -1  # of the filter's state
        self._gyro_ns, self._sight_ns = -1, -1
        self._compared_s = -1e9
        self._across_deg = 0.0  # turned about other axes in about the last _ACROSS_S
        self._synced = False
        self.delay: Optional[Delay] = None  # of the last comparison

    @property
    def bias_dps(self) -> float:
        """The gyroscopes' bias about the joint's axis."""
        return float(self._filter.state[BIAS])

    @property
    def delay_s(self) -> float:
        """By how much the camera's times are late."""
        return float(self._filter.state[DELAY])

    @property
    def contradicts(self) -> bool:
        """Whether the gyroscopes clearly turn another way than the camera sees."""
        return self.delay is not None and not self.delay.fits and self.delay.error_s < _SURE_S

    def gyro(self, turning: Turning) -> None:
        """Samples of the joint's rate; those not later than the ones before are ignored."""
        turning = turning.take(turning.t_ns > self._gyro_ns)
        if not len(turning):
            return
        gaps = 1 + np.flatnonzero(np.diff(turning.t_ns) > _GAP_S * 1e9)
        for rows in np.split(np.arange(len(turning)), gaps):
            part = turning.take(rows)
            if not len(self._history) or int(part.t_ns[0]) - self._gyro_ns > _GAP_S * 1e9:
                self._begin(part.t_ns[:1], part.rate_dps[:1])
            self._advance(part)
        while self._waiting and self._reached(self._waiting[0][0]):
            self._correct(*self._waiting.popleft())
        self._compare()

    def vision(self, t_ns: int, degrees: float, sigma_deg: float) -> None:
        """An angle of the camera, its capture time and standard deviation; NaN = not seen."""
        if not (np.isfinite(degrees) and np.isfinite(sigma_deg)):
            return
        self._sight_ns = max(self._sight_ns, t_ns)
        if self._gyro_alive(t_ns):
            self._seen.append((t_ns, degrees, sigma_deg))
            if self._reached(t_ns):
                self._correct(t_ns, degrees, sigma_deg)
            else:
                self._waiting.append((t_ns, degrees, sigma_deg))
            return
        while self._waiting:  # the gyroscopes will not come any more
            self._alone(*self._waiting.popleft())
        self._alone(t_ns, degrees, sigma_deg)

    def at(self, t_ns: int) -> FusedAngle:
        """The angle at a monotonic time: the present, or up to 20 s ago."""
        if not self._filter.ready:
            return UNKNOWN
        behind_s = (self._now_ns - t_ns) * 1e-9
        degrees = float(self._filter.state[ANGLE])
        variance = self._filter.error_deg**2 + (_MOUNTED * self._across_deg) ** 2
        if len(self._history) and 0 < behind_s < _SPAN_S:
            s = self._history.seconds(np.array([t_ns, self._now_ns]))
            then, now = self._history.turn_deg(s)
            degrees += float(then - now) + self.bias_dps * behind_s
        elif behind_s < 0:
            variance += (60.0 * behind_s) ** 2
        error = float(np.sqrt(variance))
        return FusedAngle(degrees, error, self._stands_on(t_ns, error))

    def newest(self, now_ns: int) -> FusedAngle:
        """The latest angle that there is, judged at the present time."""
        found = self.at(min(now_ns, self._now_ns)) if self._now_ns >= 0 else UNKNOWN
        if found is UNKNOWN:
            return found
        old_s = max((now_ns - self._now_ns) * 1e-9 - _FRESH_GYRO_S, 0.0)
        error = float(np.hypot(found.error_deg, 60.0 * old_s))
        return FusedAngle(found.degrees, error, self._stands_on(now_ns, error))

    def _stands_on(self, t_ns: int, error_deg: float) -> str:
        gyro = self._gyro_alive(t_ns)
        sight = self._sight_ns >= 0 and (t_ns - self._sight_ns) * 1e-9 < _FRESH_SIGHT_S
        if error_deg > _MOST_ERROR_DEG or not (gyro or sight) or self.contradicts:
            return NONE
        return BOTH if gyro and sight else GYRO if gyro else VISION

    def _gyro_alive(self, t_ns: int) -> bool:
        return self._gyro_ns >= 0 and (t_ns - self._gyro_ns) * 1e-9 < _FRESH_GYRO_S + RANGE_S

    def _begin(self, t_ns: np.ndarray, rate_dps: np.ndarray) -> None:
        """The first sample, or the first after a gap: the turn until then is not known."""
        start_ns = int(t_ns[0])
        if self._now_ns >= 0:
            self._filter.blind(max((start_ns - self._now_ns) * 1e-9, 0.0))
        self._history = TurnHistory(_SPAN_S + 2 * RANGE_S + 1)
        self._history.add(t_ns, rate_dps)
        self._compared_s = -1e9
        self._gyro_ns = start_ns
        self._now_ns = max(self._now_ns, start_ns)

    def _advance(self, turning: Turning) -> None:
        """Samples without a gap before or between them."""
        turning = turning.take(turning.t_ns > self._gyro_ns)
        if not len(turning):
            return
        history, start_s = self._history, self._history.end_s
        history.add(turning.t_ns, turning.rate_dps)
        t_s = history.seconds(turning.t_ns)
        steps = np.diff(t_s, prepend=start_s)
        seconds = float(t_s[-1] - start_s)
        start_deg, end_deg = history.turn_deg(np.array([start_s, t_s[-1]]))
        self._across_deg *= float(np.exp(-seconds / _ACROSS_S))
        self._across_deg += float(steps @ turning.across_dps)
        way_deg, more_deg2 = float(steps @ turning.along_dps), self._unseen_deg2 * seconds
        self._filter.turn(seconds, float(end_deg - start_deg), way_deg, more_deg2)
        self._gyro_ns = int(turning.t_ns[-1])
        self._now_ns = max(self._now_ns, self._gyro_ns)

    def _reached(self, t_ns: int) -> bool:
        """Whether the gyroscopes have come to the time of an angle of the camera."""
        s = float(self._history.seconds(np.array(t_ns))) - self.delay_s
        return s <= self._history.end_s

    def _correct(self, t_ns: int, degrees: float, sigma_deg: float) -> None:
        history = self._history
        s = float(history.seconds(np.array(t_ns))) - self.delay_s
        if s < history.start_s:
            return
        behind_s = history.end_s - s
        then, now = history.turn_deg(np.array([s, history.end_s]))
        predicted = self._filter.state[ANGLE] - (now - then) + self.bias_dps * behind_s
        rate = history.rate_dps(s) - self.bias_dps
        self._filter.see(degrees, sigma_deg, float(predicted), np.array([1, behind_s, -rate, 0.0]))

    def _alone(self, t_ns: int, degrees: float, sigma_deg: float) -> None:
        """Correct without gyroscopes."""
        if self._now_ns >= 0:
            self._filter.blind(max((t_ns - self._now_ns) * 1e-9, 0.0))
        self._now_ns = max(self._now_ns, t_ns)
        expected = float(self._filter.state[ANGLE])
        self._filter.see(degrees, sigma_deg, expected, np.array([1.0, 0, 0, 0]))

    def _compare(self) -> None:
        """Now and then, compare the camera to the gyroscopes to find the delay."""
        now_s = self._history.end_s
        if now_s - self._compared_s < _COMPARE_S or not self._seen:
            return
        self._compared_s = now_s
        table = np.array(self._seen, float)
        t_s = self._history.seconds(table[:, 0])
        recent = t_s > now_s - _SPAN_S
        found = find_delay(self._history, t_s[recent], table[recent, 1], table[recent, 2])
        self.delay = found or self.delay
        if found is None or not found.fits or found.error_s > _SURE_S:
            return
        known_s = float(np.sqrt(self._filter.covariance[DELAY, DELAY]))
        apart = abs(found.delay_s - self.delay_s)
        if not self._synced or apart > 4 * np.hypot(known_s, found.error_s) + 0.01:
            self._filter.set_delay(found.delay_s, max(found.error_s, 0.003))
            self._synced = True
