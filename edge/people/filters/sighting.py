"""What filters of keypoints are given for one frame, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.structures import Rows

MISSING_H2 = 1e3  # variance of a measurement that is none
_LEAST_SCORE = 0.05
_SCORE_HALF_S = 0.14  # the score of a keypoint that is not seen halves in this time


@dataclass
class Sighting:
    """The measurements of one frame. N people, K keypoints of one filter."""

    points: np.ndarray  # [N,K,2] px
    scores: np.ndarray  # [N,K]; 0 = missing
    heights_px: np.ndarray  # [N,1]
    dt_s: np.ndarray  # [N,1] since the frame before; 0 = a new person

    def take(self, which: Rows) -> Sighting:
        """The keypoints of these indices, or of a slice (views in that case)."""
        return Sighting(self.points[:, which], self.scores[:, which], self.heights_px, self.dt_s)

    def noise_h2(self, deviation: float) -> np.ndarray:
        """Variance [N,K] H² of the measurements: `deviation` H at score 1, more at lower scores."""
        noise = np.square(np.float32(deviation) / np.clip(self.scores, _LEAST_SCORE, 1))
        return np.where(self.scores > 0, noise, np.float32(MISSING_H2))


@dataclass
class Filtered:
    """The answer of a filter for one frame, and what it had expected."""

    points: np.ndarray  # [N,K,2] px
    scores: np.ndarray  # [N,K]
    predicted: np.ndarray  # [N,K,2] px
    speed: np.ndarray  # [N,K,2] px/s, predicted
    variance_h2: np.ndarray  # [N,K] expected of measured - predicted, in each direction
    known: np.ndarray  # [N,K] bool, whether there was a prediction
    belief: np.ndarray  # [N,K] probability that the measurement is no outlier; 0 if missing


class KeypointFilter(Protocol):
    """Filters all keypoints of all people of one camera; each person has a row."""

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""

    def step(self, seen: Sighting) -> Filtered:
        """Predict and update the first N people, those of a frame."""


class Sureness:
    """The published score of each keypoint, and how long it has not been seen. [N,K] each."""

    def __init__(self, keypoints: int) -> None:
        self.scores = np.zeros((0, keypoints), np.float32)
        self.unseen_s = np.zeros((0, keypoints), np.float32)

    def move(self, source: np.ndarray, new: np.ndarray) -> None:
        """Make row i of row source[i]; rows of the mask `new` begin."""
        self.scores, self.unseen_s = moved(self.scores, source), moved(self.unseen_s, source)
        self.scores[new], self.unseen_s[new] = 0, np.inf

    def known(self, n: int) -> np.ndarray:
        """Whether the filters of the first n people have begun, [n,K] bool."""
        return np.isfinite(self.unseen_s[:n])

    def note(
        self, seen: Sighting, taken: np.ndarray, min_score: float, coast_s: float
    ) -> np.ndarray:
        """Note which measurements were believed.

        Args:
            seen: the frame.
            taken: [N,K] bool.
            min_score: a keypoint measured with a lower score keeps its earlier score, which falls,
                and begins no filter.
            coast_s: a filter without a believed measurement for longer ends.

        Returns:
            Keypoints whose filter ended, [N,K] bool.
        """
        n = len(taken)
        scores, unseen_s = self.scores[:n], self.unseen_s[:n]
        sure = taken & (seen.scores > min_score)
        taken = sure | (taken & np.isfinite(unseen_s))
        falling = np.maximum(scores * np.exp2(-seen.dt_s / _SCORE_HALF_S), taken * seen.scores)
        scores[:] = np.where(sure, seen.scores, falling)
        unseen_s[:] = np.where(taken, 0, unseen_s + seen.dt_s)
        ended = unseen_s > coast_s
        unseen_s[ended], scores[ended] = np.inf, 0
        return np.asarray(ended)

    def published(self, seen: Sighting) -> np.ndarray:
        """The scores to publish [N,K]: those measured where a filter has not begun."""
        n = len(seen.scores)
        return np.where(self.known(n), self.scores[:n], seen.scores)


def moved(rows: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Rows [M,...] of an array [N,...] by index, in a new array; anything for an index of -1."""
    if not len(rows):
        return np.zeros((len(source), *rows.shape[1:]), rows.dtype)
    return rows[source]
