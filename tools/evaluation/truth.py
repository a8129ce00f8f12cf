"""Labelled data as every reader gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tools.evaluation.point_sets import PointSet

AREA_OF_BOX = 0.53  # a person's area over that of the box, where a file gives no area (mmpose)
_MARGIN = 0.125  # by which a box around points alone is larger on each side


@dataclass(frozen=True, eq=False)
class People:
    """The labelled people of one picture."""

    keypoints: np.ndarray  # [G,K,2] px
    visible: np.ndarray  # [G,K] u8: 0 not labelled, 1 hidden, 2 visible
    boxes: np.ndarray  # [G,4] x1 y1 x2 y2 px
    areas: np.ndarray  # [G] px²
    crowd: np.ndarray  # [G] bool: a crowd, not one person
    ids: np.ndarray  # [G] i64 of the track, -1 = none

    def __len__(self) -> int:
        """The number of people, G."""
        return len(self.boxes)

    @property
    def labelled(self) -> np.ndarray:
        """[G,K] bool."""
        return self.visible > 0


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture or frame of a video."""

    key: str  # as result files name it: COCO's image id
    file: str  # as the data name it, for people
    path: Optional[Path]  # None: there is no such file
    size: Tuple[int, int]  # width, height px; 0 0 = not said
    people: People
    sequence: str = ""  # the video that it is a frame of; empty = a picture alone
    index: int = 0  # in its video
    turn: bool = False  # whether points belong to the picture turned as its EXIF says


@dataclass(frozen=True, eq=False)
class Truth:
    """A labelled data set."""

    name: str
    kind: str  # the format, for people
    points: PointSet
    pictures: List[Picture]
    notes: List[str] = field(default_factory=list)  # what had to be decided, for people
    videos: Dict[str, Path] = field(default_factory=dict)  # sequence -> its video file
    rates_hz: Mapping[str, float] = field(default_factory=dict)  # sequence -> frames a second

    @property
    def people(self) -> int:
        """Number of labelled people, crowds left out."""
        return int(sum((~p.people.crowd).sum() for p in self.pictures))

    def sequences(self) -> Dict[str, List[Picture]]:
        """The frames of each video in order; pictures alone, and videos of one, are left out."""
        found: Dict[str, List[Picture]] = {}
        for picture in self.pictures:
            if picture.sequence:
                found.setdefault(picture.sequence, []).append(picture)
        return {
            name: sorted(frames, key=lambda p: p.index)
            for name, frames in found.items()
            if len(frames) > 1
        }


class Gathering:
    """Collects the people of one picture while a file is read."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._rows: List[Dict[str, Any]] = []
        self.guessed_areas = 0
        self.guessed_boxes = 0

    def add(
        self,
        points: np.ndarray,
        box: Optional[Sequence[float]] = None,
        area: float = 0.0,
        crowd: bool = False,
        track: int = -1,
    ) -> None:
        """Add a person.

        Args:
            points: [K,3] x y visibility.
            box: x1 y1 x2 y2; None or empty: the hull of the points, enlarged.
            area: px²; 0: AREA_OF_BOX of the box.
            crowd: whether it is a crowd.
            track: id.
        """
        if box is None or not (box[2] > box[0] and box[3] > box[1]):
            box = hull(points)
            self.guessed_boxes += 1
        if not area > 0:
            area = AREA_OF_BOX * (box[2] - box[0]) * (box[3] - box[1])
            self.guessed_areas += not crowd
        row = {"points": points, "box": box, "area": area, "crowd": crowd, "track": track}
        self._rows.append(row)

    def people(self) -> People:
        """Everybody added."""
        n, rows = len(self._rows), self._rows
        points = np.array([r["points"] for r in rows], np.float64).reshape(n, self._count, 3)
        return People(
            points[..., :2],
            np.clip(np.ceil(points[..., 2]), 0, 2).astype(np.uint8),
            np.array([r["box"] for r in rows], np.float64).reshape(n, 4),
            np.array([r["area"] for r in rows], np.float64).reshape(n),
            np.array([r["crowd"] for r in rows], bool),
            np.array([r["track"] for r in rows], np.int64).reshape(n),
        )


def hull(points: np.ndarray) -> List[float]:
    """The box x1 y1 x2 y2 around labelled points [K,3], enlarged; it is never empty."""
    some = points[points[:, 2] > 0, :2]
    if not len(some):
        return [0.0, 0.0, 0.0, 0.0]
    low, high = some.min(0), some.max(0)
    side = max(float((high - low).max()), 8.0)
    grow = np.maximum(_MARGIN * (high - low), 0.05 * side)
    return [*(low - grow).tolist(), *(high + grow).tolist()]
