"""Which bodies are refused: weak ones, and those that left the person they were looked for in.

The body network follows whoever is most prominent in its crop: where people overlap it jumps to the
neighbour.
"""

from __future__ import annotations

import numpy as np

from edge import geometry
from edge.models import _blazepose_points as points
from edge.models._blazepose_crowd import Crowd

LEAST_SCORE = 0.1  # of the person; places without anybody stay below
_SEEN = 0.3
_GROWN = 0.2  # the box, by this share of its size on each side
_INSIDE = 0.6  # share of the visible body (by score) inside the grown box
_LEAST_IOU = 0.2  # of the box and the visible body
_LEAPT = 0.4  # median distance from where the body was expected, in long sides of the box


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
    sure = person_scores >= LEAST_SCORE
    return sure & _in_box(crowd.boxes, body, seen) & _in_place(crowd, body, seen)


def _in_box(boxes: np.ndarray, body: np.ndarray, seen: np.ndarray) -> np.ndarray:
    margin = _GROWN * (boxes[:, 2:] - boxes[:, :2])
    low, high = (boxes[:, :2] - margin)[:, None], (boxes[:, 2:] + margin)[:, None]
    inside = ((body >= low) & (body <= high)).all(-1)
    share = (seen * inside).sum(1) / np.maximum(seen.sum(1), 1e-6)
    around = geometry.boxes_of(body, seen, _SEEN)
    return np.asarray((share >= _INSIDE) & (_iou(around, boxes) >= _LEAST_IOU))


def _in_place(crowd: Crowd, body: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Not a leap away from the prediction; somebody new has none."""
    both = (seen > _SEEN) & (crowd.scores[:, points.BODY] > _SEEN)
    step = body - crowd.keypoints[:, points.BODY]
    apart = np.sort(np.where(both, np.hypot(step[..., 0], step[..., 1]), np.inf), 1)
    middle = np.take_along_axis(apart, np.maximum(both.sum(1, keepdims=True) - 1, 0) // 2, 1)
    long = (crowd.boxes[:, 2:] - crowd.boxes[:, :2]).max(1)
    return np.asarray(~both.any(1) | (middle[:, 0] <= _LEAPT * long))


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of pairs of boxes [N,4] -> [N]."""
    both = np.concatenate((np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])), 1)
    shared = geometry.areas_of(both)
    union = geometry.areas_of(a) + geometry.areas_of(b) - shared
    return np.asarray(shared / np.maximum(union, 1e-6))
