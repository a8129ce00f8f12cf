"""People near the camera: when a third network looks for them, and how it is joined."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import geometry
from edge.models._hybrid.join import pairs, with_rest
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
    rows, which = pairs(found, near)
    blind = np.asarray((seen[rows][:, _HIPS, 2] <= VISIBLE).all(1))
    lacks = blind[:, None] & (seen[rows, :, 2] <= VISIBLE)
    seen[rows] = np.where(lacks[..., None], near.keypoints[which], seen[rows])
    return with_rest(found, seen, near, (rows, which), most)
