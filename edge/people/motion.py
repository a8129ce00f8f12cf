"""What a tracker remembers of people: the last sight of each, their motion, where they are now.

People move on from the LAST SIGHT, never from a prediction, and a sight after a gap sets the
velocity as if the gap had been filled with sights on a straight line: the observation-centric
re-update of OC-SORT (Cao et al., CVPR 2023), which for an exponential velocity filter is one step
with the gain of the whole gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge.geometry import OUTWARD, as_complex, as_pairs
from edge.structures import VISIBLE, Poses, Rows

# Seconds. Velocities are exponential means over so long ...
_BODY_MEAN_S = 0.15
_JOINT_MEAN_S = 0.05
# ... and die out over so long when nothing is seen; a limb turns round sooner than a body.
_BODY_MOTION_S = 2.0
_JOINT_MOTION_S = 0.1
_BELIEF_S = 0.7  # an unseen keypoint's score falls to 1/e in this time
_MARGIN_H = 0.1  # a detector's box is so much larger than the keypoints, until it was measured
_MARGIN_MAX_H = 0.3
_SHRINK = 0.1  # share of a too large box that is given back in each frame
_HEIGHT_GAIN = 0.2
MIN_SEEN = 4  # body keypoints that make a box
_WEIGHTS = np.ones(17, np.float32)  # of COCO keypoints in the motion of the whole person
_WEIGHTS[[5, 6, 11, 12]] = 3


@dataclass
class Sight:
    """People as they are compared: measured in a frame, or predicted for it."""

    body: np.ndarray  # [N,17] c64 px, COCO keypoints as x + iy
    seen: np.ndarray  # [N,17] f32 scores, 0 where not VISIBLE
    boxes: np.ndarray  # [N,4] f32 px
    heights: np.ndarray  # [N] f32 px
    age_s: np.ndarray  # [N] f32 since the last sight; 0 for measured people

    def take(self, which: np.ndarray) -> Sight:
        """Rows chosen by a mask or by indices, in that order."""
        return Sight(
            self.body[which],
            self.seen[which],
            self.boxes[which],
            self.heights[which],
            self.age_s[which],
        )

    @cached_property
    def inner(self) -> np.ndarray:
        """Boxes [N,4] f32 px of the visible body keypoints; inside out where none is visible."""
        hidden = np.where(self.seen > 0, np.float32(0), np.float32(np.inf))
        x, y = self.body.real, self.body.imag
        boxes = np.empty((len(hidden), 4), np.float32)
        boxes[:, 0], boxes[:, 1] = (x + hidden).min(1), (y + hidden).min(1)
        boxes[:, 2], boxes[:, 3] = (x - hidden).max(1), (y - hidden).max(1)
        return boxes


@dataclass
class Tracks:
    """One row for each person known, oldest first."""

    ids: np.ndarray  # [T] i64
    hits: np.ndarray  # [T] i64 frames in which they were seen
    seen_ns: np.ndarray  # [T] i64 time of the last sight
    alive_ns: np.ndarray  # [T] i64 time of the last sight or supporting box
    points: np.ndarray  # [T,K] c64 px keypoints of the last sight
    scores: np.ndarray  # [T,K] f32
    velocity: np.ndarray  # [T,1] c64 px/s of the whole person
    swing: np.ndarray  # [T,K] c64 px/s of each keypoint beside that
    boxes: np.ndarray  # [T,4] f32 px
    boxes_ns: np.ndarray  # [T] i64 time of the box
    margins: np.ndarray  # [T,4] f32 H: how far the box reaches beyond the keypoints, each side
    shift: np.ndarray  # [T,1] c64 px: where a supporting box says the unseen person went
    heights: np.ndarray  # [T] f32 px
    person_scores: np.ndarray  # [T] f32

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, which: np.ndarray) -> Tracks:
        """Rows chosen by a mask or by indices, in that order."""
        return Tracks(*[rows[which] for rows in vars(self).values()])

    def join(self, others: Tracks) -> Tracks:
        """These, then the others."""
        pairs = zip(vars(self).values(), vars(others).values())
        return Tracks(*[np.concatenate(pair) for pair in pairs])


def newborn(poses: Poses, heights: np.ndarray, first_id: int, t_ns: int) -> Tracks:
    """Tracks of people seen for the first time; ids count up from `first_id`."""
    n, k = poses.scores.shape
    now = np.full(n, t_ns, np.int64)
    return Tracks(
        ids=np.arange(first_id, first_id + n),
        hits=np.ones(n, np.int64),
        seen_ns=now,
        alive_ns=now.copy(),
        points=as_complex(poses.keypoints).copy(),
        scores=poses.scores.copy(),
        velocity=np.zeros((n, 1), np.complex64),
        swing=np.zeros((n, k), np.complex64),
        boxes=poses.boxes.copy(),
        boxes_ns=now.copy(),
        margins=np.full((n, 4), _MARGIN_H, np.float32),
        shift=np.zeros((n, 1), np.complex64),
        heights=heights.astype(np.float32),
        person_scores=poses.person_scores.copy(),
    )


def predict(tracks: Tracks, skeleton: str, t_ns: int) -> Poses:
    """Where everyone should be at a time; boxes move with their people. New arrays."""
    age_s = elapsed_s(tracks.seen_ns, t_ns)[:, None]
    points = tracks.velocity * _reach_s(age_s, _BODY_MOTION_S) + tracks.shift
    points = points + tracks.points
    points += tracks.swing * _reach_s(age_s, _JOINT_MOTION_S)
    box_age_s = elapsed_s(tracks.boxes_ns, t_ns)[:, None]
    boxes = shifted(tracks.boxes, tracks.velocity * _reach_s(box_age_s, _BODY_MOTION_S))
    belief = np.exp(-age_s / np.float32(_BELIEF_S))
    return Poses(
        as_pairs(points), tracks.scores * belief, boxes, tracks.ids, tracks.person_scores, skeleton
    )


def elapsed_s(since_ns: np.ndarray, t_ns: int) -> np.ndarray:
    """Seconds [N] f32 since times [N]; a clock that runs back counts as standing still."""
    return np.asarray(np.maximum(t_ns - since_ns, 0) * 1e-9, np.float32)


def shifted(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Boxes [N,4] moved by [N,1] c64 px."""
    step = as_pairs(by)[:, 0]
    return np.asarray(boxes + np.concatenate((step, step), 1))


def _reach_s(age_s: np.ndarray, lasting_s: float) -> np.ndarray:
    """How many seconds' worth of motion are left in a velocity that dies out exponentially."""
    return np.asarray(lasting_s * -np.expm1(-age_s / lasting_s), np.float32)


def observe(
    tracks: Tracks,
    which: Rows,
    poses: Poses,
    expected: Poses,
    heights: np.ndarray,
    body17: np.ndarray,
    t_ns: int,
) -> None:
    """Take new sights of known people.

    Args:
        tracks: changed in place.
        which: [N] rows of tracks that were seen; row i of the following belongs to which[i].
        poses: what was seen.
        expected: where they should have been.
        heights: [N] f32 px.
        body17: [17] COCO keypoints of the skeleton.
        t_ns: time of the frame.
    """
    points = as_complex(poses.keypoints)
    gap_s = np.maximum(elapsed_s(tracks.seen_ns[which], t_ns), np.float32(1e-3))[:, None]
    both = np.minimum(tracks.scores[which], poses.scores) > VISIBLE
    _learn_motion(tracks, which, (points - tracks.points[which]) / gap_s, both, body17, gap_s)
    missing = poses.scores <= 0
    if missing.any():  # the place of a hidden keypoint is kept, with waning belief
        tracks.points[which] = np.where(missing, as_complex(expected.keypoints), points)
        tracks.scores[which] = np.where(missing, expected.scores, poses.scores)
    else:
        tracks.points[which], tracks.scores[which] = points, poses.scores
    tracks.heights[which] += np.float32(_HEIGHT_GAIN) * (heights - tracks.heights[which])
    tracks.seen_ns[which] = tracks.alive_ns[which] = t_ns
    tracks.shift[which] = 0
    tracks.hits[which] += 1
    tracks.person_scores[which] = poses.person_scores


def _learn_motion(
    tracks: Tracks,
    which: Rows,
    speeds: np.ndarray,
    both: np.ndarray,
    body17: np.ndarray,
    gap_s: np.ndarray,
) -> None:
    """Mean velocity of the visible body (the torso thrice), then that of each keypoint beside."""
    weights = both[:, body17] * _WEIGHTS
    total = weights.sum(1, keepdims=True)
    seen = (speeds[:, body17] * weights).sum(1, keepdims=True) / np.maximum(total, 1)
    old = tracks.velocity[which]
    gain = -np.expm1(-gap_s / np.float32(_BODY_MEAN_S))
    velocity = np.where(total > 0, old + gain * (seen - old), old)
    swing = tracks.swing[which]
    swing += -np.expm1(-gap_s / np.float32(_JOINT_MEAN_S)) * (speeds - velocity - swing)
    swing *= both
    tracks.velocity[which], tracks.swing[which] = velocity, swing


def fit_boxes(
    tracks: Tracks, which: np.ndarray, sight: Sight, expected: np.ndarray, t_ns: int
) -> None:
    """Boxes of people whose keypoints were seen.

    Where a detector gave a box in this frame, learn how far it reaches beyond the keypoints. Else
    grow the box at once to hold the keypoints with that margin, and give back what is too much
    slowly, so that hidden legs are looked for again.

    Args:
        tracks: changed in place.
        which: [N] rows of tracks.
        sight: [N] as measured.
        expected: [N,4] predicted boxes.
        t_ns: time of the frame.
    """
    enough = (sight.seen > 0).sum(1) >= MIN_SEEN
    if not enough.all():
        which, sight, expected = which[enough], sight.take(enough), expected[enough]
    inner, unit = sight.inner, sight.heights[:, None] * OUTWARD
    given = tracks.boxes_ns[which] == t_ns
    if given.any():
        _learn_margins(tracks, which[given], inner[given], unit[given])
    goal = inner + tracks.margins[which] * unit
    low, high = np.minimum(expected, goal)[:, :2], np.maximum(expected, goal)[:, 2:]
    held = np.concatenate((low, high), 1)
    held += np.float32(_SHRINK) * (goal - held)
    tracks.boxes[which] = np.where(given[:, None], tracks.boxes[which], held)
    tracks.boxes_ns[which] = t_ns


def _learn_margins(tracks: Tracks, which: np.ndarray, inner: np.ndarray, unit: np.ndarray) -> None:
    """How far a detector's boxes reach beyond the keypoints' boxes `inner` [N,4], in `unit`s."""
    reach = (tracks.boxes[which] - inner) / unit
    margins = np.minimum(np.maximum(reach, 0), np.float32(_MARGIN_MAX_H))
    tracks.margins[which] += np.float32(0.5) * (margins - tracks.margins[which])


def support(
    tracks: Tracks,
    which: np.ndarray,
    boxes: np.ndarray,
    expected: Poses,
    t_ns: int,
    last_ns: int,
) -> None:
    """Take a detector's boxes of known people, before their keypoints are looked for.

    Whoever was not seen in the last frame has gone where the box is, keypoints and all.

    Args:
        tracks: changed in place.
        which: [N] rows of tracks.
        boxes: [N,4] f32 px of the detector.
        expected: of all tracks, where they should have been.
        t_ns: time of the frame.
        last_ns: time of the frame before.
    """
    step = (boxes - expected.boxes[which]).reshape(-1, 2, 2).mean(1)
    lost = tracks.seen_ns[which] < last_ns
    tracks.shift[which] += as_complex(step[:, None]) * lost[:, None]
    tracks.boxes[which] = boxes
    tracks.boxes_ns[which] = tracks.alive_ns[which] = t_ns
