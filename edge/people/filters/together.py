"""How the keypoints of a body accelerate together: the process noise of the body filter.

The face moves as one, a wrist with its elbow, an ankle with its knee. So a prediction that is wrong
for one keypoint is wrong for its neighbours in a known way, and each measurement improves the
neighbours too. The table was fitted to the tuning clips of motion capture, seen from nine sides and
mirrored: the covariance of what a keypoint does within .1 s beyond its decaying velocity
(tools/benches/_together.py makes it again).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# COCO's keypoints: deviation of the acceleration as a share of `smooth.q`, and correlations in
# percent, the lower triangle of a symmetric table.
_DEVIATIONS = "1.08 1.09 1.09 1.01 1.01 .85 .85 1.38 1.38 1.96 1.96 .63 .63 .91 .91 1.41 1.41"
_CORRELATIONS = """
    100
    100 100
    100 99 100
    96 98 96 100
    96 96 98 94 100
    82 84 79 90 78 100
    82 79 84 78 90 63 100
    46 49 42 55 38 70 24 100
    46 42 49 38 55 24 70 -3 100
    31 33 27 39 22 54 11 91 -13 100
    31 27 33 22 39 11 54 -13 91 -19 100
    41 40 38 44 40 62 46 43 26 31 16 100
    41 38 40 40 44 46 62 26 43 16 31 86 100
    19 18 18 20 18 29 20 16 17 12 14 51 39 100
    19 18 18 18 20 20 29 17 16 14 12 39 51 28 100
    5 5 5 7 6 12 9 1 9 2 8 28 23 66 8 100
    5 5 5 6 7 9 12 9 1 8 2 23 28 8 66 5 100
"""
# Added to the diagonal, so that the rounded table stays positive definite. It also leaves each
# keypoint some motion of its own, as keypoints of rigid parts have when a network is unsure.
_OWN = 0.01


@lru_cache(maxsize=None)
def covariance() -> np.ndarray:
    """Covariance [17,17] f64 of the accelerations of COCO's keypoints, for `smooth.q` = 1 H/s²."""
    rows = [np.array(line.split(), float) / 100 for line in _CORRELATIONS.strip().split("\n")]
    table = _OWN * np.eye(len(rows))
    for i, row in enumerate(rows):
        table[i, :i] += row[:i]
        table[:i, i] += row[:i]
        table[i, i] += row[i]
    deviations = np.array(_DEVIATIONS.split(), float)
    found: np.ndarray = table * np.outer(deviations, deviations)
    found.setflags(write=False)
    return found
