"""A constant-velocity Kalman filter for each keypoint in the room.

The three axes share one covariance (m²). The process noise is white acceleration. A measurement
that is too far off is rejected, and the gate widens; after a while the keypoint starts again.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

_ACCELERATION = 25.0  # m/s², standard deviation: a fast arm
_START_SPEED = 4.0  # m/s
_NOISE_M = 0.012  # of a point from two views that agree
_GATE = 16.0  # chi-square of three degrees of freedom: 99.9 %
_WIDEN = 0.2  # share of a rejected measurement's squared distance that is added to the variance
_COAST_S = 0.25  # a keypoint without a measurement is predicted this long
_SLOWER_S = 0.1  # a predicted keypoint loses half of its speed in this time
_UNKNOWN = 1e6  # m²
_SCORE_HALF_S = 0.1

# Planes of the state: x y z, their speeds, covariance, score, s since a measurement.
X, V, P00, P01, P11, SCORE, UNSEEN_S, PLANES = 0, 3, 6, 7, 8, 9, 10, 11


def fresh(n: int, k: int) -> np.ndarray:
    """States [PLANES,N,K] of keypoints of which nothing is known."""
    state = np.zeros((PLANES, n, k))
    state[P00] = _UNKNOWN
    state[P11] = _START_SPEED**2
    state[UNSEEN_S] = np.inf
    return state


def known(state: np.ndarray) -> np.ndarray:
    """[N,K] bool: the keypoint has a position."""
    return np.asarray(state[UNSEEN_S] <= _COAST_S)


def points(state: np.ndarray) -> np.ndarray:
    """[N,K,3] m."""
    return np.moveaxis(state[X : X + 3], 0, -1)


def predict(state: np.ndarray, dt_s: float) -> np.ndarray:
    """A new state, a time later."""
    after = state.copy()
    coasting = state[UNSEEN_S] > 0
    slower = np.where(coasting, 0.5 ** (dt_s / _SLOWER_S), 1.0)
    after[V : V + 3] *= slower
    after[X : X + 3] += dt_s * after[V : V + 3]
    q = _ACCELERATION**2 * min(dt_s, 1 / 15)
    after[P00] += dt_s * (2 * state[P01] + dt_s * state[P11]) + q * dt_s**3 / 3
    after[P01] += dt_s * state[P11] + q * dt_s**2 / 2
    after[P11] += q * dt_s
    after[P00] = np.minimum(after[P00], _UNKNOWN)
    after[UNSEEN_S] += dt_s
    lost = after[UNSEEN_S] > _COAST_S
    return np.where(lost, fresh(*lost.shape), after)


def correct(
    state: np.ndarray, measured: np.ndarray, scores: np.ndarray, views: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Use measurements.

    Args:
        state: [PLANES,N,K], predicted.
        measured: [N,K,3] m; NaN = none.
        scores: [N,K] 0..1 of the measurements.
        views: [N,K] number of cameras that a measurement stands on.

    Returns:
        The state, and which measurements were used [N,K].
    """
    there = np.isfinite(measured).all(-1)
    off = np.where(there, np.moveaxis(measured, -1, 0) - state[X : X + 3], 0.0)
    noise = _NOISE_M**2 / np.maximum(views - 1, 1) / np.maximum(scores, 0.1)
    total = state[P00] + noise
    far2 = (off * off).sum(0)
    used = there & (far2 <= _GATE * total)
    gain_x = np.where(used, state[P00] / total, 0.0)
    gain_v = np.where(used, state[P01] / total, 0.0)
    after = state.copy()
    after[X : X + 3] += gain_x * off
    after[V : V + 3] += gain_v * off
    after[P00] = (1 - gain_x) * state[P00]
    after[P01] = (1 - gain_x) * state[P01]
    after[P11] = state[P11] - gain_v * state[P01]
    after[P00] += np.where(there & ~used, _WIDEN * far2, 0.0)
    after[SCORE] = np.where(used, scores, state[SCORE])
    after[UNSEEN_S] = np.where(used, 0.0, state[UNSEEN_S])
    return after, used


def shown_scores(state: np.ndarray) -> np.ndarray:
    """Scores [N,K] 0..1; a predicted keypoint's falls, an unknown one's is 0."""
    unseen = np.where(known(state), state[UNSEEN_S], 0.0)
    return np.where(known(state), state[SCORE] * 0.5 ** (unseen / _SCORE_HALF_S), 0.0)
