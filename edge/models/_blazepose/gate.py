"""Rejects bodies with a low score, and bodies that are not those of their candidate.

The body network finds the most prominent person of its crop. If people overlap, it may jump to a
neighbour.
"""

from __future__ import annotations

import numpy as np

from edge import geometry
from edge.models._blazepose import points, sightings
from edge.models._blazepose.batch import CandidateBatch
from edge.models._blazepose.crops import median_apart
from edge.structures import VISIBLE

_GROWN = 0.2  # a box is grown by this share of its size on each side
_INSIDE = 0.6  # least share of the visible body, by score, inside the grown box
_LEAST_IOU = 0.2  # of the box and the visible body; 99.5 % of poses have more than 0.37
_CUT_OFF = 0.25  # share of a body's keypoints outside the frame from which it is cut off
_STEADY = 0.12  # median distance from the expected body within which the box need not fit
_JUMP = 0.4  # most median distance from the expected body, in longer sides of the box
_DUPLICATE = 0.08  # median distance of two bodies, in the same unit, below which they are one
_DUPLICATE_IOU = 0.3  # of two bodies; pairs that overlap less are not compared


def accepted(
    batch: CandidateBatch, keypoints: np.ndarray, scores: np.ndarray, person_scores: np.ndarray
) -> np.ndarray:
    """[N] bool: whether the body that was found belongs to its candidate.

    Args:
        batch: the candidates, without keypoints from BodyMemory.
        keypoints: [N,23,2] px of body and feet.
        scores: [N,23], 0 outside the frame.
        person_scores: [N].
    """
    body, seen = keypoints[:, points.BODY], scores[:, points.BODY]
    around, long = geometry.boxes_of(body, seen, VISIBLE), _long(batch.boxes)
    fits = np.maximum(
        pair_iou(around, batch.boxes), pair_iou(_in_view(keypoints, batch), batch.boxes)
    )
    both = (seen > VISIBLE) & (batch.scores[:, points.BODY] > VISIBLE)
    jump = median_apart(body, batch.keypoints[:, points.BODY], both) / long
    known = both.any(1)
    # The box of somebody who falls is still tall when the body lies flat: keypoints tell better.
    good = (fits >= _LEAST_IOU) | (known & (jump <= _STEADY))
    good &= _share_inside(batch.boxes, body, seen) >= _INSIDE
    # A sighting of the same frame tells better than the box whose body was found.
    good = np.where(batch.sighted, sightings.agreeing(batch, body, seen), good)
    good &= person_scores >= sightings.LEAST_SCORE
    good &= ~known | (jump <= _JUMP)
    # Of two candidates for one body, a known person in the expected place comes before a new box.
    claims = np.where(known, 2 - np.minimum(jump, 1), fits) * good
    return good & ~_duplicates(batch.which, body, seen, around, claims)


def _in_view(keypoints: np.ndarray, batch: CandidateBatch) -> np.ndarray:
    """Boxes [N,4] px of whole bodies, visible or not, as far as they lie in their frames.

    Of a close-up, head and shoulders are visible, but the trunk fills the lower half of the box.
    Bodies that the frame does not cut off have empty boxes.
    """
    ends = np.concatenate((keypoints.min(1), keypoints.max(1)), 1)
    outside = ((keypoints < 0) | (keypoints >= batch.sizes[:, None])).any(-1)
    cut = outside.mean(1, keepdims=True) >= _CUT_OFF
    return np.asarray(np.clip(ends, 0, np.tile(batch.sizes, 2)) * cut, np.float32)


def _share_inside(boxes: np.ndarray, body: np.ndarray, seen: np.ndarray) -> np.ndarray:
    margin = _GROWN * (boxes[:, 2:] - boxes[:, :2])
    low, high = (boxes[:, :2] - margin)[:, None], (boxes[:, 2:] + margin)[:, None]
    inside = ((body >= low) & (body <= high)).all(-1)
    return np.asarray((seen * inside).sum(1) / np.maximum(seen.sum(1), 1e-6))


def _duplicates(
    which: np.ndarray, body: np.ndarray, seen: np.ndarray, around: np.ndarray, claims: np.ndarray
) -> np.ndarray:
    """[N] bool: whether another candidate of the frame has the same body and a higher claim."""
    worse = np.zeros(len(body), bool)
    if len(body) < 2:
        return worse
    near = geometry.iou(around, around) > _DUPLICATE_IOU
    near &= which[:, None] == which
    i, j = np.nonzero(np.triu(near, 1))
    both = np.minimum(seen[i], seen[j]) > VISIBLE
    limit = _DUPLICATE * np.minimum(_long(around)[i], _long(around)[j])
    same = both.any(1) & (median_apart(body[i], body[j], both) <= limit)
    same &= (claims[i] > 0) & (claims[j] > 0)
    worse[np.where(claims[i] < claims[j], i, j)[same]] = True
    return worse


def _long(boxes: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(boxes[:, 2:] - boxes[:, :2], 1).max(1))


def pair_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU [N] of boxes a [N,4] and b [N,4], row by row."""
    both = np.concatenate((np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])), 1)
    shared = geometry.areas_of(both)
    union = geometry.areas_of(a) + geometry.areas_of(b) - shared
    return np.asarray(shared / np.maximum(union, 1e-6))
