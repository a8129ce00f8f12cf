"""People near the camera: when a third network looks for them, and how it is joined."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import geometry
from edge.models._hybrid.join import SAME_IOU
from edge.people.assignment import assign
from edge.structures import VISIBLE, Detections

_SURE = 0.5  # score of a person who is certainly there
_LARGE = 0.01  # share of the frame; a larger person without hips may be near
_HIPS = [11, 12]


def worth_looking(found: Detections, size: Tuple[int, int]) -> bool:
    """Whether somebody near the camera may be missed, or be found without hips.

    Args:
        found: people of one frame.
        size: width and height of the frame, px.
    """
    if not (found.scores >= _SURE).any():
        return True
    large = geometry.areas_of(found.boxes) > _LARGE * size[0] * size[1]
    if found.keypoints is None:
        return bool(large.any())
    return bool((large & (found.keypoints[:, _HIPS, 2] <= VISIBLE).all(1)).any())


def joined(found: Detections, near: Detections, most: int) -> Detections:
    """Add people near the camera to those who were found.

    A person of both keeps box and keypoints, and gets the hints in place of keypoints that are not
    visible, unless a hip is visible. The score grows as in `join`.

    Args:
        found: people of one frame, with keypoints.
        near: people of the same frame, with hints.
        most: the best so many are kept.
    """
    if not len(near) or near.keypoints is None:
        return found
    blank = np.zeros((len(found), 17, 3), np.float32)
    seen = blank if found.keypoints is None else found.keypoints.copy()
    scores = found.scores.copy()
    alike = geometry.iou(found.boxes, near.boxes)
    paired = assign(np.where(alike >= SAME_IOU, 1 - alike, np.inf), 1.0)
    rows, which = np.flatnonzero(paired >= 0), paired[paired >= 0]
    scores[rows] = 1 - (1 - scores[rows]) * (1 - near.scores[which])
    blind = np.asarray((seen[rows][:, _HIPS, 2] <= VISIBLE).all(1))
    lacks = blind[:, None] & (seen[rows, :, 2] <= VISIBLE)
    seen[rows] = np.where(lacks[..., None], near.keypoints[which], seen[rows])
    alone = np.ones(len(near), bool)
    alone[which] = False
    rest = near.take(alone)
    together = Detections(
        np.concatenate((found.boxes, rest.boxes)),
        np.concatenate((scores, rest.scores)).astype(np.float32, copy=False),
        np.concatenate((seen, near.keypoints[alone])),
    )
    return together.take(np.argsort(-together.scores, kind="stable")[:most])
