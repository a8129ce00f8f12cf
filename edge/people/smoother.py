"""Smoothing: a constant-velocity Kalman filter for each keypoint. One Smoother serves one camera.

Pure: time is an argument. Variances are in H² (H = the person's standing height), so that noise and
acceleration mean the same for near and distant people.
"""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

import numpy as np

from edge.geometry import as_complex
from edge.people.innovations import Innovations, Refine
from edge.people.stature import heights
from edge.settings.config import Smooth
from edge.skeletons import Skeleton
from edge.structures import Poses

_UNKNOWN = np.float32(1e6)  # H², variance of an unknown position
_START_SPEED = np.float32(4.0)  # H/s, standard deviation of the speed of a new keypoint
_COAST_S = np.float32(0.065)  # a coasting keypoint loses half of its own speed in this time
_SCORE_HALF_S = np.float32(0.14)  # a coasting keypoint loses half of its score in this time
# The time over which the acceleration of process noise is constant. A fixed time, not the distance
# of two frames: else the filter would trust its prediction less, the slower the camera is.
_ACCELERATION_S = np.float32(1 / 30)
# A rejected measurement adds this share of its squared distance to the variance of the position.
# So the filter accepts a position that the next measurement confirms. At 30 Hz, limbs were longer
# than 0.9 torsos in 25 of 959 poses of the four-camera clip. A filter that waited for three
# measurements, and coasted meanwhile, gave 72.
_REJECTED_SHARE = np.float32(0.2)
_HEIGHT_GAIN = np.float32(0.1)
_KEEP_S = 1.0  # the filters of a person who is away longer start again
_MIN_SCORE_FOR_NOISE = np.float32(0.05)

# Planes of the state. Positions (x, y) in px, velocities in px/s; entries of the covariance in H²;
# the published score; the seconds since the last accepted measurement.
_X, _VX, _P00, _P01, _P11, _SCORE, _UNSEEN_S, _PLANES = 0, 2, 4, 5, 6, 7, 8, 9


class Smoother:
    """Filters the keypoints of all people of one camera, by id.

    The state of a keypoint is position and velocity; the process noise is white acceleration. x and
    y share one covariance. The update is Joseph's form, written out.

    A measurement is rejected if its score is too low, or if it is too far from the prediction
    (chi-square test, 2 degrees of freedom). After a low score the keypoint coasts: it slows down
    and its score falls. If a measurement is too far off, either it or the filter may be wrong: the
    keypoint stays in place, and the gate widens for the next one. After `coast_s` the filter of the
    keypoint starts again. Nothing depends on the number of frames.
    """

    def __init__(
        self, options: Smooth, skeleton: Skeleton, refine: Optional[Refine] = None
    ) -> None:
        self._options = options
        self._refine = refine
        self._body17 = skeleton.body17
        self._ids = np.zeros(0, np.int64)
        self._t_ns = np.zeros(0, np.int64)
        self._heights = np.zeros(0, np.float32)
        # When people come or go, rows are moved from one buffer to the other.
        self._state = np.zeros((_PLANES, 0, len(skeleton)), np.float32)
        self._spare = self._state.copy()

    def __call__(self, poses: Poses, t_ns: int) -> Poses:
        """Smooth the people of a frame.

        Args:
            poses: people of the tracker; rows with id -1 are not filtered. Borrowed.
            t_ns: time of the frame.

        Returns:
            The same people with new arrays of keypoints and scores. A keypoint that had no accepted
            measurement lately is as measured.
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
        before = state.copy() if self._refine is not None else None
        _correct(state, poses, tall, dt_s, self._body17, self._options)
        keypoints, scores = _published(state, poses)
        if before is not None:
            self._correct_by_model(keypoints, before, poses, dt_s[:, 0])
        return dataclasses.replace(poses, keypoints=keypoints, scores=scores)

    def _correct_by_model(
        self, keypoints: np.ndarray, before: np.ndarray, poses: Poses, dt_s: np.ndarray
    ) -> None:
        """Add what `refine` says to filtered keypoints [N,K,2], in place."""
        assert self._refine is not None
        tall = self._heights[: len(poses)]
        found = _innovations(before, keypoints, poses, tall, dt_s, self._options.r)
        add_h = self._refine(found)
        if add_h is not None:
            keypoints += add_h * tall[:, None, None]

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
        """Put the rows of these people first, in their order; keep the others for _KEEP_S."""
        n = len(poses)
        away_s = (t_ns - self._t_ns) * 1e-9
        if np.array_equal(self._ids[:n], poses.ids) and (away_s[:n] <= _KEEP_S).all():
            return
        row_of = {int(i): row for row, i in enumerate(self._ids)}
        source = np.array([row_of.pop(int(i), -1) for i in poses.ids], np.int64)
        rest = np.array(list(row_of.values()), np.int64)
        rest = rest[away_s[rest] <= _KEEP_S]
        source[np.isin(source, np.flatnonzero(away_s > _KEEP_S))] = -1
        self._move(np.concatenate((source, rest)), np.concatenate((poses.ids, self._ids[rest])))
        self._t_ns[:n][source < 0] = t_ns

    def _move(self, source: np.ndarray, ids: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
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
        self._state[_UNSEEN_S, :m][new] = np.inf


def _finite(poses: Poses) -> Poses:
    """Keypoints that are not finite become missing: score 0."""
    if np.isfinite(poses.keypoints).all() and np.isfinite(poses.scores).all():
        return poses
    good = np.isfinite(poses.keypoints).all(2) & np.isfinite(poses.scores)
    keypoints = np.where(good[..., None], poses.keypoints, np.float32(0))
    return dataclasses.replace(
        poses, keypoints=keypoints, scores=np.where(good, poses.scores, np.float32(0))
    )


def _innovations(
    before: np.ndarray,
    keypoints: np.ndarray,
    poses: Poses,
    tall: np.ndarray,
    dt_s: np.ndarray,
    deviation: float,
) -> Innovations:
    """The record for a `Refine`, from the predicted state and the filtered keypoints."""
    known = np.isfinite(before[_UNSEEN_S])
    some = (known & (poses.scores > 0))[..., None]
    unit = 1 / tall[:, None, None]
    place = before[_X : _X + 2].transpose(1, 2, 0)
    return Innovations(
        poses.ids,
        dt_s,
        tall,
        poses.scores,
        known,
        (poses.keypoints - place) * unit * some,
        before[_P00] + _noise(poses.scores, deviation),
        before[_VX : _VX + 2].transpose(1, 2, 0) * unit,
        (keypoints - place) * unit * known[..., None],
    )


def _noise(scores: np.ndarray, deviation: float) -> np.ndarray:
    """Variance of measurements in H²; `deviation` H at score 1."""
    noise = np.float32(deviation) / np.clip(scores, _MIN_SCORE_FOR_NOISE, 1)
    return np.asarray(noise * noise)


def _predict(state: np.ndarray, dt: np.ndarray, acceleration: float) -> None:
    """Predict: move positions by velocities, and add process noise to the covariance.

    The acceleration is white noise: independent from one _ACCELERATION_S to the next, with variance
    (acceleration H)². Its spectral density is q = (acceleration H)² _ACCELERATION_S, whatever the
    frame rate (Bar-Shalom, Li and Kirubarajan 2001, section 6.2).

    Args:
        state: [planes,N,K], changed in place.
        dt: [N,1] s.
        acceleration: H/s².
    """
    p00, p01, p11 = state[_P00], state[_P01], state[_P11]
    q = np.float32(acceleration) ** 2 * _ACCELERATION_S
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
    """Update keypoints with accepted measurements; let the other keypoints coast.

    Source: Kalman's update in Joseph's form, for two states of which the position is measured.
    """
    n00, n01, n11 = state[_P00], state[_P01], state[_P11]
    noise = _noise(poses.scores, options.r)
    off = poses.keypoints.transpose(2, 0, 1) - state[_X : _X + 2]
    total = n00 + noise
    distance_h2 = (off * off).sum(0) / np.square(tall)[:, None]
    strong = poses.scores > options.min_score
    accepted = strong & (distance_h2 <= options.gate * total)
    k0, k1 = accepted * (n00 / total), accepted * (n01 / total)
    state[_X : _X + 2] += k0 * off
    state[_VX : _VX + 2] += k1 * off
    rest = 1 - k0
    p01 = rest * (n01 - k1 * n00) + k0 * k1 * noise
    n11 += k1 * (k1 * total - 2 * n01)
    n00[:] = rest * rest * n00 + k0 * k0 * noise
    n01[:] = p01
    too_far = strong & ~accepted
    n00 += too_far * (_REJECTED_SHARE * distance_h2)
    _coast(state, accepted, too_far, dt, body17)
    _age(state, poses.scores, accepted, dt, options.coast_s)


def _coast(
    state: np.ndarray, accepted: np.ndarray, too_far: np.ndarray, dt: np.ndarray, body17: np.ndarray
) -> None:
    """Slow keypoints without an accepted measurement down to the velocity of the body.

    So an arm behind a walker goes on with the walker. A keypoint whose measurement was too far off
    loses its own velocity at once, and the step that it just made: a velocity that a wrong jump
    caused would carry it across the picture.
    """
    seen = accepted[:, body17]
    speed = state[_VX : _VX + 2]
    body = (speed[:, :, body17] * seen).sum(2) / np.maximum(seen.sum(1), 1)
    own = speed - body[:, :, None]
    state[_X : _X + 2] -= too_far * dt * own
    speed -= np.where(too_far, np.float32(1), ~accepted * (1 - np.exp2(-dt / _COAST_S))) * own


def _age(
    state: np.ndarray, scores: np.ndarray, accepted: np.ndarray, dt: np.ndarray, coast_s: float
) -> None:
    """Update scores and times unseen; restart filters that were unseen for too long."""
    missed = ~accepted
    state[_SCORE] *= np.exp2(-dt / _SCORE_HALF_S) * missed
    state[_SCORE] += scores * accepted
    state[_UNSEEN_S] = np.where(missed, state[_UNSEEN_S] + dt, 0)
    restart = state[_UNSEEN_S] > np.float32(coast_s)
    state[_UNSEEN_S][restart] = np.inf
    if restart.any():
        state[_VX : _VX + 2] *= ~restart
        state[_P00] = np.where(restart, _UNKNOWN, state[_P00])
        state[_P01] *= ~restart
        state[_P11] = np.where(restart, _START_SPEED**2, state[_P11])


def _published(state: np.ndarray, poses: Poses) -> Tuple[np.ndarray, np.ndarray]:
    """Keypoints and scores to publish: filtered, or as measured if the filter has restarted."""
    known = np.isfinite(state[_UNSEEN_S])
    scores = np.where(known, state[_SCORE], poses.scores)
    keypoints = np.empty_like(poses.keypoints)
    for axis in (0, 1):
        keypoints[..., axis] = np.where(known, state[_X + axis], poses.keypoints[..., axis])
    return keypoints, scores
