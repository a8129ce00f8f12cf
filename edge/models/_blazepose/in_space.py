"""Keypoints in metres from the body network, as far as they belong to the published pose."""

from __future__ import annotations

import numpy as np

from edge.models._blazepose import points
from edge.models._blazepose.decode import Bodies

_APART_H = np.float32(0.1)  # in longer sides of the box


def of_network(
    found: Bodies, own: np.ndarray, body_feet: np.ndarray, seen: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """Points and scores [N,133,4] f32 of body and feet; hands and faces have the score 0.

    A keypoint that a sighting of the detector has moved far from the network's own, as where sides
    were swapped, has no point in metres.

    Args:
        found: bodies of the network, with `world`.
        own: [N] bool, whether the network's pose is used.
        body_feet: [N,23,2] px, published.
        seen: [N,23] scores, published.
        boxes: [N,4] px.
    """
    n = len(boxes)
    world = np.zeros((n, points.KEYPOINTS, 4), np.float32)
    if not n or found.world is None:
        return world
    sides = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1), 1)[:, None]
    step = body_feet - found.points[:, points.BODY_FEET_SOURCE]
    near = np.hypot(step[..., 0], step[..., 1]) < _APART_H * sides
    near[:, points.SMALL_TOES] = False
    score = np.where(near & own[:, None], seen, np.float32(0))
    world[:, points.BODY_FEET, 3] = score
    metres = found.world[:, points.BODY_FEET_SOURCE]
    world[:, points.BODY_FEET, :3] = metres * (score > 0)[..., None]
    return world
