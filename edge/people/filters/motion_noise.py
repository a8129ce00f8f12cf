"""What white acceleration does to a keypoint whose velocity decays, during a step of any length."""

from __future__ import annotations

from typing import Tuple

import numpy as np

DECAY_HZ = 6.0  # a limb's velocity, relative to the body's, falls to 1/e in 1 / DECAY_HZ
ACCELERATION_S = 1 / 30  # accelerations are constant for this time: density q² ACCELERATION_S


def transition(dt_s: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The share of a velocity that is left after a step, and the way that it made, in s."""
    keep = np.exp(-np.float32(DECAY_HZ) * dt_s)
    return keep, (1 - keep) / np.float32(DECAY_HZ)


def spread(dt_s: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variance of the position, covariance, variance of the velocity, for a density of 1.

    The velocity is an Ornstein-Uhlenbeck process, so a step of .2 s and twelve of a twelfth give
    the same (Bar-Shalom, Li and Kirubarajan 2001, section 8.2, with the acceleration as white).
    """
    rate, dt = DECAY_HZ, dt_s.astype(np.float64)
    gone, gone_twice = -np.expm1(-rate * dt), -np.expm1(-2 * rate * dt)
    place = (dt - 2 * gone / rate + gone_twice / (2 * rate)) / rate**2
    both = np.square(gone / rate) / 2
    parts = np.maximum(place, 0), both, gone_twice / (2 * rate)
    return parts[0].astype(np.float32), parts[1].astype(np.float32), parts[2].astype(np.float32)
