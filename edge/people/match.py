"""Which person of this frame is which track: likeness, twins, two-stage assignment."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import geometry, skeletons
from edge.people.assignment import assign
from edge.people.motion import Sight

# s² of OKS without the posture in it: COCO's area of a person (about half the box of a standing
# one, which is .4 H wide) as a share of H².
_AREA_H2 = 0.2
_VARIANCES = np.square(2 * skeletons.get("coco17").sigmas)
_MIN_COMMON = 3  # fewer keypoints in common say nothing about likeness
# What a prediction may be off, in H per second since the last sight.
_DRIFT_H_S = 0.3
_BUFFER_H = 0.05  # boxes are grown by it before they are compared (C-BIoU, Yang et al. 2023)
# Gates: one of the two must be passed.
_MIN_IOU = 0.1
_MIN_OKS = 0.2
# A pose made from a track's own candidate has a lead over the others and may lie further away than
# the gates allow, in H.
OWN_LEAD = 0.1
_OWN_REACH_H = 0.25
_AWAY_LOSS_PER_S = 0.5  # of two who may be meant, the one seen later is the likelier
# How far from where they were expected people may be: H, and H per second since the last sight.
_REACH_H = 0.1
_REACH_H_S = 2.0
_TWIN_IOU = 0.3  # people whose boxes overlap less are not looked at
_TWIN_OKS = 0.75
_TWIN_NEW_OKS = 0.5  # a newcomer may resemble a known person less
_TWIN_COMMON = 5


def likeness(rows: Sight, tracks: Sight, own: np.ndarray, oks_weight: float) -> np.ndarray:
    """How much measured people are like predicted ones.

    Args:
        rows: [R] measured.
        tracks: [T] predicted for the same time.
        own: [R,T] bool: the row was made from that track's candidate.
        oks_weight: share of OKS against IoU, 0..1.

    Returns:
        [R,T] f32 0..1, 0 = refused.
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
    mixed /= 1 + np.float32(_AWAY_LOSS_PER_S) * tracks.age_s[j]
    out[i, j] = np.where(passed, mixed, 0)
    return out


def favour_own(likenesses: np.ndarray, own: np.ndarray, twins: np.ndarray) -> np.ndarray:
    """Give each track's own row [R,T] a lead, but for rows [R] that several tracks claimed."""
    return np.asarray(likenesses + OWN_LEAD * (own & (likenesses > 0) & ~twins[:, None]))


def untwin(rows: Sight, quality: np.ndarray, known: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Drop the worse of people whose keypoints lie upon one another.

    Two candidates that found the same person, or one person found twice by a detector.

    Args:
        rows: [R] measured.
        quality: [R], the better of two twins stays.
        known: [R] bool, made from the candidate of a track.

    Returns:
        [R] bool who stays; [R] bool who has a twin.
    """
    stays, has_twin = np.ones(len(quality), bool), np.zeros(len(quality), bool)
    if len(quality) < 2:
        return stays, has_twin
    i, j = np.nonzero(np.triu(geometry.iou(rows.boxes, rows.boxes) > _TWIN_IOU, 1))
    if not len(i):
        return stays, has_twin
    alike, common, _ = _oks(rows, rows, i, j, np.zeros(len(i), np.float32))
    limit = np.where(known[i] == known[j], _TWIN_OKS, _TWIN_NEW_OKS)
    twins = (alike > limit) & (common >= _TWIN_COMMON)
    better = np.where(quality[i] >= quality[j], i, j)[twins]
    worse = (i + j)[twins] - better
    for k in np.argsort(-quality[better], kind="stable"):
        if stays[better[k]]:
            stays[worse[k]] = False
    has_twin[better] = True
    return stays, has_twin


def two_stages(likenesses: np.ndarray, scores: np.ndarray, high: float) -> np.ndarray:
    """Assign the sure people first, then the doubtful ones to the tracks that are left.

    The idea of ByteTrack (Zhang et al., ECCV 2022): a weak detection is no newcomer, but it may be
    somebody known who is half hidden.

    Args:
        likenesses: [R,T], 0 = never.
        scores: [R].
        high: sure from here on.

    Returns:
        [R] i64 index of the track, -1 = none.
    """
    chosen = np.full(len(scores), -1, np.int64)
    free = np.ones(likenesses.shape[1], bool)
    sure = scores >= high
    for stage in (sure, ~sure):
        rows, tracks = np.flatnonzero(stage), np.flatnonzero(free)
        if not len(rows) or not len(tracks):
            continue
        table = likenesses[rows][:, tracks]
        got = assign(np.where(table > 0, -table, np.inf), 0.0)
        taken = tracks[got[got >= 0]]
        chosen[rows[got >= 0]] = taken
        free[taken] = False
    return chosen


def box_likeness(boxes: np.ndarray, tracks: Sight) -> np.ndarray:
    """[D,T] f32 IoU of a detector's boxes [D,4] with predicted ones; 0 = refused."""
    drift_px = np.float32(_DRIFT_H_S) * tracks.age_s * tracks.heights
    overlap = geometry.iou(boxes, _grown(tracks.boxes, drift_px))
    i, j = np.nonzero(overlap > _MIN_IOU)
    far = _apart(boxes[i], tracks.boxes[j]) > _reach_px(tracks, j)
    overlap[i[far], j[far]] = 0
    return np.asarray(overlap * (overlap > _MIN_IOU))


def _reach_px(tracks: Sight, which: np.ndarray) -> np.ndarray:
    """How far somebody may be from where they were expected."""
    return np.asarray((_REACH_H + _REACH_H_S * tracks.age_s[which]) * tracks.heights[which])


def _oks(
    a: Sight, b: Sight, i: np.ndarray, j: np.ndarray, drift_px: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """OKS [P] of people a[i] and b[j] over the keypoints both have, and how many [P] those are.

    The uncertainty of a prediction adds to the annotators': variance (2 sigma s)² + drift².
    """
    both = (np.minimum(a.seen[i], b.seen[j]) > 0).astype(np.float32)
    apart = a.body[i] - b.body[j]
    size = np.square(a.heights[i]) + np.square(b.heights[j])
    variance = (size * np.float32(_AREA_H2 / 2))[:, None] * _VARIANCES
    variance += np.square(drift_px)[:, None]
    distance = np.square(apart.real) + np.square(apart.imag)
    near = np.exp(distance / (-2 * variance)) * both
    common = both.sum(1)
    some = np.maximum(common, 1)
    return near.sum(1) / some, common, (np.sqrt(distance) * both).sum(1) / some


def _grown(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.asarray(boxes + by[:, None] * geometry.OUTWARD, np.float32)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances [P] between the centres of boxes [P,4]."""
    step = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2
    return np.asarray(np.hypot(step[:, 0], step[:, 1]))
