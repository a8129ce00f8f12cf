"""Limits of elbows and knees in space. In a picture every angle is possible, so none is limited.

Bones keep their lengths here; edge/scene/bones gives them back to bones that lost them.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.skeletons import Skeleton
from edge.structures import VISIBLE

_FOLDED_DEG = 25.0  # between the two bones of an elbow or a knee at full flexion
_BEYOND_DEG = 10.0  # a knee that is straight may bend forwards by this
# COCO's inner, middle and outer ends of arms and legs.
_ARMS, _LEGS = ((5, 7, 9), (6, 8, 10)), ((11, 13, 15), (12, 14, 16))
_HIPS = (11, 12)


def limited(points: np.ndarray, scores: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Turn forearms and calves that no elbow or knee allows back to the limit.

    Wrists and ankles move; nothing else does. Limits: 25 degrees between the bones of a folded
    limb, and 10 degrees of a knee beyond straight (AAOS 1965 gives 150 and 10 degrees of motion).

    Args:
        points: [N,K,3] m, right-handed axes; borrowed.
        scores: [N,K]; a joint with a score up to `VISIBLE` is missing and limits nothing.
        skeleton: names the keypoints.

    Returns:
        [N,K,3], a new array.
    """
    out, at = points.copy(), skeleton.body17
    there = (scores > VISIBLE) & np.isfinite(points).all(2)
    across = _unit(points[:, at[_HIPS[1]]] - points[:, at[_HIPS[0]]])  # to the person's right
    for inner, middle, outer in (*_ARMS, *_LEGS):
        a, b, c = at[inner], at[middle], at[outer]
        upper, lower = points[:, b] - points[:, a], points[:, c] - points[:, b]
        turned = _unfolded(upper, lower)
        usable = there[:, [a, b, c]].all(1)
        if (inner, middle, outer) in _LEGS:
            hinged = there[:, at[list(_HIPS)]].all(1)
            turned = np.where(hinged[:, None], _not_beyond(upper, turned, across), turned)
        usable &= (turned != lower).any(1)
        out[:, c] = np.where(usable[:, None], points[:, b] + turned, points[:, c])
    return out


def _unfolded(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Lower bones [N,3] at least _FOLDED_DEG from the way back along the upper bones [N,3]."""
    back, along = -_unit(upper), np.linalg.norm(lower, axis=1, keepdims=True)
    near, side = _parts(lower, back)
    least = np.radians(_FOLDED_DEG)
    folded = near > along * np.cos(least)
    bent = along * (np.cos(least) * back + np.sin(least) * _unit(side))
    return np.where(folded & (np.linalg.norm(side, axis=1, keepdims=True) > 1e-9), bent, lower)


def _not_beyond(upper: np.ndarray, lower: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Calves [N,3] that bend forwards by no more than _BEYOND_DEG about the axis of the hips."""
    ahead = _unit(np.cross(across, _unit(upper)))
    length = np.linalg.norm(lower, axis=1, keepdims=True)
    forwards, rest = _parts(lower, ahead)
    most = np.radians(_BEYOND_DEG)
    held = length * (np.sin(most) * ahead + np.cos(most) * _unit(rest))
    return np.where(forwards > length * np.sin(most), held, lower)


def _parts(vectors: np.ndarray, axis: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The length [N,1] of vectors along unit axes, and what is left of them [N,3]."""
    along = (vectors * axis).sum(1, keepdims=True)
    return along, vectors - along * axis


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
