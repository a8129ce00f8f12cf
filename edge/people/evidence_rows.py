"""What the tracker compares: people as they are expected, as boxes found, and as poses measured."""

from __future__ import annotations

import dataclasses
from typing import Tuple

import numpy as np

from edge.geometry import FARTHEST_PX, OUTWARD, as_complex
from edge.people import motion
from edge.people.motion import BodyState
from edge.people.stature import heights
from edge.structures import VISIBLE, Detections, Poses


def predicted_rows(
    tracks: motion.Tracks, expected: Poses, body17: np.ndarray, t_ns: int
) -> BodyState:
    """The state of tracks at a time.

    Args:
        tracks: [T], borrowed.
        expected: their predictions [T].
        body17: indices of COCO's keypoints.
        t_ns: time of the frame.
    """
    body, _ = _body(expected, body17)
    scores = tracks.scores[:, body17]
    scores = scores * (scores > VISIBLE)
    age_s = motion.elapsed_s(tracks.seen_ns, t_ns)
    speeds = np.abs(tracks.velocity[:, 0])
    return BodyState(body, scores, expected.boxes, tracks.heights, age_s, speeds)


def detected_rows(found: Detections) -> BodyState:
    """The state of a detector's people, who have keypoints or boxes only."""
    n = len(found)
    body, scores = np.zeros((n, 17), np.complex64), np.zeros((n, 17), np.float32)
    if found.keypoints is not None:
        body = as_complex(found.keypoints[..., :2])
        scores = found.keypoints[..., 2]
        scores = scores * (scores > VISIBLE)
    tall = heights(body, scores, found.boxes)
    still = np.zeros(n, np.float32)
    return BodyState(body, scores, found.boxes, tall, still, still)


def measured_rows(
    poses: Poses, own: np.ndarray, tracks: motion.Tracks, body17: np.ndarray
) -> BodyState:
    """The state of measured people; the box of a track's own row comes from its keypoints.

    The box of such a row is the candidate's: it says where the crop was, not what is in it.

    Args:
        poses: [N], borrowed.
        own: [N,T] bool, whether a row was made from the candidate of a track.
        tracks: [T], borrowed.
        body17: indices of COCO's keypoints.
    """
    body, scores = _body(poses, body17)
    tall = heights(body, scores, poses.boxes)
    still = np.zeros(len(poses), np.float32)
    measured = BodyState(body, scores, poses.boxes, tall, still, still)
    cut = own.any(1) & ((scores > 0).sum(1) >= motion.MIN_VISIBLE)
    if cut.any():
        margins = tracks.margins[own[cut].argmax(1)]
        measured.boxes = poses.boxes.copy()
        measured.boxes[cut] = measured.inner[cut] + tall[cut, None] * margins * OUTWARD
    return measured


def _body(poses: Poses, body17: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """COCO keypoints [N,17] c64 px and their scores [N,17], 0 if not visible."""
    scores = poses.scores[:, body17]
    return as_complex(poses.keypoints)[:, body17], scores * (scores > VISIBLE)


def usable(poses: Poses, low_score: float) -> Poses:
    """Rows with a plausible box and a sufficient score; implausible keypoints become missing."""
    if not (plausible(poses.keypoints).all() and np.isfinite(poses.scores).all()):
        good = plausible(poses.keypoints).all(2) & np.isfinite(poses.scores)
        poses = dataclasses.replace(
            poses,
            keypoints=np.where(good[..., None], poses.keypoints, np.float32(0)),
            scores=np.where(good, poses.scores, np.float32(0)),
        )
    good = (poses.person_scores >= low_score) & plausible(poses.boxes).all(1)
    return poses if good.all() else poses.take(good)


def plausible(pixels: np.ndarray) -> np.ndarray:
    """Whether each coordinate can lie in or near a picture; false for NaN and inf.

    A diverging network doubles its boxes from frame to frame. Beyond the range of float32 no two
    boxes overlap, so each would start a new track, without end.
    """
    near: np.ndarray = np.abs(pixels) < FARTHEST_PX
    return near
