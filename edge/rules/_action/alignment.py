"""Which frame of a repetition belongs to which frame of the template."""

from __future__ import annotations

from typing import Tuple

import numpy as np


def align(costs: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The warping path of least cost from the first to the last frame of both.

    Args:
        costs: [T,M] f64 between frames of a repetition and of the template.

    Returns:
        Indices [L] of both along the path, in order.
    """
    sums = _sums(costs)
    i, j = len(costs) - 1, costs.shape[1] - 1
    path = [(i, j)]
    while i or j:
        choices = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        i, j = min((c for c in choices if min(c) >= 0), key=lambda c: sums[c])
        path.append((i, j))
    both = np.array(path[::-1])
    return both[:, 0], both[:, 1]


def _sums(costs: np.ndarray) -> np.ndarray:
    """Least sums [T,M] of the costs up to each pair of frames; rows at once, as in spring.step."""
    sums = np.empty_like(costs)
    sums[0] = np.cumsum(costs[0])
    for t in range(1, len(costs)):
        before = sums[t - 1]
        least = np.minimum(before, np.concatenate(([np.inf], before[:-1])))
        total = np.cumsum(costs[t])
        sums[t] = np.minimum.accumulate(least - (total - costs[t])) + total
    return sums
