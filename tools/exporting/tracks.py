"""The path of each person as rows of markers at a constant rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Tuple

import numpy as np

from edge.errors import DataError
from tools.exporting.markers import markers
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline

_SAME = 0.02  # of a period: nearer to a frame than this, its points are taken as they are
_GAP = 1.6  # periods without a frame: nothing is interpolated over a longer time
MM_PER_PX = 1e-3  # a picture has no lengths: 1 px is written as 1 mm


@dataclass
class Path3d:
    """What is known of one person so far."""

    skeleton: str
    names: List[str]
    next: int = -1  # number of the next row; -1 = none yet
    x: float = 0.0  # time of the last frame, in periods
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))


class Tracks:
    """Turns frames into rows.

    Args:
        timeline: gives the rate.
        y_up: whether the y axis of scenes points up already; else z does, and x y z become y z x.
    """

    def __init__(self, timeline: Timeline, y_up: bool) -> None:
        self._timeline, self._y_up = timeline, y_up
        self.paths: Dict[str, Path3d] = {}

    def rows(self, sight: Sight) -> Iterator[Tuple[str, int, np.ndarray]]:
        """The rows that a frame completes.

        Yields:
            The name of the path, the number of the row, and its markers [M,3] f64 in m with y up;
            NaN = missing. Rows of a path rise; gaps are left out.

        Raises:
            DataError: a person changes the skeleton.
        """
        self._timeline.number(sight)
        x = self._timeline.exactly(sight)
        names, first, second = markers(sight.skeleton)
        points = _placed(sight, self._y_up)
        points = (points[:, first] + points[:, second]) / 2
        for who, now in zip(sight.ids.tolist(), points):
            name = f"{self._timeline.label(sight)}_person{who}"
            path = self.paths.setdefault(name, Path3d(sight.skeleton, names))
            if path.skeleton != sight.skeleton:
                raise DataError(f"{name}: its keypoints change; give --skeleton NAME")
            for number, row in _between(path, x, now):
                yield name, number, row
            path.x, path.points = x, now


def _between(path: Path3d, x: float, now: np.ndarray) -> Iterator[Tuple[int, np.ndarray]]:
    """The rows from the last frame of a path to the one at x."""
    last = math.floor(x + _SAME)
    if path.next < 0 or x - path.x > _GAP:
        nearest = round(x)
        if nearest >= path.next:
            path.next = nearest + 1
            yield nearest, now
        return
    for number in range(path.next, last + 1):
        share = (number - path.x) / (x - path.x)
        path.next = number + 1
        if share > 1 - _SAME:
            yield number, now
        elif share < _SAME:
            yield number, path.points
        else:
            yield number, path.points + share * (now - path.points)


def _placed(sight: Sight, y_up: bool) -> np.ndarray:
    """Points [N,K,3] f64 in m, y up; NaN where they are missing."""
    points = sight.points.astype(np.float64)
    if not sight.in_space:
        height = sight.size[1]
        flat = np.stack((points[..., 0], height - points[..., 1], 0 * points[..., 0]), -1)
        points = flat * MM_PER_PX
    elif not y_up:
        points = points[..., [1, 2, 0]]
    return np.where(sight.scores[..., None] > 0, points, np.nan)
