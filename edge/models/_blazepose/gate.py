"""Which bodies are refused: weak ones, and those that left the person they were looked for in.

The body network follows whoever is most prominent in its crop: where people overlap it jumps to the
neighbour.
"""

from __future__ import annotations

import numpy as np

from edge import geometry
from edge.models._blazepose import points
from edge.models._blazepose.crowd import Crowd
from edge.structures import VISIBLE

LEAST_SCORE = 0.1  # of the person; places without anybody stay below
_GROWN = 0.2  # the box, by this share of its size on each side
_INSIDE = 0.6  # share of the visible body (by score) inside the grown box
_LEAST_IOU = 0.2  # of the box and the visible body; 99.5 % of poses have more than 0.37
_LEAPT = 0.4  # median distance from where the body was expected, in long sides of the box
_TWIN = 0.08  # median distance of two people's visible bodies in such units: both are one
_TWIN_IOU = 0.3  # of their bodies; others are not compared


def accepted(
    crowd: Crowd, keypoints: np.ndarray, scores: np.ndarray, person_scores: np.ndarray
) -> np.ndarray:
    """[N] bool, whose pose is believed.

    Args:
        crowd: the candidates, before anything was added from memory.
        keypoints: [N,23,2] px, body and feet.
        scores: [N,23], 0 outside the frame.
        person_scores: [N].
    """
    body, seen = keypoints[:, points.BODY], scores[:, points.BODY]
    around, long = geometry.boxes_of(body, seen, VISIBLE), _long(crowd.boxes)
    fits = pair_iou(around, crowd.boxes)
    good = (person_scores >= LEAST_SCORE) & (fits >= _LEAST_IOU)
    good &= _share_inside(crowd.boxes, body, seen) >= _INSIDE
    both = (seen > VISIBLE) & (crowd.scores[:, points.BODY] > VISIBLE)
    leap = _median_apart(body, crowd.keypoints[:, points.BODY], both) / long
    known = both.any(1)
    good &= ~known | (leap <= _LEAPT)
    # Whoever is where they were expected has more right to a pose than a new box that fits it.
    right = np.where(known, 2 - np.minimum(leap, 1), fits) * good
    return good & ~_twins(crowd.which, body, seen, around, right)


def _share_inside(boxes: np.ndarray, body: np.ndarray, seen: np.ndarray) -> np.ndarray:
    margin = _GROWN * (boxes[:, 2:] - boxes[:, :2])
    low, high = (boxes[:, :2] - margin)[:, None], (boxes[:, 2:] + margin)[:, None]
    inside = ((body >= low) & (body <= high)).all(-1)
    return np.asarray((seen * inside).sum(1) / np.maximum(seen.sum(1), 1e-6))


def _twins(
    which: np.ndarray, body: np.ndarray, seen: np.ndarray, around: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """[N] bool: somebody else of the same frame has that pose, with more right to it."""
    worse = np.zeros(len(body), bool)
    if len(body) < 2:
        return worse
    near = geometry.iou(around, around) > _TWIN_IOU
    near &= which[:, None] == which
    i, j = np.nonzero(np.triu(near, 1))
    both = np.minimum(seen[i], seen[j]) > VISIBLE
    limit = _TWIN * np.minimum(_long(around)[i], _long(around)[j])
    same = both.any(1) & (_median_apart(body[i], body[j], both) <= limit)
    same &= (right[i] > 0) & (right[j] > 0)
    worse[np.where(right[i] < right[j], i, j)[same]] = True
    return worse


def _median_apart(a: np.ndarray, b: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Lower median of the distances of points [P,K,2] where `both` [P,K]; inf where nowhere."""
    step = a - b
    apart = np.sort(np.where(both, np.hypot(step[..., 0], step[..., 1]), np.inf), 1)
    middle = np.maximum(both.sum(1) - 1, 0) // 2
    return np.asarray(apart[np.arange(len(apart)), middle])


def _long(boxes: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(boxes[:, 2:] - boxes[:, :2], 1).max(1))


def pair_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of pairs of boxes [N,4] -> [N]."""
    both = np.concatenate((np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])), 1)
    shared = geometry.areas_of(both)
    union = geometry.areas_of(a) + geometry.areas_of(b) - shared
    return np.asarray(shared / np.maximum(union, 1e-6))
