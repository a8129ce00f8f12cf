"""Keypoints stop trembling: a constant-velocity Kalman filter for each, one Smoother per camera.

Pure: time is an argument. Variances are kept in squared person heights (H), so that noise and
acceleration mean the same for people near and far.
"""

from __future__ import annotations

import dataclasses
from typing import Tuple

import numpy as np

from edge.geometry import as_complex
from edge.people.stature import heights
from edge.settings.config import Smooth
from edge.skeletons import Skeleton
from edge.structures import Poses

_UNKNOWN = np.float32(1e6)  # H²: variance of a place of which nothing is known
_START_SPEED = np.float32(4.0)  # H/s: what a keypoint may move at when first seen
_COAST_S = np.float32(0.065)  # in which a hidden keypoint loses half of its own speed
_COAST_SCORE = np.float32(0.85)  # share of the score that it keeps from frame to frame
# Of its squared distance, what a refused measurement adds to the variance of the place: so one
# that the next confirms is believed. A filter that waited for three, and coasted meanwhile, drew
# limbs longer than 0.9 torsos in 72 of 959 poses of the four-camera clip (at 30 Hz); this one in
# 25.
_DOUBT = np.float32(0.2)
_HEIGHT_GAIN = np.float32(0.1)
_MEMORY_S = 1.0  # whoever is away longer starts anew
_MIN_SCORE_FOR_NOISE = np.float32(0.05)

# Planes of the state: place and speed in px, px/s; variances in H²; count of frames.
_X, _VX, _P00, _P01, _P11, _BELIEF, _MISSED, _PLANES = 0, 2, 4, 5, 6, 7, 8, 9


class Smoother:
    """Filters the keypoints of everyone in one camera, by id.

    Each keypoint has the state (place, speed) with white acceleration as process noise; x and y
    share their variances. The update is Joseph's form written out. A measurement that is too far
    from the prediction (chi-square, 2 degrees of freedom) or too weak is not taken: the keypoint
    coasts, ever slower and with a falling score, until it is given up. Of one too far off it is not
    known who is wrong: the keypoint stays where it was, and the next is taken from further.
    """

    def __init__(self, options: Smooth, skeleton: Skeleton) -> None:
        self._options = options
        self._body17 = skeleton.body17
        self._ids = np.zeros(0, np.int64)
        self._t_ns = np.zeros(0, np.int64)
        self._heights = np.zeros(0, np.float32)
        # Two of them: when people come or go, rows move from one to the other.
        self._state = np.zeros((_PLANES, 0, len(skeleton)), np.float32)
        self._spare = self._state.copy()

    def __call__(self, poses: Poses, t_ns: int) -> Poses:
        """The same people, steady.

        Args:
            poses: of the tracker; rows with id -1 are not filtered. Borrowed.
            t_ns: time of the frame.

        Returns:
            A record with keypoints and scores of its own; what is weak and was never sure is as
            measured.
        """
        named = poses.ids >= 0
        if not named.all():
            return self._mixed(poses, named, t_ns)
        poses = _finite(poses)
        self._align(poses, t_ns)
        state = self._state[:, : len(poses)]
        dt_s = self._elapsed_s(len(poses), t_ns)
        tall = self._measure_heights(poses)
        _predict(state, dt_s, self._options.q)
        _correct(state, poses, tall, dt_s, self._body17, self._options)
        keypoints, scores = _told(state, poses, self._options.coast_frames)
        return dataclasses.replace(poses, keypoints=keypoints, scores=scores)

    def _mixed(self, poses: Poses, named: np.ndarray, t_ns: int) -> Poses:
        smooth = self(poses.take(named), t_ns)
        keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
        keypoints[named], scores[named] = smooth.keypoints, smooth.scores
        return dataclasses.replace(poses, keypoints=keypoints, scores=scores)

    def _elapsed_s(self, n: int, t_ns: int) -> np.ndarray:
        dt_s = np.maximum(t_ns - self._t_ns[:n], 0) * 1e-9
        self._t_ns[:n] = t_ns
        return dt_s.astype(np.float32)[:, None]

    def _measure_heights(self, poses: Poses) -> np.ndarray:
        points = as_complex(poses.keypoints)
        now = heights(points[:, self._body17], poses.scores[:, self._body17], poses.boxes)
        kept = self._heights[: len(poses)]
        kept += np.where(kept > 0, _HEIGHT_GAIN * (now - kept), now)
        return kept

    def _align(self, poses: Poses, t_ns: int) -> None:
        """Put the rows of these people first, in their order; keep the others for a while."""
        n = len(poses)
        away_s = (t_ns - self._t_ns) * 1e-9
        if np.array_equal(self._ids[:n], poses.ids) and (away_s[:n] <= _MEMORY_S).all():
            return
        row_of = {int(i): row for row, i in enumerate(self._ids)}
        source = np.array([row_of.pop(int(i), -1) for i in poses.ids], np.int64)
        rest = np.array(list(row_of.values()), np.int64)
        rest = rest[away_s[rest] <= _MEMORY_S]
        source[np.isin(source, np.flatnonzero(away_s > _MEMORY_S))] = -1
        self._move(np.concatenate((source, rest)), np.concatenate((poses.ids, self._ids[rest])))
        self._t_ns[:n][source < 0] = t_ns

    def _move(self, source: np.ndarray, ids: np.ndarray) -> None:
        """Row i comes from row source[i]; -1 = a new person."""
        new = source < 0
        m = len(ids)
        if m > self._spare.shape[1]:
            shape = (_PLANES, 2 * m, self._spare.shape[2])
            self._spare = np.zeros(shape, np.float32)
        if len(self._ids):
            np.take(self._state, source, 1, out=self._spare[:, :m], mode="clip")
            self._t_ns, self._heights = self._t_ns[source], self._heights[source]
        else:
            self._t_ns, self._heights = np.zeros(m, np.int64), np.zeros(m, np.float32)
        self._state, self._spare = self._spare, self._state
        self._ids = ids
        self._heights[new] = 0
        self._state[:, :m][:, new] = 0
        self._state[_P00, :m][new] = _UNKNOWN
        self._state[_P11, :m][new] = _START_SPEED**2
        self._state[_MISSED, :m][new] = np.inf


def _finite(poses: Poses) -> Poses:
    """Keypoints that are no numbers are missing."""
    if np.isfinite(poses.keypoints).all() and np.isfinite(poses.scores).all():
        return poses
    good = np.isfinite(poses.keypoints).all(2) & np.isfinite(poses.scores)
    keypoints = np.where(good[..., None], poses.keypoints, np.float32(0))
    return dataclasses.replace(
        poses, keypoints=keypoints, scores=np.where(good, poses.scores, np.float32(0))
    )


def _predict(state: np.ndarray, dt: np.ndarray, acceleration: float) -> None:
    """Move places by speeds, variances by a constant acceleration that is new in every step.

    Its variance is (acceleration H)², it acts for dt, so its density is q = (acceleration H)² dt.

    Args:
        state: [planes,N,K], changed in place.
        dt: [N,1] s.
        acceleration: H/s².
    """
    p00, p01, p11 = state[_P00], state[_P01], state[_P11]
    q = np.float32(acceleration) ** 2 * dt
    state[_X : _X + 2] += state[_VX : _VX + 2] * dt
    step = p11 * dt
    p00 += (2 * p01 + step) * dt + q * dt**3 / 3
    p01 += step + q * dt**2 / 2
    p11 += q * dt


def _correct(
    state: np.ndarray,
    poses: Poses,
    tall: np.ndarray,
    dt: np.ndarray,
    body17: np.ndarray,
    options: Smooth,
) -> None:
    """Take the measurements that can be believed; let the other keypoints coast.

    Source: Kalman's update in Joseph's form for a 2-state filter that measures the place.
    """
    n00, n01, n11 = state[_P00], state[_P01], state[_P11]
    noise = np.float32(options.r) / np.clip(poses.scores, _MIN_SCORE_FOR_NOISE, 1)
    noise *= noise
    off = poses.keypoints.transpose(2, 0, 1) - state[_X : _X + 2]
    total = n00 + noise
    strange = (off * off).sum(0) / np.square(tall)[:, None]
    strong = poses.scores > options.min_score
    taken = strong & (strange <= options.gate * total)
    k0, k1 = taken * (n00 / total), taken * (n01 / total)
    state[_X : _X + 2] += k0 * off
    state[_VX : _VX + 2] += k1 * off
    rest = 1 - k0
    p01 = rest * (n01 - k1 * n00) + k0 * k1 * noise
    n11 += k1 * (k1 * total - 2 * n01)
    n00[:] = rest * rest * n00 + k0 * k0 * noise
    n01[:] = p01
    refused = strong & ~taken
    n00 += refused * (_DOUBT * strange)
    _coast(state, taken, refused, dt, body17)
    _count(state, poses.scores, taken, options.coast_frames)


def _coast(
    state: np.ndarray, taken: np.ndarray, refused: np.ndarray, dt: np.ndarray, body17: np.ndarray
) -> None:
    """A hidden keypoint loses its own motion, but goes on with the body: an arm behind a walker.

    One whose measurement was strong, but refused, loses it at once, and the step it just made: a
    speed that comes from the jump before would carry it across the picture.
    """
    seen = taken[:, body17]
    speed = state[_VX : _VX + 2]
    body = (speed[:, :, body17] * seen).sum(2) / np.maximum(seen.sum(1), 1)
    own = speed - body[:, :, None]
    state[_X : _X + 2] -= refused * dt * own
    speed -= np.where(refused, np.float32(1), ~taken * (1 - np.exp2(-dt / _COAST_S))) * own


def _count(state: np.ndarray, scores: np.ndarray, taken: np.ndarray, coast: int) -> None:
    """Scores, coasting, and what is given up: a place long unseen."""
    lost = ~taken
    state[_BELIEF] *= _COAST_SCORE * lost
    state[_BELIEF] += scores * taken
    state[_MISSED] = np.where(lost, state[_MISSED] + 1, 0)
    anew = state[_MISSED] > coast
    if anew.any():
        state[_VX : _VX + 2] *= ~anew
        state[_P00] = np.where(anew, _UNKNOWN, state[_P00])
        state[_P01] *= ~anew
        state[_P11] = np.where(anew, _START_SPEED**2, state[_P11])


def _told(state: np.ndarray, poses: Poses, coast: int) -> Tuple[np.ndarray, np.ndarray]:
    """Keypoints and scores to publish: filtered where the filter knows, else as measured."""
    known = state[_MISSED] <= coast
    scores = np.where(known, state[_BELIEF], poses.scores)
    keypoints = np.empty_like(poses.keypoints)
    for axis in (0, 1):
        keypoints[..., axis] = np.where(known, state[_X + axis], poses.keypoints[..., axis])
    return keypoints, scores
