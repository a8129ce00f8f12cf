"""Scores as probabilities: maps that were fitted to labelled people, one for each model.

The score of a network is no probability: MoveNet's people have .2 to .5, BlazePose's .99. A map
from the recipe turns it into the share of people with such a score whose pose is right (OKS of .5
or more). Then one threshold of the tracker or the publisher means the same for every model.
"""

from __future__ import annotations

from typing import List

import numpy as np


class ScoreMap:
    """A rising, piecewise linear map of scores 0..1; without points, scores stay as they are.

    Args:
        points: pairs of a network's score and a probability, both rising, checked by
            `edge.recipe`.
    """

    def __init__(self, points: List[List[float]]) -> None:
        self._scores = np.array([p[0] for p in points], np.float64)
        self._told = np.array([p[1] for p in points], np.float64)

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return len(self._scores) > 0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores of any shape, f32; the given array if there is no map."""
        if not self:
            return scores
        return np.interp(scores, self._scores, self._told).astype(np.float32)

    def least(self, told: float) -> float:
        """The least score of a network that becomes at least a probability."""
        return float(np.interp(told, self._told, self._scores)) if self else told
