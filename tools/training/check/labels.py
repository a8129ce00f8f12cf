"""Mistakes that labels show by themselves: points outside, wrong boxes, people labelled twice."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from edge import geometry
from tools.evaluation.truth import Picture, Truth
from tools.training.check.faults import Fault

_BEYOND_PX = 1.5  # outside the picture by more than this
_HELD = 0.75  # least share of the labelled points in the box, grown by a fifth
_GROWN = 0.2
_IN_PICTURE = 0.4  # least share of a box inside the picture
_SAME_SPOT = 3  # labelled points on one spot
_TWICE = 0.9  # IoU of boxes and share of points that are the same, for one person twice


def faults(truth: Truth, picture: Picture, size: Tuple[int, int]) -> List[Fault]:
    """What is wrong with the labels of a picture.

    Args:
        truth: the data set.
        picture: one of its pictures.
        size: width and height of the picture as it is read; 0 0 = not known.
    """
    found: List[Fault] = []
    people = picture.people
    for row in np.flatnonzero(~people.crowd).tolist():
        points = people.keypoints[row][people.labelled[row]]
        names = [truth.points.names[i] for i in np.flatnonzero(people.labelled[row])]
        texts = [
            ("outside", _outside(points, names, people.boxes[row], size)),
            ("box", _box(points, people.boxes[row])),
            ("place", _one_spot(points, names)),
        ]
        found += [Fault(kind, text, truth, picture, row) for kind, text in texts if text]
    return found + _twice(truth, picture)


def _outside(points: np.ndarray, names: List[str], box: np.ndarray, size: Tuple[int, int]) -> str:
    if 0 in size:
        return ""
    ends = np.array(size, np.float64)
    off = np.any((points < -_BEYOND_PX) | (points > ends - 1 + _BEYOND_PX), 1)
    if off.any():
        some = [names[i] for i in np.flatnonzero(off).tolist()]
        return f"{_listed(some)} of {size[0]}x{size[1]} px"
    inside = np.clip(box, 0, np.tile(ends, 2))
    area = float(np.prod(np.maximum(box[2:] - box[:2], 1e-6)))
    share = float(np.prod(np.maximum(inside[2:] - inside[:2], 0))) / area
    return f"only {share:.0%} of the box" if share < _IN_PICTURE else ""


def _box(points: np.ndarray, box: np.ndarray) -> str:
    side = box[2:] - box[:2]
    if not (side > 2).all():
        return f"is {side[0]:.0f}x{side[1]:.0f} px"
    low, high = box[:2] - _GROWN * side, box[2:] + _GROWN * side
    if not len(points):
        return ""
    held = float(((points >= low) & (points <= high)).all(1).mean())
    return f"holds {held:.0%} of the points" if held < _HELD else ""


def _one_spot(points: np.ndarray, names: List[str]) -> str:
    if len(points) < _SAME_SPOT:
        return ""
    _, which, counts = np.unique(points.round(1), axis=0, return_inverse=True, return_counts=True)
    most = int(counts.argmax())
    if counts[most] < _SAME_SPOT:
        return ""
    some = [n for n, w in zip(names, which.ravel().tolist()) if w == most]
    return f"{_listed(some)} on one spot"


def _twice(truth: Truth, picture: Picture) -> List[Fault]:
    people = picture.people
    if len(people) < 2:
        return []
    boxes = people.boxes.astype(np.float32)
    near = geometry.iou(boxes, boxes) > _TWICE
    found: List[Fault] = []
    for i, j in np.argwhere(np.triu(near, 1)).tolist():
        both = people.labelled[i] & people.labelled[j]
        size = max(float((boxes[i, 2:] - boxes[i, :2]).max()), 1.0)
        gap = np.linalg.norm(people.keypoints[i] - people.keypoints[j], axis=1)[both] / size
        if len(gap) and float((gap < 0.03).mean()) > _TWICE and not people.crowd[[i, j]].any():
            found.append(Fault("twice", f"is person {i + 1}, too", truth, picture, j))
    return found


def _listed(names: List[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
