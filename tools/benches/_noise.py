"""The noise that a pose network is given in the benches of motion.

A keypoint's error is normal with a deviation of NOISE_H / score in each direction, in heights of
the person; one in fifty is an outlier of OUTLIER_H in any direction; a keypoint is lost now and
then for LOST frames, with a score of LOST_SCORE and the error that belongs to it.
"""

from __future__ import annotations

from typing import Tuple, Union

import numpy as np

NOISE_H = 0.008
SCORES = (0.4, 1.0)  # of a keypoint that is seen, drawn evenly
OUTLIERS, OUTLIER_H = 0.02, 0.15
LOST, LOST_SCORE = (2, 8), 0.1
LOSSES_A_SECOND = 0.1  # of a keypoint
STATED = (
    f"noise {NOISE_H} H / score, scores {SCORES[0]} to {SCORES[1]}, {OUTLIERS:.0%} outliers of "
    f"{OUTLIER_H} H, a keypoint lost for {LOST[0]} to {LOST[1]} frames once in "
    f"{1 / LOSSES_A_SECOND:g} s at score {LOST_SCORE}"
)


def measured(
    truth: np.ndarray,
    height_px: np.ndarray,
    rate_hz: Union[float, np.ndarray],
    rng: np.random.Generator,
    strength: float = 1.0,
) -> Tuple[np.ndarray, np.ndarray]:
    """What a network would have seen.

    Args:
        truth: [T,N,K,2] px.
        height_px: [N].
        rate_hz: of the frames, or [T,1,1] at each.
        rng: of the noise.
        strength: times the deviation, and how often there are outliers and losses.

    Returns:
        Keypoints [T,N,K,2] px and scores [T,N,K].
    """
    shape = truth.shape[:3]
    scores = rng.uniform(*SCORES, shape)
    lost = _lost(shape, rate_hz, rng, strength)
    scores[lost] = LOST_SCORE
    spread = strength * NOISE_H / scores * height_px[:, None]
    off = rng.normal(0, 1, truth.shape) * spread[..., None]
    wild = (rng.random(shape) < OUTLIERS * strength) & ~lost
    angle = rng.uniform(0, 2 * np.pi, shape)
    throw = OUTLIER_H * height_px[:, None, None] * np.stack((np.cos(angle), np.sin(angle)), -1)
    return truth + off + wild[..., None] * throw, scores


def _lost(
    shape: Tuple[int, ...],
    rate_hz: Union[float, np.ndarray],
    rng: np.random.Generator,
    strength: float,
) -> np.ndarray:
    """Which keypoints are lost, in runs [T,N,K]."""
    begins = rng.random(shape) < strength * LOSSES_A_SECOND / rate_hz
    lengths = rng.integers(LOST[0], LOST[1] + 1, shape)
    left, out = np.zeros(shape[1:], np.int64), np.zeros(shape, bool)
    for t in range(shape[0]):
        left = np.maximum(left - 1, begins[t] * lengths[t])
        out[t] = left > 0
    return out
