"""Matches people of a frame to tracks: evidence for each pair, and the assignment.

The evidence that a row shows the person of a track is a logarithm of likelihoods: how likely the
row is if it shows this person, over how likely it is if it shows somebody new. The likelihood of a
place spreads with the time since the last observation. So a person who was seen a moment ago is
always more likely than one who is lost, and nobody lost takes over a visible neighbour.

The constants were fitted on the tuning crowds of tools/benches/_walkers.py. H is a person's
standing height in px (edge.people.stature).
"""

from __future__ import annotations

from typing import Tuple, Union

import numpy as np

from edge.people.assignment import assign
from edge.people.motion import BODY_WEIGHTS, BodyState

_MIN_COMMON = 3  # with fewer common visible keypoints, boxes are compared
# Spread of the place, to the side and up or down: H at once, H for each second, and a share of the
# speed, because people turn. Up and down it grows less: people walk on a floor that the camera sees
# from the side.
_PLACE_H, _BOX_PLACE_H = 0.016, 0.06
_SIDE_H_S, _RISE_H_S, _RISE_S = 0.09, 0.16, 1.0
_SIDE_TURN, _RISE_TURN, _TURN_S = 0.2, 0.08, 0.5
# The distribution is Student's with 3 degrees of freedom: its tails are heavy.
_FREEDOM = 3.0
_NEW_H2 = 0.3  # people who are new, in each H² of the picture
# Spread of the posture at once, its growth, and its limit; and what it is between two people. H.
_POSTURE_H, _POSTURE_H_S, _POSTURE_MOST_H, _OTHER_POSTURE_H = 0.05, 0.5, 0.25, 0.2
_POSTURE_WEIGHT = 1.0
# Spread of the logarithm of heights; between two people; and of boxes.
_SIZE, _OTHER_SIZE, _BOX_SIZE = 0.08, 0.3, 0.15
_AGE_LOSS = 1.0  # for each second, up to one: of two who fit, the later seen is more likely
OWN_LEAD = 0.4  # of a pose that was made from this track's candidate: a weak hint
# Nobody is further from the predicted place than this: H, and H for each second.
_NEAR_H, _REACH_H_S = 0.12, 4.0
# Pairs whose boxes lie further apart are not compared: H, and a limit.
_BOXES_H, _BOXES_MOST_H = 0.5, 2.0


def evidence(rows: BodyState, tracks: BodyState, own: np.ndarray) -> np.ndarray:
    """Evidence that measured people are those of predicted tracks.

    Args:
        rows: [R] measured.
        tracks: [T] predicted for the same time.
        own: [R,T] bool, true if the row was made from that track's candidate.

    Returns:
        [R,T] f32; above 0 = rather this person than somebody new, -inf = not allowed.
    """
    out = np.full((len(rows.heights), len(tracks.heights)), -np.inf, np.float32)
    reach_h = np.minimum(_BOXES_H + _REACH_H_S * tracks.age_s, _BOXES_MOST_H)
    apart = np.abs(rows.middles[:, None] - tracks.middles)
    i, j = np.nonzero(apart < reach_h * tracks.heights)
    if len(i):
        out[i, j] = _compared(rows, tracks, i, j) + np.float32(OWN_LEAD) * own[i, j]
    return out


def two_stages(worth: np.ndarray, scores: np.ndarray, high: float) -> np.ndarray:
    """Assign rows of high score to tracks first, then the others to the tracks that are left.

    Source: ByteTrack (Zhang et al., ECCV 2022). A detection of low score starts no track, but it
    may be a known person who is half hidden.

    Args:
        worth: [R,T] evidence; a pair of 0 or less is not allowed.
        scores: [R].
        high: lowest score of the first stage.

    Returns:
        [R] i64 index of the track, -1 = none.
    """
    chosen = np.full(len(scores), -1, np.int64)
    free = np.ones(worth.shape[1], bool)
    sure = scores >= high
    for stage in (sure, ~sure):
        rows, tracks = np.flatnonzero(stage), np.flatnonzero(free)
        if not len(rows) or not len(tracks):
            continue
        table = worth[rows][:, tracks]
        got = assign(np.where(table > 0, -table, np.inf), 0.0)
        taken = tracks[got[got >= 0]]
        chosen[rows[got >= 0]] = taken
        free[taken] = False
    return chosen


def _compared(rows: BodyState, tracks: BodyState, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """The evidence [P] of the pairs of rows i [P] and tracks j [P]."""
    age_s, tall = tracks.age_s[j], tracks.heights[j]
    moved, posture, common = _steps(rows, tracks, i, j)
    known = common >= _MIN_COMMON
    boxes = rows.middles[i] - tracks.middles[j]
    at_once = np.where(known, np.float32(_PLACE_H), np.float32(_BOX_PLACE_H))
    step_h = np.where(known, moved, boxes) / tall
    found = _of_place(step_h, at_once, age_s, tracks.speeds[j] / tall)
    found -= np.float32(_AGE_LOSS) * np.minimum(age_s, 1)
    found[np.abs(step_h) > at_once + _NEAR_H + _REACH_H_S * age_s] = -np.inf
    growth = np.minimum(_POSTURE_H + _POSTURE_H_S * age_s, _POSTURE_MOST_H)
    same_posture = _POSTURE_WEIGHT * of_difference(posture / tall, growth, _OTHER_POSTURE_H)
    ratio = np.log(rows.heights[i] / tall)
    sides = np.log(rows.longer[i] / tracks.longer[j])
    found += np.where(
        known,
        same_posture + of_difference(ratio, _SIZE, _OTHER_SIZE),
        of_difference(sides, _BOX_SIZE, _OTHER_SIZE),
    )
    return np.asarray(found, np.float32)


def _of_place(
    step_h: np.ndarray, at_once: np.ndarray, age_s: np.ndarray, speed_h_s: np.ndarray
) -> np.ndarray:
    """Evidence of a step from the predicted place: Student's distribution in the plane."""
    turn_s = speed_h_s * np.square(age_s) / (_TURN_S + age_s)
    side = at_once + _SIDE_H_S * age_s + _SIDE_TURN * turn_s
    rise = at_once + _RISE_H_S * age_s / (1 + age_s / _RISE_S) + _RISE_TURN * turn_s
    distance = np.square(step_h.real / side) + np.square(step_h.imag / rise)
    tails = (_FREEDOM / 2 + 1) * np.log1p(distance / _FREEDOM)
    return np.asarray(-np.log(2 * np.pi * _NEW_H2 * side * rise) - tails)


def of_difference(
    difference: np.ndarray, spread: Union[float, np.ndarray], other: float
) -> np.ndarray:
    """Evidence of a difference that is about `spread` in one person, `other` between two."""
    variance = np.square(spread)
    return np.asarray(np.log((variance + other**2) / (variance + np.square(difference))))


def _steps(
    rows: BodyState, tracks: BodyState, i: np.ndarray, j: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How people differ in the keypoints that are visible in both, for each pair [P].

    Returns:
        Step of the whole body [P] c64 px, deviation [P] px of keypoints from that step, and the
        number [P] of common keypoints.
    """
    both = (np.minimum(rows.scores[i], tracks.scores[j]) > 0).astype(np.float32)
    step = rows.body[i] - tracks.body[j]
    weights = both * BODY_WEIGHTS
    moved = (step * weights).sum(1) / np.maximum(weights.sum(1), 1)
    step -= moved[:, None]
    common = both.sum(1)
    off = (np.square(step.real) + np.square(step.imag)) * both
    return moved, np.sqrt(off.sum(1) / np.maximum(common, 1)), common
