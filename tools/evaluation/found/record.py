"""Predictions of the pictures of a data set, in its keypoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Sequence

import numpy as np

from edge.structures import Poses
from tools.evaluation import point_sets
from tools.evaluation.point_sets import PointSet


@dataclass(frozen=True, eq=False)
class Seen:
    """The people that were found in one picture."""

    keypoints: np.ndarray  # [N,K,2] px
    scores: np.ndarray  # [N,K]; 0 = missing
    person_scores: np.ndarray  # [N]
    boxes: np.ndarray  # [N,4] x1 y1 x2 y2 px
    ids: np.ndarray  # [N] i64, -1 = none
    t_ns: int = -1  # of the frame; -1 = a picture alone

    def __len__(self) -> int:
        """The number of people, N."""
        return len(self.boxes)


@dataclass(frozen=True, eq=False)
class Found:
    """Predictions of a data set."""

    name: str  # what made them, for people
    given: np.ndarray  # [K] bool: the keypoints that such predictions can have
    pictures: Dict[str, Seen]  # key of the picture -> its people
    notes: List[str] = field(default_factory=list)

    def of(self, key: str) -> Seen:
        """The people of a picture; nobody if there is no prediction of it."""
        return self.pictures.get(key) or nobody(len(self.given))


def nobody(count: int) -> Seen:
    """A picture in which nobody was found, for a set of `count` keypoints."""
    none = np.zeros(0)
    return Seen(
        np.zeros((0, count, 2)), np.zeros((0, count)), none, np.zeros((0, 4)), none.astype(np.int64)
    )


class Translation:
    """Brings predictions of one keypoint set into that of a data set."""

    def __init__(self, points: PointSet, predicted: Sequence[str]) -> None:
        pairs = point_sets.sources(points, predicted)
        self.given = np.asarray((pairs >= 0).all(1))
        self._first, self._second = np.maximum(pairs, 0).T

    def __call__(self, poses: Poses, t_ns: int = -1) -> Seen:
        """One frame's people, copied."""
        points = poses.keypoints.astype(np.float64)
        scores = poses.scores.astype(np.float64)
        middle = (points[:, self._first] + points[:, self._second]) / 2
        low = np.minimum(scores[:, self._first], scores[:, self._second]) * self.given
        return Seen(
            middle * (low > 0)[..., None],
            low,
            poses.person_scores.astype(np.float64),
            poses.boxes.astype(np.float64),
            poses.ids.copy(),
            t_ns,
        )
