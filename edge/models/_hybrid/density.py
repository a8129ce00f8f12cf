"""Chooses whether a camera's frames are looked at in tiles: by its people, and by the cost.

A one-stage network may give a few people only (MoveNet: six), and it misses small ones. Tiles cost
an execution each. So they are for pictures with many or small people, and there are fewer tiles
than people: then a look costs less than the poses of these people until the next look.

The level (an index of `tiles.ZOOMS`) changes when the pictures have asked for it for a while. It is
given up later, and at other numbers, than it was chosen, so that a real change of the
picture switches once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from edge import geometry
from edge.settings.sections import Crowd
from edge.structures import Detections

_UP_NS, _BACK_NS = 300_000_000, 3_000_000_000
# For each level but the first: least people, largest median height of people in px of the input.
# While the level lasts, the second pair counts.
_CHOSEN = ((6, 90.0), (12, 55.0))
_KEPT = ((5, 110.0), (10, 68.0))
# Where people hide each other (crowding), so many fewer of them are enough.
_CROWDING, _FEWER = 0.3, 2
_COST_KEPT = 2.0  # a level is given up if it costs this many times the limit
_GAIN = 0.1  # of one look in the mean time of a crop


@dataclass(frozen=True)
class Sight:
    """What a look found at one camera."""

    people: int
    height: float  # median, px of the network's input when it is shown the whole frame; 0 = nobody
    crowding: float  # 0..1, see `crowding`

    @staticmethod
    def of(found: Detections, scale: float) -> Sight:
        """The sight of people; `scale` is px of the input per px of the frame."""
        if not len(found):
            return Sight(0, 0.0, 0.0)
        heights = found.boxes[:, 3] - found.boxes[:, 1]
        return Sight(len(found), float(np.median(heights)) * scale, crowding(found.boxes))


def crowding(boxes: np.ndarray) -> float:
    """Mean share 0..1 of a box [N,4] that the others cover; an estimate of CrowdPose's index.

    CrowdPose (Li et al., CVPR 2019) counts the joints of others in a person's box. Boxes are known
    before joints, so areas take their place.
    """
    if len(boxes) < 2:
        return 0.0
    areas = geometry.areas_of(boxes)
    overlap = geometry.iou(boxes, boxes)
    shared = overlap * (areas[:, None] + areas) / (1 + overlap)
    np.fill_diagonal(shared, 0)
    return float(np.minimum(shared.sum(1) / np.maximum(areas, 1e-6), 1).mean())


@dataclass
class Density:
    """One camera: its level and when another was first asked for."""

    level: int = 0
    changes: int = 0
    tiles: int = 0  # of the level
    begun: bool = False
    wanted: int = 0
    since_ns: int = 0

    def update(
        self, sight: Sight, t_ns: int, tiles: Sequence[int], crop_ms: float, limits: Crowd
    ) -> None:
        """Note a look and choose the level of the next one.

        Args:
            sight: what it found.
            t_ns: time of the frame.
            tiles: number of tiles of each level.
            crop_ms: mean time of one crop of a look; 0 = unknown.
            limits: of the operator.
        """
        wanted = self._wanted(sight, tiles, crop_ms, limits)
        if not self.begun:  # nothing is known of the camera before
            self.begun, self.level, self.changes = True, wanted, int(wanted > 0)
        if (wanted > self.level) != (self.wanted > self.level) or wanted == self.level:
            self.since_ns = t_ns
        self.wanted = wanted
        wait_ns = _UP_NS if wanted > self.level else _BACK_NS
        if wanted != self.level and t_ns - self.since_ns >= wait_ns:
            self.level, self.since_ns = wanted, t_ns
            self.changes += 1
        self.tiles = tiles[self.level]

    def _wanted(self, sight: Sight, tiles: Sequence[int], crop_ms: float, limits: Crowd) -> int:
        crowded = sight.crowding >= _CROWDING * (0.5 if self.level else 1)
        people = sight.people + _FEWER * crowded
        for level in range(len(_CHOSEN), 0, -1):
            kept = level <= self.level
            least, height = (_KEPT if kept else _CHOSEN)[level - 1]
            many = tiles[level]
            longest_ms = limits.look_ms * (_COST_KEPT if kept else 1)
            pays = many <= limits.tiles and many < sight.people
            pays &= (1 + many) * crop_ms <= longest_ms
            if pays and sight.people and (people >= least or sight.height < height):
                return level
        return 0


def mean_of(before: float, now: float) -> float:
    """The moving mean of a time; `before` is 0 if none was measured."""
    return before + _GAIN * (now - before) if before else now
