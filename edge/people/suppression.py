"""Suppression of people who were found twice in one frame, by pose or by box; sizes do not matter.

Which check catches what, in the order in which a frame meets them:

1. `geometry.nms` in the decoders of detectors and one-stage models: boxes of one network that
   overlap. `detect.suppression` names another measure: `soft_nms`, where a box that overlaps loses
   score instead of its place; `pose_nms` and `oks_nms` compare the poses of a one-stage model.
2. models/_hybrid/join: one person found by two finders, a box and a pose. Neither is dropped; they
   become one candidate.
3. models/_blazepose/gate: two crops in which the body network found the same person. Only there is
   it known from which box each pose was made, so the pose goes that is farther from its own box.
   (models/_blazepose/parts does the same for two hands at one place.)
4. people/duplicates: whatever is left, from any model. Poses that are the same by OKS, or by
   `pose_distance` if neither belongs to a track, and parts of a person such as a second box around
   the legs. Only there is it known who was tracked before.
"""

from __future__ import annotations

from typing import Callable, Dict, Optional

import numpy as np

from edge import geometry, skeletons
from edge.structures import Poses

# Parametric pose NMS (Fang et al., "RMPE", ICCV 2017, equations 8 to 11). The paper's constants are
# for 17 joints of small pictures in px. Here distances are in roots of the box's area, and sums are
# means over the keypoints; the constants were chosen on drawn people, see the tests.
_CONFIDENCE = np.float32(1.0)  # sigma 1: scores well below it count little
_REACH = np.float32(0.1)  # sides of the box around a keypoint, as a share of the person's box
_NEAR2 = np.float32(0.01)  # sigma 2, of squared distances over the box's area
_SPATIAL = np.float32(1.7)  # the weight of the second term
SAME_POSE = 1.2  # eta: poses of a larger similarity are one person's
_SAME_OKS = 0.75
_LEAST_COMMON = 3
_SOFT = 0.5  # sigma of Soft-NMS (Bodla et al., ICCV 2017)


def pose_distance(
    points: np.ndarray, scores: np.ndarray, boxes: np.ndarray, i: np.ndarray, j: np.ndarray
) -> np.ndarray:
    """RMPE's measure of how alike poses i and j are; larger = more alike.

    Args:
        points: [N,K] c64 px, x + iy.
        scores: [N,K] 0..1; 0 = missing.
        boxes: [N,4] px.
        i: [P] the better poses.
        j: [P] the others.

    Returns:
        [P] f32, from 0 to about 2.3.
    """
    off = points[i] - points[j]
    size = np.maximum(boxes[i, 2:] - boxes[i, :2], 1e-6)
    both = (scores[i] > 0) & (scores[j] > 0)
    within = (np.abs(off.real) < size[:, :1] * (_REACH / 2)) & both
    within &= np.abs(off.imag) < size[:, 1:] * (_REACH / 2)
    sure = np.tanh(scores[i] / _CONFIDENCE) * np.tanh(scores[j] / _CONFIDENCE)
    square = (off.real**2 + off.imag**2) / (size[:, :1] * size[:, 1:])
    near = np.exp(-square / _NEAR2) * both
    common = np.maximum(both.sum(1), 1)
    alike = ((within * sure).sum(1) + _SPATIAL * near.sum(1)) / common
    return np.asarray(alike * (both.sum(1) >= _LEAST_COMMON), np.float32)


def pose_nms(poses: Poses) -> np.ndarray:
    """Parametric pose NMS: indices [<=N] of the poses to keep, the best first. Borrows nothing."""
    points = geometry.as_complex(poses.keypoints)

    def same(best: int, others: np.ndarray) -> np.ndarray:
        first = np.full(len(others), best)
        return pose_distance(points, poses.scores, poses.boxes, first, others) > SAME_POSE

    return _greedy(poses.person_scores * _mean_score(poses.scores), same)


def oks_nms(poses: Poses, most: float = _SAME_OKS) -> np.ndarray:
    """OKS NMS: indices [<=N] of the poses to keep, the best first.

    Args:
        poses: borrowed.
        most: poses with a larger OKS to a better one go. The area is the mean of both boxes; only
            keypoints that both have are compared.
    """
    sigmas = skeletons.get(poses.skeleton).sigmas
    areas = geometry.areas_of(poses.boxes)
    there = poses.scores > 0

    def same(best: int, others: np.ndarray) -> np.ndarray:
        both = there[best] & there[others]
        mean = (areas[best] + areas[others])[None] / 2
        one, rest = poses.keypoints[best : best + 1], poses.keypoints[others]
        alike = geometry.oks(one, rest, mean, sigmas, both[None].astype(np.float32))[0]
        return np.asarray((alike > most) & (both.sum(1) >= _LEAST_COMMON))

    return _greedy(poses.person_scores * _mean_score(poses.scores), same)


# By name of `detect.suppression`: those that compare poses.
BY_POSE: Dict[str, Callable[[Poses], np.ndarray]] = {"pose": pose_nms, "oks": oks_nms}


def soft_nms(
    boxes: np.ndarray, scores: np.ndarray, least: float = 0.001, limit: Optional[int] = None
) -> np.ndarray:
    """Soft-NMS: a box that overlaps a better one loses score by exp(-IoU² / .5).

    Args:
        boxes: [N,4] px, finite.
        scores: [N].
        least: boxes whose score falls below are dropped.
        limit: keep no more than this number; None = all.

    Returns:
        Indices [<=N] of the boxes to keep, best first by what is left of their scores.
    """
    left, kept = scores.astype(np.float32), []
    for _ in range(len(scores) if limit is None else min(limit, len(scores))):
        best = int(left.argmax())
        if left[best] < least:
            break
        kept.append(best)
        overlap = geometry.iou(boxes[best : best + 1], boxes)[0]
        left = left * np.exp(np.square(overlap) * np.float32(-1 / _SOFT))
        left[kept] = -1
    return np.array(kept, np.int64)


def _mean_score(scores: np.ndarray) -> np.ndarray:
    return np.asarray(scores.sum(1) / np.maximum((scores > 0).sum(1), 1))


def _greedy(quality: np.ndarray, same: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    """The best stays, what is the same goes; then the best of the rest."""
    left, kept = np.argsort(-quality, kind="stable"), []
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        left = left[~same(best, left)]
    return np.array(kept, np.int64)
