"""People of one frame who were found twice: the last check, see people/suppression."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import geometry
from edge.people import suppression
from edge.people.likeness import nearness
from edge.people.motion import BodyState

# Duplicates: one person found twice.
_DUPLICATE_IOU = 0.3  # pairs whose boxes overlap less are not compared
_DUPLICATE_OKS = 0.75
_DUPLICATE_NEW_OKS = 0.5  # between a track's pose and a new one, which may be less alike
_DUPLICATE_COMMON = 5
# A new person who shares this many keypoints, and this share of those visible in both, with another
# is a part of that person: a second box around the legs. Two people never share so many.
_SHARED_LEAST, _SHARED_SHARE = 5, 0.34
_SHARED_NEAR = 0.8  # similarity of one keypoint, 1 = the same place
_PART_IOU = 0.1  # pairs whose boxes overlap less are not compared
_WITHIN = 0.6  # a part's box lies in the other box with this share of its area
_PART = 0.8  # and its area is less than this share of the other's


def drop(rows: BodyState, quality: np.ndarray, known: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Find people who were found twice, and drop the worse of the two.

    Two candidates may lead to the same person, or a detector may find one person twice. Then the
    keypoints of two rows are almost the same. Or a detector takes a part of a person, such as the
    legs, for a second person: then the keypoints of that part are the same.

    Args:
        rows: [R] measured.
        quality: [R], the better of two duplicates stays.
        known: [R] bool, true if the row was made from the candidate of a track.

    Returns:
        stays: [R] bool.
        duplicated: [R] bool, rows that are the better of two duplicates.
    """
    stays, duplicated = np.ones(len(quality), bool), np.zeros(len(quality), bool)
    if len(quality) < 2:
        return stays, duplicated
    overlap = geometry.iou(rows.boxes, rows.boxes)
    least = _DUPLICATE_IOU if known.all() else _PART_IOU  # two known people are no parts
    i, j = np.nonzero(np.triu(overlap > least, 1))
    if not len(i):
        return stays, duplicated
    near, both = nearness(rows, rows, i, j, np.zeros(len(i), np.float32))
    common, shared = both.sum(1), (near > _SHARED_NEAR).sum(1)
    alike = near.sum(1) / np.maximum(common, 1)
    limit = np.where(known[i] == known[j], _DUPLICATE_OKS, _DUPLICATE_NEW_OKS)
    same = (overlap[i, j] > _DUPLICATE_IOU) & (alike > limit) & (common >= _DUPLICATE_COMMON)
    # Two crops of one person often agree in the trunk and differ in a leg: OKS says no.
    twins = suppression.pose_distance(
        rows.body, rows.scores, rows.boxes, *_by_quality(quality, i, j)
    )
    same |= (twins > suppression.SAME_POSE) & (common >= _DUPLICATE_COMMON) & ~(known[i] | known[j])
    part = (shared >= _SHARED_LEAST) & (shared >= _SHARED_SHARE * common)
    part &= _contained(rows.boxes, overlap, i, j) & ~(known[i] & known[j])
    same |= part
    better, worse = (pair[same] for pair in _by_quality(quality, i, j))
    for k in np.argsort(-quality[better], kind="stable"):
        if stays[better[k]]:
            stays[worse[k]] = False
    duplicated[better] = True
    return stays, duplicated


def _by_quality(quality: np.ndarray, i: np.ndarray, j: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Of pairs i, j [P] the better rows and the worse."""
    better = np.where(quality[i] >= quality[j], i, j)
    return better, i + j - better


def _contained(boxes: np.ndarray, overlap: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """[P] bool: whether one of two boxes lies mostly in the other, which is larger.

    Args:
        boxes: [N,4] px.
        overlap: [N,N] IoU.
        i: [P] rows of the first boxes.
        j: [P] rows of the second boxes.
    """
    areas, alike = geometry.areas_of(boxes), overlap[i, j]
    smaller, larger = np.minimum(areas[i], areas[j]), np.maximum(areas[i], areas[j])
    shared = alike * (smaller + larger) / (1 + alike)
    return np.asarray((shared > _WITHIN * smaller) & (smaller < _PART * larger))
