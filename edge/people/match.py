"""Matches people of a frame to tracks: similarity, duplicates, two-stage assignment."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import geometry, skeletons
from edge.people.assignment import assign
from edge.people.motion import BodyState

# s² of OKS in H², so that it does not depend on the posture. COCO's area of a person is about half
# of a standing person's box, which is .4 H wide.
_AREA_H2 = 0.2
_VARIANCES = np.square(2 * skeletons.get("coco17").sigmas)
_MIN_COMMON = 3  # with fewer common visible keypoints, OKS is not used
_DRIFT_H_S = 0.3  # error of a prediction, in H for each second since the last observation
_BUFFER_H = 0.05  # boxes are grown by it before they are compared (C-BIoU, Yang et al. 2023)
# A pair must pass one of these two gates.
_MIN_IOU = 0.1
_MIN_OKS = 0.2
# A pose that was made from a track's own candidate is preferred. It may lie this far from the track
# even if it passes no gate.
OWN_LEAD = 0.1
_OWN_REACH_H = 0.25
_AGE_LOSS_PER_S = 0.5  # of two tracks that fit, the one that was observed later is more likely
# The most that people may be from their predicted place: H, and H for each second since the last
# observation.
_REACH_H = 0.1
_REACH_H_S = 2.0
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


def similarity(
    rows: BodyState, tracks: BodyState, own: np.ndarray, oks_weight: float
) -> np.ndarray:
    """Similarity of measured people and predicted tracks: a mix of OKS and IoU.

    Args:
        rows: [R] measured.
        tracks: [T] predicted for the same time.
        own: [R,T] bool, true if the row was made from that track's candidate.
        oks_weight: share of OKS, 0..1; the rest is IoU.

    Returns:
        [R,T] f32 0..1, 0 = the pair is not allowed.
    """
    drift_px = np.float32(_DRIFT_H_S) * tracks.age_s * tracks.heights
    overlap = geometry.iou(
        _grown(rows.boxes, np.float32(_BUFFER_H) * rows.heights),
        _grown(tracks.boxes, np.float32(_BUFFER_H) * tracks.heights + drift_px),
    )
    i, j = np.nonzero((overlap > 0) | own)
    alike, common, apart = _oks(rows, tracks, i, j, drift_px[j])
    near, mine, known = overlap[i, j], own[i, j], common >= _MIN_COMMON
    mixed = np.where(known, oks_weight * alike + (1 - oks_weight) * near, near)
    passed = (near > _MIN_IOU) | (known & (alike > _MIN_OKS))
    passed &= ~known | (apart < _reach_px(tracks, j))
    passed |= mine & (_apart(rows.boxes[i], tracks.boxes[j]) < _OWN_REACH_H * tracks.heights[j])
    out = np.zeros(overlap.shape, np.float32)
    mixed /= 1 + np.float32(_AGE_LOSS_PER_S) * tracks.age_s[j]
    out[i, j] = np.where(passed, mixed, 0)
    return out


def prefer_own(alike: np.ndarray, own: np.ndarray, duplicated: np.ndarray) -> np.ndarray:
    """Similarities [R,T] with OWN_LEAD added for each track's own row.

    Args:
        alike: [R,T], 0 = the pair is not allowed.
        own: [R,T] bool, true if the row was made from that track's candidate.
        duplicated: [R] bool, rows that another candidate found too: they get no lead.
    """
    return np.asarray(alike + OWN_LEAD * (own & (alike > 0) & ~duplicated[:, None]))


def drop_duplicates(
    rows: BodyState, quality: np.ndarray, known: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
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
    near, both = _nearness(rows, rows, i, j, np.zeros(len(i), np.float32))
    common, shared = both.sum(1), (near > _SHARED_NEAR).sum(1)
    alike = near.sum(1) / np.maximum(common, 1)
    limit = np.where(known[i] == known[j], _DUPLICATE_OKS, _DUPLICATE_NEW_OKS)
    same = (overlap[i, j] > _DUPLICATE_IOU) & (alike > limit) & (common >= _DUPLICATE_COMMON)
    part = (shared >= _SHARED_LEAST) & (shared >= _SHARED_SHARE * common)
    part &= _contained(rows.boxes, overlap, i, j) & ~(known[i] & known[j])
    same |= part
    better = np.where(quality[i] >= quality[j], i, j)[same]
    worse = (i + j)[same] - better
    for k in np.argsort(-quality[better], kind="stable"):
        if stays[better[k]]:
            stays[worse[k]] = False
    duplicated[better] = True
    return stays, duplicated


def two_stages(alike: np.ndarray, scores: np.ndarray, high: float) -> np.ndarray:
    """Assign rows of high score to tracks first, then the others to the tracks that are left.

    Source: ByteTrack (Zhang et al., ECCV 2022). A detection of low score starts no track, but it
    may be a known person who is half hidden.

    Args:
        alike: [R,T] similarities, 0 = the pair is not allowed.
        scores: [R].
        high: lowest score of the first stage.

    Returns:
        [R] i64 index of the track, -1 = none.
    """
    chosen = np.full(len(scores), -1, np.int64)
    free = np.ones(alike.shape[1], bool)
    sure = scores >= high
    for stage in (sure, ~sure):
        rows, tracks = np.flatnonzero(stage), np.flatnonzero(free)
        if not len(rows) or not len(tracks):
            continue
        table = alike[rows][:, tracks]
        got = assign(np.where(table > 0, -table, np.inf), 0.0)
        taken = tracks[got[got >= 0]]
        chosen[rows[got >= 0]] = taken
        free[taken] = False
    return chosen


def box_similarity(boxes: np.ndarray, tracks: BodyState) -> np.ndarray:
    """IoU [D,T] f32 of detector boxes [D,4] and predicted boxes; 0 = the pair is not allowed."""
    drift_px = np.float32(_DRIFT_H_S) * tracks.age_s * tracks.heights
    overlap = geometry.iou(boxes, _grown(tracks.boxes, drift_px))
    i, j = np.nonzero(overlap > _MIN_IOU)
    far = _apart(boxes[i], tracks.boxes[j]) > _reach_px(tracks, j)
    overlap[i[far], j[far]] = 0
    return np.asarray(overlap * (overlap > _MIN_IOU))


def _reach_px(tracks: BodyState, which: np.ndarray) -> np.ndarray:
    """The most that people of tracks [P] may be from their predicted places, [P] px."""
    return np.asarray((_REACH_H + _REACH_H_S * tracks.age_s[which]) * tracks.heights[which])


def _oks(
    a: BodyState, b: BodyState, i: np.ndarray, j: np.ndarray, drift_px: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare people a[i] and b[j], [P] pairs, by the keypoints that are visible in both.

    Returns:
        OKS [P], number [P] of common keypoints, and their mean distance [P] px.
    """
    near, both = _nearness(a, b, i, j, drift_px)
    common = both.sum(1)
    some = np.maximum(common, 1)
    return near.sum(1) / some, common, (np.abs(a.body[i] - b.body[j]) * both).sum(1) / some


def _nearness(
    a: BodyState, b: BodyState, i: np.ndarray, j: np.ndarray, drift_px: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """The summands of OKS of people a[i] and b[j], [P] pairs.

    The error of a prediction is added to the annotators' error: variance (2 sigma s)² + drift².

    Returns:
        Similarity [P,17] 0..1 of each keypoint, 0 if not visible in both; [P,17] f32 1 = visible in
        both.
    """
    both = (np.minimum(a.scores[i], b.scores[j]) > 0).astype(np.float32)
    apart = a.body[i] - b.body[j]
    size = np.square(a.heights[i]) + np.square(b.heights[j])
    variance = (size * np.float32(_AREA_H2 / 2))[:, None] * _VARIANCES
    variance += np.square(drift_px)[:, None]
    distance = np.square(apart.real) + np.square(apart.imag)
    return np.exp(distance / (-2 * variance)) * both, both


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


def _grown(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.asarray(boxes + by[:, None] * geometry.OUTWARD, np.float32)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances [P] between the centres of boxes [P,4]."""
    step = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2
    return np.asarray(np.hypot(step[:, 0], step[:, 1]))
