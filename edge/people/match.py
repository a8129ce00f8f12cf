"""Matches people of a frame to tracks: similarity, two-stage assignment."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import geometry
from edge.people.assignment import assign
from edge.people.likeness import nearness
from edge.people.motion import BodyState

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
    near, both = nearness(a, b, i, j, drift_px)
    common = both.sum(1)
    some = np.maximum(common, 1)
    return near.sum(1) / some, common, (np.abs(a.body[i] - b.body[j]) * both).sum(1) / some


def _grown(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.asarray(boxes + by[:, None] * geometry.OUTWARD, np.float32)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances [P] between the centres of boxes [P,4]."""
    step = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2
    return np.asarray(np.hypot(step[:, 0], step[:, 1]))
