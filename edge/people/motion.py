"""The state of tracks: last observation, velocity, predicted pose and box of each person.

A prediction starts from the last observation, not from an earlier prediction. An observation after
a gap sets the velocity as if the gap had been filled with observations on a straight line. This is
the observation-centric re-update of OC-SORT (Cao et al., CVPR 2023). For an exponential velocity
filter it is one step with the gain of the whole gap.

H is a person's standing height in px (edge.people.stature).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge.geometry import OUTWARD, as_complex, as_pairs
from edge.people.colours import SIZE as COLOURS
from edge.structures import VISIBLE, Poses, Rows

# Time constants of the exponential means that estimate velocities ...
_BODY_MEAN_S = 0.15
_KEYPOINT_MEAN_S = 0.05
# ... and of their decay while a person is not seen: a limb reverses sooner than a body.
_BODY_DECAY_S = 2.0
_KEYPOINT_DECAY_S = 0.1
_SCORE_DECAY_S = 0.7  # the score of an unseen keypoint falls to 1/e in this time
_MARGIN_H = 0.1  # from keypoints to the sides of a detector's box, before any was measured
_MARGIN_MAX_H = 0.3
_SHRINK = 0.1  # a box that is too large loses this share of the excess in each frame
_HEIGHT_GAIN = 0.2
MIN_VISIBLE = 4  # with fewer visible body keypoints, no box is derived from them
BODY_WEIGHTS = np.ones(17, np.float32)  # of COCO keypoints in the motion of the body
BODY_WEIGHTS[[5, 6, 11, 12]] = 3


@dataclass
class BodyState:
    """People as the matcher compares them: measured in a frame, or predicted for it."""

    body: np.ndarray  # [N,17] c64 px, COCO keypoints as x + iy
    scores: np.ndarray  # [N,17] f32, 0 if not above VISIBLE
    boxes: np.ndarray  # [N,4] f32 px
    heights: np.ndarray  # [N] f32 px
    age_s: np.ndarray  # [N] f32 since the last observation; 0 for measured people
    speeds: np.ndarray  # [N] f32 px/s of the body; 0 for measured people

    def take(self, which: np.ndarray) -> BodyState:
        """Rows chosen by a mask or by indices, in that order."""
        return BodyState(
            self.body[which],
            self.scores[which],
            self.boxes[which],
            self.heights[which],
            self.age_s[which],
            self.speeds[which],
        )

    @cached_property
    def middles(self) -> np.ndarray:
        """Middles [N] c64 px of the boxes."""
        middles: np.ndarray = as_complex((self.boxes[:, :2] + self.boxes[:, 2:]) / 2)
        return middles

    @cached_property
    def longer(self) -> np.ndarray:
        """Longer sides [N] f32 px of the boxes, at least 1."""
        return np.maximum((self.boxes[:, 2:] - self.boxes[:, :2]).max(1, initial=1), 1)

    @cached_property
    def inner(self) -> np.ndarray:
        """Tight boxes [N,4] f32 px of visible keypoints; from inf to -inf if none is visible."""
        hidden = np.where(self.scores > 0, np.float32(0), np.float32(np.inf))
        x, y = self.body.real, self.body.imag
        boxes = np.empty((len(hidden), 4), np.float32)
        boxes[:, 0], boxes[:, 1] = (x + hidden).min(1), (y + hidden).min(1)
        boxes[:, 2], boxes[:, 3] = (x - hidden).max(1), (y - hidden).max(1)
        return boxes


@dataclass
class Tracks:
    """One row for each known person, oldest first."""

    ids: np.ndarray  # [T] i64
    hits: np.ndarray  # [T] i64 number of observations
    seen_ns: np.ndarray  # [T] i64 time of the last observation
    alive_ns: np.ndarray  # [T] i64 time of the last observation or detector box
    points: np.ndarray  # [T,K] c64 px, keypoints of the last observation
    scores: np.ndarray  # [T,K] f32
    velocity: np.ndarray  # [T,1] c64 px/s of the body
    relative: np.ndarray  # [T,K] c64 px/s of each keypoint, relative to the body's velocity
    boxes: np.ndarray  # [T,4] f32 px
    boxes_ns: np.ndarray  # [T] i64 time of the box
    margins: np.ndarray  # [T,4] f32 H from the keypoints to each side of the box
    shift: np.ndarray  # [T,1] c64 px that detector boxes moved an unseen person by
    heights: np.ndarray  # [T] f32 px
    person_scores: np.ndarray  # [T] f32
    colours: np.ndarray  # [T,C] f32 of the clothes (edge.people.colours), 0 = not known
    colours_ns: np.ndarray  # [T] i64 time when they were seen

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, which: np.ndarray) -> Tracks:
        """Rows chosen by a mask or by indices, in that order."""
        return Tracks(*[rows[which] for rows in vars(self).values()])

    def join(self, others: Tracks) -> Tracks:
        """These tracks, then the others."""
        pairs = zip(vars(self).values(), vars(others).values())
        return Tracks(*[np.concatenate(pair) for pair in pairs])


def new_tracks(poses: Poses, heights: np.ndarray, first_id: int, t_ns: int) -> Tracks:
    """Tracks of people who are observed for the first time; ids count up from `first_id`."""
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
        relative=np.zeros((n, k), np.complex64),
        boxes=poses.boxes.copy(),
        boxes_ns=now.copy(),
        margins=np.full((n, 4), _MARGIN_H, np.float32),
        shift=np.zeros((n, 1), np.complex64),
        heights=heights.astype(np.float32),
        person_scores=poses.person_scores.copy(),
        colours=np.zeros((n, COLOURS), np.float32),
        colours_ns=np.zeros(n, np.int64),
    )


def predict(tracks: Tracks, skeleton: str, t_ns: int) -> Poses:
    """The pose and box of every track at time `t_ns`, in new arrays; boxes move with the bodies."""
    age_s = elapsed_s(tracks.seen_ns, t_ns)[:, None]
    points = tracks.velocity * _decayed_s(age_s, _BODY_DECAY_S) + tracks.shift
    points = points + tracks.points
    points += tracks.relative * _decayed_s(age_s, _KEYPOINT_DECAY_S)
    box_age_s = elapsed_s(tracks.boxes_ns, t_ns)[:, None]
    boxes = shifted(tracks.boxes, tracks.velocity * _decayed_s(box_age_s, _BODY_DECAY_S))
    kept = np.exp(-age_s / np.float32(_SCORE_DECAY_S))
    return Poses(
        as_pairs(points), tracks.scores * kept, boxes, tracks.ids, tracks.person_scores, skeleton
    )


def elapsed_s(since_ns: np.ndarray, t_ns: int) -> np.ndarray:
    """Seconds [N] f32 since times [N]; 0 for times in the future, if the clock ran back."""
    return np.asarray(np.maximum(t_ns - since_ns, 0) * 1e-9, np.float32)


def shifted(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Boxes [N,4] moved by [N,1] c64 px."""
    step = as_pairs(by)[:, 0]
    return np.asarray(boxes + np.concatenate((step, step), 1))


def _decayed_s(age_s: np.ndarray, decay_s: float) -> np.ndarray:
    """Distance over initial velocity, after `age_s`, of a velocity that decays exponentially."""
    return np.asarray(decay_s * -np.expm1(-age_s / decay_s), np.float32)


def observe(
    tracks: Tracks,
    which: Rows,
    poses: Poses,
    expected: Poses,
    heights: np.ndarray,
    body17: np.ndarray,
    t_ns: int,
) -> None:
    """Update tracks with observations of their people.

    Args:
        tracks: changed in place.
        which: [N] rows of tracks that were observed; row i of the next three belongs to which[i].
        poses: the observations.
        expected: the predictions for this frame.
        heights: [N] f32 px.
        body17: [17] indices of the COCO keypoints in the skeleton.
        t_ns: time of the frame.
    """
    points = as_complex(poses.keypoints)
    gap_s = np.maximum(elapsed_s(tracks.seen_ns[which], t_ns), np.float32(1e-3))[:, None]
    both = np.minimum(tracks.scores[which], poses.scores) > VISIBLE
    _learn_motion(tracks, which, (points - tracks.points[which]) / gap_s, both, body17, gap_s)
    missing = poses.scores <= 0
    if missing.any():  # a hidden keypoint keeps its predicted place, with a falling score
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
    """Learn the body's velocity from visible keypoints, and each keypoint's relative to it."""
    weights = both[:, body17] * BODY_WEIGHTS
    total = weights.sum(1, keepdims=True)
    seen = (speeds[:, body17] * weights).sum(1, keepdims=True) / np.maximum(total, 1)
    old = tracks.velocity[which]
    gain = -np.expm1(-gap_s / np.float32(_BODY_MEAN_S))
    gain = np.maximum(gain, 1 / tracks.hits[which][:, None].astype(np.float32))
    velocity = np.where(total > 0, old + gain * (seen - old), old)
    relative = tracks.relative[which]
    relative += -np.expm1(-gap_s / np.float32(_KEYPOINT_MEAN_S)) * (speeds - velocity - relative)
    relative *= both
    tracks.velocity[which], tracks.relative[which] = velocity, relative


def fit_boxes(
    tracks: Tracks, which: np.ndarray, measured: BodyState, expected: np.ndarray, t_ns: int
) -> None:
    """Update the boxes of tracks whose keypoints were observed.

    If a detector gave a box in this frame, the margins between keypoints and box are learned from
    it. Otherwise the box grows at once to hold the keypoints and the margins. It shrinks slowly, so
    that hidden legs are looked for again.

    Args:
        tracks: changed in place.
        which: [N] rows of tracks.
        measured: [N] people in this frame.
        expected: [N,4] predicted boxes.
        t_ns: time of the frame.
    """
    enough = (measured.scores > 0).sum(1) >= MIN_VISIBLE
    if not enough.all():
        which, measured, expected = which[enough], measured.take(enough), expected[enough]
    inner, unit = measured.inner, measured.heights[:, None] * OUTWARD
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
    """Learn margins from the detector's boxes and the keypoints' tight boxes `inner` [N,4]."""
    reach = (tracks.boxes[which] - inner) / unit
    margins = np.minimum(np.maximum(reach, 0), np.float32(_MARGIN_MAX_H))
    tracks.margins[which] += np.float32(0.5) * (margins - tracks.margins[which])


def take_boxes(
    tracks: Tracks,
    which: np.ndarray,
    boxes: np.ndarray,
    expected: Poses,
    t_ns: int,
    last_ns: int,
) -> None:
    """Give tracks the detector's boxes of their people, before their keypoints are looked for.

    The keypoints of a person who was not seen in the last frame move with the box.

    Args:
        tracks: changed in place.
        which: [N] rows of tracks.
        boxes: [N,4] f32 px of the detector.
        expected: the predictions of all tracks for this frame.
        t_ns: time of the frame.
        last_ns: time of the frame before.
    """
    step = (boxes - expected.boxes[which]).reshape(-1, 2, 2).mean(1)
    lost = tracks.seen_ns[which] < last_ns
    tracks.shift[which] += as_complex(step[:, None]) * lost[:, None]
    tracks.boxes[which] = boxes
    tracks.boxes_ns[which] = tracks.alive_ns[which] = t_ns
