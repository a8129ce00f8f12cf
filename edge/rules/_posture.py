"""Body points and heights that several rules use."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import numpy as np

from edge import skeletons
from edge.geometry import as_complex
from edge.people.limbs import Limbs
from edge.people.stature import heights
from edge.structures import VISIBLE, Poses

Body = Tuple[np.ndarray, np.ndarray, np.ndarray]
SHOULDERS, HIPS, KNEES, ANKLES = (5, 6), (11, 12), (13, 14), (15, 16)


# The last record and its body, for the next rule of the same frame: one tuple, because a rule's
# `nearness` may be asked in another thread.
_LAST: List[Tuple[Optional[Poses], Optional[Body]]] = [(None, None)]
_LAST_STRAIGHT: List[Tuple[Optional[Poses], Optional[Body]]] = [(None, None)]


def body_of(poses: Poses) -> Body:
    """The COCO keypoints of people as the camera sees them: for places.

    Returns:
        points: [N,17] c64 px, x + iy.
        visible: [N,17] bool.
        heights: [N] f32 px, as if standing (edge.people.stature).

    All rules of a camera are given the same arrays for the same record: do not change them.
    """
    return _kept(_LAST, poses, poses.keypoints)


def straight_body_of(poses: Poses) -> Body:
    """As `body_of`, without the lens of the camera: for posture, angles and heights.

    Each person is where `body_of` has them; their limbs are as a camera turned to them shows them.
    """
    if poses.straight is None:
        return body_of(poses)
    return _kept(_LAST_STRAIGHT, poses, poses.straight)


def _kept(
    memory: List[Tuple[Optional[Poses], Optional[Body]]], poses: Poses, keypoints: np.ndarray
) -> Body:
    last, body = memory[0]
    if last is not poses or body is None:
        body = _body_of(poses, keypoints)
        memory[0] = poses, body
    return body


def _body_of(poses: Poses, keypoints: np.ndarray) -> Body:
    body17 = skeletons.body17(poses.skeleton)
    points = as_complex(keypoints[:, body17])
    scores = poses.scores[:, body17]
    return points, scores > VISIBLE, heights(points, scores, poses.boxes)


_LAST_LIMBS: List[Tuple[Optional[Poses], Optional[Limbs]]] = [(None, None)]


def limbs_of(poses: Poses) -> Limbs:
    """The keypoints that angles need, without the lens of the camera; shared as `body_of`."""
    last, limbs = _LAST_LIMBS[0]
    if last is not poses or limbs is None:
        seen = poses.keypoints if poses.straight is None else poses.straight
        limbs = Limbs.of(seen, poses.scores, skeletons.get(poses.skeleton))
        _LAST_LIMBS[0] = poses, limbs
    return limbs


_Middle = Tuple[np.ndarray, np.ndarray]
# The middles of the last body, for the next rule of the same frame: points, visible, and by pair.
_LAST_MIDDLES: List[Tuple[Optional[np.ndarray], Optional[np.ndarray], Dict[object, _Middle]]] = [
    (None, None, {})
]


def middle(
    points: np.ndarray, visible: np.ndarray, pair: Tuple[int, int]
) -> Tuple[np.ndarray, np.ndarray]:
    """The mean of the visible keypoints of a pair, such as both hips.

    Args:
        points: [N,17] c64 px.
        visible: [N,17] bool.
        pair: indices of two keypoints.

    Returns:
        [N] c64 px, 0 if neither is visible; [N] bool, whether one is. Shared by all who ask for the
        same body: do not change them.
    """
    last, seen, known = _LAST_MIDDLES[0]
    if last is not points or seen is not visible:
        known = {}
        _LAST_MIDDLES[0] = points, visible, known
    if pair not in known:
        known[pair] = _middle(points, visible, pair)
    return known[pair]


def _middle(points: np.ndarray, visible: np.ndarray, pair: Tuple[int, int]) -> _Middle:
    a, b = pair
    weight = visible[:, [a, b]].astype(np.float32)
    total = weight.sum(1)
    return (points[:, [a, b]] * weight).sum(1) / np.maximum(total, 1), total > 0
