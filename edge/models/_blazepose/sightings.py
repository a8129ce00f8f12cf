"""Joins the bodies of the cascade with the keypoints that the detector saw in the same frame.

A detector that gives keypoints (`Detections.keypoints`, family `hybrid`) looks at the whole frame:
it knows who is who where people overlap, but it is coarse. The body network looks at one crop: it
is fine, but it may follow a neighbour. So the sighting says where the crop is, and whether the body
in it is the candidate's. Where both give a keypoint, the mean weighted by their scores is taken if
they agree, and else the surer one.

The constants were chosen on 20 labelled people in test pictures of AI Challenger, CrowdPose, MHP
and JHMDB: mean OKS in the first frame .60 without sightings, .765 with them. They are middle
values: in a trial with the best other values it was .778 to .784 for any _NEAR from .05 to .15,
_SHARE from .3 to 1, and _SURER from .5 to 1. docs/accuracy.md has rendered people, on whom they
were not chosen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import numpy as np

from edge import geometry
from edge.models._blazepose import points, swaps
from edge.models._blazepose.batch import CandidateBatch
from edge.models._blazepose.crops import length_of, median_apart
from edge.structures import VISIBLE

# Distances in the root of the box's area.
_NEAR = 0.1  # two keypoints that are closer are the same
_OTHER = 0.4  # a found body whose median distance is larger is that of another person
_HINTED = np.float32(0.2)  # score of a hint as a seed: enough for a crop, too little to be visible
# Weights of the cascade's keypoint against the sighting's, at equal scores.
_SHARE, _SURER = 0.5, 0.65
LEAST_SCORE = 0.1  # of the body network; crops without a person score less
_DENIED = 0.4
_FEET = ((15, slice(17, 20)), (16, slice(20, 23)))  # keypoints: an ankle and its foot
# BlazePose's points that move with a keypoint: the head, and both hands.
_FOLLOWERS = (
    (0, np.arange(0, 11)),
    (9, np.array([15, 17, 19, 21])),
    (10, np.array([16, 18, 20, 22])),
)


def seeded(batch: CandidateBatch) -> CandidateBatch:
    """The candidates, with the sighting in place of the predicted keypoints.

    So every look pulls a crop back that has wandered. Stills of 12 frames, the seventh is scored:
    mean body OKS of 20 labelled people .739; .695 where the sighting is taken only if it is a
    quarter of the box's size away. Of 121 rendered people .612 both.

    Hints alone serve new people only. With hints, keypoints that are not visible are no seeds: a
    network that sees no hips guesses them inside the frame.
    """
    sure = batch.sightings[..., 2]
    hints = sure < 0
    new = ~(batch.scores[:, points.BODY] > 0).any(1)
    seen = batch.sighted | (hints.any(1) & new)
    if not seen.any():
        return batch
    dim = np.asarray(hints.any(1, keepdims=True) & (sure <= VISIBLE))
    sure = np.where(hints, _HINTED, np.where(dim, 0, sure))
    keypoints, scores = batch.keypoints.copy(), batch.scores.copy()
    keypoints[seen, points.BODY] = batch.sightings[seen, :, :2]
    scores[seen] = 0
    scores[seen, points.BODY] = sure[seen]
    return replace(batch, keypoints=keypoints, scores=scores)


def agreeing(batch: CandidateBatch, body: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """[N] bool: whether bodies [N,K,2] px are those of the sightings; false without a sighting."""
    return np.asarray(batch.sighted & (apart(batch, body, scores) <= _OTHER))


def apart(batch: CandidateBatch, body: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Median distance [N] of bodies and sightings over the root of the box's area; inf if none.

    Args:
        batch: the candidates.
        body: [N,K,2] px, COCO's body first.
        scores: [N,K]; keypoints that are not visible in both are left out.
    """
    both = (scores[:, points.BODY] > VISIBLE) & (batch.sightings[..., 2] > VISIBLE)
    far = median_apart(body[:, points.BODY], batch.sightings[..., :2], both)
    return np.asarray(far / _size(batch))


def joined(
    batch: CandidateBatch, body_feet: np.ndarray, scores: np.ndarray, own: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Join the found bodies with the sightings of their candidates.

    Args:
        batch: the candidates.
        body_feet: [N,23,2] px found by the body network.
        scores: [N,23] of them.
        own: [N] bool, whether the found body is the candidate's. Of others the sighting is taken
            alone; their feet are missing.

    Returns:
        Keypoints [N,23,2] and scores [N,23], in new arrays.
    """
    size = _size(batch)
    body_feet, scores, sighted = swaps.settled(
        body_feet, scores * own[:, None], batch.sightings, size, _SURER
    )
    found, sure = body_feet[:, points.BODY], scores[:, points.BODY]
    seen, weight = sighted[..., :2], np.maximum(sighted[..., 2], 0)
    near = (length_of(found - seen) < (_NEAR * size)[:, None]) | (weight <= 0)
    cascade = np.where(near, _SHARE * sure, np.where(_SURER * sure > weight, 1, 0))
    sighting = np.where(near, weight, 1 - cascade)
    share = (sighting / np.maximum(sighting + cascade, 1e-6))[..., None]
    keypoints, surest = body_feet.copy(), scores.copy()
    keypoints[:, points.BODY] = found + share * (seen - found)
    surest[:, points.BODY] = np.maximum(sure, weight)
    for ankle, foot in _FEET:
        keypoints[:, foot] += (keypoints[:, ankle] - body_feet[:, ankle])[:, None]
        surest[:, foot] *= near[:, ankle, None]
    return keypoints, surest


def followed(places: np.ndarray, body_feet: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """BlazePose's points [N,33,2] px, where head and hands moved with their joined keypoints.

    Args:
        places: [N,33,2] px as found.
        body_feet: [N,23,2] px as found.
        keypoints: [N,23,2] px as joined.
    """
    moved = places.copy()
    for keypoint, group in _FOLLOWERS:
        moved[:, group] += (keypoints[:, keypoint] - body_feet[:, keypoint])[:, None]
    return moved


def person_scores(batch: CandidateBatch, found: np.ndarray) -> np.ndarray:
    """Scores [N] of people who are known by their sighting alone.

    It is the mean keypoint score of the sighting. Of new people it is _DENIED of that if the body
    network finds nobody in the crop: to the network that sees the frame, chairs look like people.

    Args:
        batch: the candidates.
        found: [N] person scores of the body network.
    """
    mean = np.maximum(batch.sightings[..., 2], 0).mean(1)
    denied = (found < LEAST_SCORE) & (batch.ids < 0)
    return np.asarray(mean * np.where(denied, _DENIED, 1), np.float32)


def _size(batch: CandidateBatch) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(geometry.areas_of(batch.boxes), 1)))
