"""An error-state Kalman filter of a joint angle, the gyroscopes' bias, and the camera's delay.

The gyroscopes carry the nominal angle; the filter estimates the errors of four quantities: angle
(deg), bias (deg/s), delay of the camera (s), and its drift (s/s). An angle of the camera belongs to
an earlier time: with the integral G of the rate and the bias b, the angle was then

    angle(s) = angle(now) - (G(now) - G(s)) + b (now - s),     s = camera's time - delay

so that a late measurement corrects the present without repeating the steps since then. Its
derivatives: 1 by the angle, now - s by the bias, and minus the rate at s by the delay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ANGLE, BIAS, DELAY, DRIFT = range(4)


@dataclass(frozen=True)
class FilterNoise:
    """What the filter expects; standard deviations."""

    bias_dps: float = 3.0  # of the gyroscopes before anything is known
    delay_s: float = 0.08  # of the camera's delay from the given one
    drift: float = 2e-4  # of the camera's clock against the sensors'
    turn_deg: float = 0.15  # growth of the angle's error in one second at rest
    # Variance of the angle, in deg^2, for each degree that the limbs turn about the joint's axis:
    # errors of scale.
    along: float = 0.0003
    bias_walk_dps: float = 0.02  # growth of the bias in one second
    delay_walk_s: float = 0.0005  # growth of the delay in one second
    blind_deg: float = 60.0  # growth of the angle's error in one second without gyroscopes
    least_sight_deg: float = 2.0  # of an angle of the camera, whatever it says itself
    gate: float = 9.0  # squared innovation over its variance; beyond, the camera counts less


class AngleFilter:
    """The filter of one joint.

    Args:
        noise: what it expects.
        delay_s: of the camera, before it is measured.
    """

    def __init__(self, noise: FilterNoise, delay_s: float) -> None:
        self._noise = noise
        self.state = np.array([np.nan, 0.0, delay_s, 0.0])
        self.covariance = np.diag(
            [1e4, noise.bias_dps**2, noise.delay_s**2, noise.drift**2]
        )  # [4,4]
        self._far = 0  # measurements in a row far beyond the gate

    @property
    def ready(self) -> bool:
        """Whether an angle is known at all."""
        return bool(np.isfinite(self.state[ANGLE]))

    @property
    def error_deg(self) -> float:
        """One standard deviation of the angle."""
        return float(np.sqrt(self.covariance[ANGLE, ANGLE]))

    def turn(self, seconds: float, turn_deg: float, way_deg: float, more_deg2: float = 0.0) -> None:
        """Move on by gyroscopes.

        Args:
            seconds: since the last step.
            turn_deg: integral of the rate.
            way_deg: how far the limbs turned about the joint's axis, to and fro.
            more_deg2: variance of what the gyroscopes do not see.
        """
        noise = self._noise
        scale_deg2 = noise.along * way_deg
        self._move(seconds, noise.turn_deg**2 * seconds + scale_deg2 + more_deg2)
        self.state[ANGLE] += turn_deg - self.state[BIAS] * seconds

    def blind(self, seconds: float) -> None:
        """Move on without gyroscopes: the angle stays, and its error grows."""
        self._move(seconds, self.blind_deg2(seconds))

    def blind_deg2(self, seconds: float) -> float:
        """Variance of the turn in a time without gyroscopes."""
        return self._noise.blind_deg**2 * seconds

    def see(
        self, degrees: float, sigma_deg: float, predicted_deg: float, jacobian: np.ndarray
    ) -> None:
        """Correct by an angle of the camera.

        Args:
            degrees: the angle.
            sigma_deg: its standard deviation.
            predicted_deg: what the filter expects at that time.
            jacobian: [4] derivatives of it by the states.
        """
        variance = max(sigma_deg, self._noise.least_sight_deg) ** 2
        if not self.ready:
            self.state[ANGLE] = degrees
            self.covariance[ANGLE, ANGLE] = variance
            return
        p = self.covariance
        miss = degrees - predicted_deg
        spread = float(jacobian @ p @ jacobian) + variance
        far = miss * miss / spread / self._noise.gate
        if far > 1:
            variance *= far * far
            self._far += 1
            if self._far >= 10:  # the filter is wrong, not the camera
                p[ANGLE, ANGLE] += miss * miss
                self._far = 0
        else:
            self._far = 0
        spread = float(jacobian @ p @ jacobian) + variance
        gain = p @ jacobian / spread
        self.state += gain * miss
        keep = np.eye(4) - np.outer(gain, jacobian)  # Joseph's form keeps it positive
        self.covariance = keep @ p @ keep.T + variance * np.outer(gain, gain)

    def set_delay(self, delay_s: float, error_s: float) -> None:
        """Take a delay that was found by correlation; what else is known stays."""
        p = self.covariance
        p[DELAY, :] = p[:, DELAY] = 0.0
        p[DELAY, DELAY] = error_s**2
        self.state[DELAY] = delay_s

    def _move(self, seconds: float, angle_deg2: float) -> None:
        noise, move = self._noise, np.eye(4)
        move[ANGLE, BIAS] = -seconds
        move[DELAY, DRIFT] = seconds
        self.state[DELAY] += self.state[DRIFT] * seconds
        p = move @ self.covariance @ move.T
        p[ANGLE, ANGLE] += angle_deg2
        p[BIAS, BIAS] += noise.bias_walk_dps**2 * seconds
        p[DELAY, DELAY] += noise.delay_walk_s**2 * seconds
        self.covariance = p
