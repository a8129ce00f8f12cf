"""Who is who: labelled and found people of a picture in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from edge import geometry
from edge.people.assignment import assign
from tools.evaluation.found.record import Found, Seen
from tools.evaluation.truth import People, Truth
from tools.metrics import EPS

LEAST_OKS, LEAST_IOU = 0.1, 0.5  # either makes a pair possible
EXCUSED = 0.5  # share of a found box inside a crowd or an unlabelled person that excuses it


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every labelled person of a data set that counts, beside who was found for them.

    A person counts unless it is a crowd or has no labelled keypoint that the predictions can have.
    """

    pictures: np.ndarray  # [G] i64 place of the picture in Truth.pictures
    rows: np.ndarray  # [G] i64 place of the person in the picture's people
    found_rows: np.ndarray  # [G] i64 place in Seen; -1 = not found
    truth: np.ndarray  # [G,K,2] px
    counted: np.ndarray  # [G,K] bool: labelled, and the predictions can have it
    areas: np.ndarray  # [G] px²
    boxes: np.ndarray  # [G,4] px
    found: np.ndarray  # [G,K,2] px; NaN = missing
    scores: np.ndarray  # [G,K]
    labelled: np.ndarray  # [G,K] bool, also of keypoints that the predictions cannot have
    false: np.ndarray  # [P] people found who are nobody, of each picture

    def similarities(self, sigmas: np.ndarray) -> np.ndarray:
        """[G,K] exp(-d²/(2 s² (2 sigma)²)) of each keypoint; 0 = missing or not counted."""
        gap = np.square(self.found - self.truth).sum(-1)
        near = np.exp(-gap / np.square(2 * sigmas) / (self.areas[:, None] + EPS) / 2)
        return np.where(self.counted, np.nan_to_num(near), 0.0)

    def oks(self, sigmas: np.ndarray, which: np.ndarray) -> np.ndarray:
        """OKS [G] of some keypoints; missing ones count 0; NaN where none is counted."""
        counted = self.counted[:, which].sum(1)
        total = self.similarities(sigmas)[:, which].sum(1)
        return np.where(counted > 0, total / np.maximum(counted, 1), np.nan)


def pair(truth: Truth, found: Found) -> Pairs:
    """Pair the people of every picture so that the sum of their OKS is largest."""
    columns: List[Tuple[np.ndarray, ...]] = []
    false: List[int] = []
    for place, picture in enumerate(truth.pictures):
        seen = found.of(picture.key)
        columns.append(_picture(place, picture.people, seen, found.given, truth.points.sigmas))
        used = columns[-1][2]
        false.append(_false(picture.people, seen, used, found.given))
    k = len(truth.points)
    if not columns:
        columns = [_picture(0, _nobody(k), found.of(""), found.given, truth.points.sigmas)]
    joined = [np.concatenate(c) for c in zip(*columns)]
    return Pairs(*joined, *[np.array(false, np.int64)])


def _picture(
    place: int, people: People, seen: Seen, given: np.ndarray, sigmas: np.ndarray
) -> Tuple[np.ndarray, ...]:
    counted = people.labelled & given
    rows = np.flatnonzero(~people.crowd & counted.any(1))
    counted = counted[rows]
    chosen = _chosen(people, seen, rows, counted, sigmas)
    n, k = len(rows), len(sigmas)
    points, scores = np.full((n, k, 2), np.nan), np.zeros((n, k))
    hit = chosen >= 0
    scores[hit] = seen.scores[chosen[hit]]
    points[hit] = np.where(scores[hit][..., None] > 0, seen.keypoints[chosen[hit]], np.nan)
    return (
        np.full(n, place, np.int64),
        rows.astype(np.int64),
        chosen,
        people.keypoints[rows],
        counted,
        people.areas[rows],
        people.boxes[rows],
        points,
        scores,
        people.labelled[rows],
    )


def _chosen(
    people: People, seen: Seen, rows: np.ndarray, counted: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """The found person [n] of each labelled row, -1 = none."""
    if not len(rows) or not len(seen):
        return np.full(len(rows), -1, np.int64)
    gap = np.square(people.keypoints[rows][:, None] - seen.keypoints[None]).sum(-1)
    spread = np.square(2 * sigmas) * (people.areas[rows][:, None, None] + EPS) * 2
    near = np.exp(-gap / spread) * (counted[:, None] & (seen.scores > 0)[None])
    alike = near.sum(-1) / counted.sum(-1)[:, None]
    overlap = geometry.iou(
        people.boxes[rows].astype(np.float32), seen.boxes.astype(np.float32)
    ).astype(np.float64)
    possible = (alike >= LEAST_OKS) | (overlap >= LEAST_IOU)
    # Of two with equal poses the box decides.
    costs = np.where(possible, 1 - alike - 0.01 * overlap, np.inf)
    return assign(costs, 2.0)


def _false(people: People, seen: Seen, used: np.ndarray, given: np.ndarray) -> int:
    rest = np.setdiff1d(np.arange(len(seen)), used)
    excusing = people.boxes[people.crowd | ~(people.labelled & given).any(1)]
    if not len(rest) or not len(excusing):
        return len(rest)
    boxes = seen.boxes[rest]
    low = np.maximum(boxes[:, None, :2], excusing[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], excusing[None, :, 2:])
    inside = np.prod(np.maximum(high - low, 0), -1)
    own = np.maximum(geometry.areas_of(boxes), EPS)
    return int((~(inside / own[:, None] >= EXCUSED).any(1)).sum())


def _nobody(count: int) -> People:
    none = np.zeros(0)
    return People(
        np.zeros((0, count, 2)),
        np.zeros((0, count), np.uint8),
        np.zeros((0, 4)),
        none,
        none.astype(bool),
        none.astype(np.int64),
    )
