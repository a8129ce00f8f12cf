"""By how much a camera's angles are late, found by comparing them to the gyroscopes.

The camera's angle and the integrated rate, each without its mean and trend, are correlated over a
range of lags. This is the cross-correlation of both rates, with the weight on slow motion: a
derivative would amplify the camera's noise. A parabola refines the best lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from edge.people.fusion.turn_history import TurnHistory

RANGE_S = 0.3  # lags are within +- this
_STEP_S = 0.005
_LAGS_S = np.arange(-RANGE_S, RANGE_S + _STEP_S / 2, _STEP_S)
_FEWEST = 30  # angles of the camera
_LEAST_GAIN, _MOST_GAIN = 0.4, 1.8  # turn of the camera over that of the gyroscopes


@dataclass(frozen=True)
class Delay:
    """What the comparison gave."""

    delay_s: float  # camera times minus this = when it was
    error_s: float  # one standard deviation
    gain: float  # turn seen by the camera over that of the gyroscopes; about 1, < 0 = axis reversed

    @property
    def fits(self) -> bool:
        """Whether both saw the same motion."""
        return _LEAST_GAIN < self.gain < _MOST_GAIN


def find_delay(
    history: TurnHistory, t_s: np.ndarray, degrees: np.ndarray, sigma_deg: np.ndarray
) -> Optional[Delay]:
    """Compare angles of the camera to a history.

    Args:
        history: covers the camera's times, and RANGE_S before and after.
        t_s: [V] camera times in seconds of the history.
        degrees: [V] the camera's angles.
        sigma_deg: [V] their standard deviations.

    Returns:
        None: there are too few angles.
    """
    covered = (t_s - RANGE_S > history.start_s) & (t_s + RANGE_S < history.end_s)
    if covered.sum() < _FEWEST:
        return None
    t_s, degrees = t_s[covered], degrees[covered]
    weights = 1 / sigma_deg[covered] ** 2
    turns = history.turn_deg(t_s[None] - _LAGS_S[:, None])  # [L,V]
    seen = _detrended(degrees[None], t_s, weights)[0]
    turns = _detrended(turns, t_s, weights)
    power = (weights * turns**2).sum(1)
    gains = (weights * turns * seen).sum(1) / np.maximum(power, 1e-9)
    misses = (weights * seen**2).sum() - gains**2 * power  # weighted squares that remain
    # A reversed axis fits best with a negative gain; the best lag is the one of the least rest.
    best = int(np.argmin(misses))
    return _refined(misses, gains, best, len(t_s))


def _detrended(rows: np.ndarray, t_s: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rows [R,V] without their weighted mean and trend."""
    total = weights.sum()
    late = t_s - (weights * t_s).sum() / total
    flat = rows - (rows @ weights)[:, None] / total
    slope = (flat * weights) @ late / np.maximum((weights * late**2).sum(), 1e-9)
    return np.asarray(flat - slope[:, None] * late)


def _refined(misses: np.ndarray, gains: np.ndarray, best: int, count: int) -> Delay:
    gain = float(gains[best])
    if not 0 < best < len(misses) - 1:  # at the end of the range: it may lie outside
        return Delay(float(_LAGS_S[best]), RANGE_S, gain)
    left, here, right = misses[best - 1 : best + 2]
    curve = max(left - 2 * here + right, 1e-12)
    shift = 0.5 * (left - right) / curve
    # The squares are over their variances: half the second derivative is the information. Weights
    # that are too large or too small are corrected by the rest of the fit.
    spread = max(here / max(count - 4, 1), 1e-3)
    error_s = _STEP_S * np.sqrt(2 * spread / curve)
    return Delay(float(_LAGS_S[best] + shift * _STEP_S), float(error_s), gain)
