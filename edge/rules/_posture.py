"""Points and lengths of bodies that several rules look at."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import skeletons
from edge.geometry import as_complex
from edge.people.stature import heights
from edge.structures import VISIBLE, Poses

SHOULDERS, HIPS, KNEES, ANKLES = (5, 6), (11, 12), (13, 14), (15, 16)


def body_of(poses: Poses) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The COCO body of a record.

    Returns:
        [N,17] c64 px, x + iy; [N,17] bool visible; [N] f32 px standing heights.
    """
    body17 = skeletons.body17(poses.skeleton)
    points = as_complex(poses.keypoints[:, body17])
    scores = poses.scores[:, body17]
    return points, scores > VISIBLE, heights(points, scores, poses.boxes)


def middle(
    points: np.ndarray, seen: np.ndarray, pair: Tuple[int, int]
) -> Tuple[np.ndarray, np.ndarray]:
    """Half-way between two keypoints, or the one that is visible.

    Args:
        points: [N,17] c64.
        seen: [N,17] bool.
        pair: which two.

    Returns:
        [N] c64, 0 where neither is visible; [N] bool, whether one is.
    """
    a, b = pair
    weight = seen[:, [a, b]].astype(np.float32)
    total = weight.sum(1)
    return (points[:, [a, b]] * weight).sum(1) / np.maximum(total, 1), total > 0
