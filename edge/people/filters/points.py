"""A Kalman filter for each keypoint alone: position and velocity, x and y share one covariance.

For keypoints that no table couples: feet, faces, hands. Their velocities are those of the body,
which stays, and their own, which decays.
"""

from __future__ import annotations

import numpy as np

from edge.geometry import as_complex, as_pairs
from edge.people.filters.body import LEAD_S, REJECTED_SHARE, UNKNOWN_H2
from edge.people.filters.doubt import BELIEVED, doubted
from edge.people.filters.motion_noise import ACCELERATION_S, spread, transition
from edge.people.filters.sighting import Filtered, Sighting, Sureness, moved
from edge.settings.config import Smooth

_START_H_S = 4.0  # standard deviation of the speed of a new keypoint
# Planes of the covariance [3,N,K]: position H², position and velocity H²/s, velocity H²/s².
_P00, _P01, _P11 = 0, 1, 2


class PointFilter:
    """Filters single keypoints of all people of one camera. Rows are moved by `move`."""

    def __init__(self, options: Smooth, keypoints: int) -> None:
        self._options = options
        self._places = np.zeros((0, keypoints), np.complex64)  # px, x + iy
        self._speeds = np.zeros((0, keypoints), np.complex64)  # px/s
        self._p = [np.zeros((0, keypoints), np.float32) for _ in range(3)]
        self._sure = Sureness(keypoints)

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        new = source < 0
        self._places, self._speeds = moved(self._places, source), moved(self._speeds, source)
        self._p = [moved(plane, source) for plane in self._p]
        self._sure.move(source, new)
        self._speeds[new] = 0
        for plane, value in zip(self._p, (UNKNOWN_H2, 0, _START_H_S**2)):
            plane[new] = value

    def step(self, seen: Sighting, body_speed: np.ndarray) -> Filtered:
        """Predict and update the first N people, those of a frame.

        Args:
            seen: the measurements.
            body_speed: [N,1,2] px/s, the velocity that stays.
        """
        n = len(seen.points)
        measured = as_complex(seen.points)
        places, speeds = self._places[:n], self._speeds[:n]
        p00, p01, p11 = (plane[:n] for plane in self._p)
        self._predict(places, speeds, as_complex(body_speed), seen.dt_s)
        known = self._sure.known(n)
        np.copyto(places, measured, where=~known)
        predicted, speed = places.copy(), speeds.copy()
        noise_h2 = seen.noise_h2(self._options.r)
        variance = p00 + noise_h2
        off = (measured - places) * (seen.scores > 0)
        distance_h2 = (off.real**2 + off.imag**2) / np.square(seen.heights_px)
        belief, weighed_h2 = doubted(distance_h2, p00, noise_h2, self._options.gate)
        belief *= seen.scores > 0
        taken = belief > BELIEVED
        k0, k1 = p00 / (p00 + weighed_h2), p01 / (p00 + weighed_h2)
        places += k0 * off
        speeds += k1 * off
        _joseph(p00, p01, p11, k0, k1, weighed_h2)
        p00 += (~taken & (seen.scores > self._options.min_score)) * (
            np.float32(REJECTED_SHARE) * distance_h2
        )
        ended = self._sure.note(seen, taken, self._options.min_score, self._options.coast_s)
        self._restart(ended, speeds)
        shown = places + speeds * (np.float32(LEAD_S) * (taken & known))
        np.copyto(shown, measured, where=~self._sure.known(n))
        scores = self._sure.published(seen)
        return Filtered(
            as_pairs(shown), scores, as_pairs(predicted), as_pairs(speed), variance, known, belief
        )

    def _predict(
        self, places: np.ndarray, speeds: np.ndarray, body: np.ndarray, dt: np.ndarray
    ) -> None:
        """Move positions by velocities, and add the process noise."""
        p00, p01, p11 = (plane[: len(places)] for plane in self._p)
        q = np.float32(self._options.q**2 * ACCELERATION_S)
        keep, reach = transition(dt)
        place, both, speed = (q * part for part in spread(dt))
        own = speeds - body
        places += own * reach + body * dt
        speeds -= own * (1 - keep)
        p00 += (2 * p01 + p11 * reach) * reach + place
        p01[:] = (p01 + p11 * reach) * keep + both
        p11[:] = p11 * keep**2 + speed

    def _restart(self, ended: np.ndarray, speeds: np.ndarray) -> None:
        """Forget keypoints [N,K] whose filter ended."""
        if ended.any():
            speeds *= ~ended
            for plane, value in zip(self._p, (UNKNOWN_H2, 0, _START_H_S**2)):
                plane[: len(ended)][ended] = value


def _joseph(
    p00: np.ndarray,
    p01: np.ndarray,
    p11: np.ndarray,
    k0: np.ndarray,
    k1: np.ndarray,
    noise_h2: np.ndarray,
) -> None:
    """Kalman's update of the covariance in Joseph's form, for a measured position; in place."""
    total, rest = p00 + noise_h2, 1 - k0
    late = rest * (p01 - k1 * p00) + k0 * k1 * noise_h2
    p11 += k1 * (k1 * total - 2 * p01)
    p00[:] = rest * rest * p00 + k0 * k0 * noise_h2
    p01[:] = late
