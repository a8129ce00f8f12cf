"""Features of a temporal network that corrects the filter, and the state that it carries.

Pure: the network is a callable. One batch holds all joints of all people: a row is one keypoint,
and all keypoints share the weights. H is the person's standing height.
"""

from __future__ import annotations

from typing import Callable, Optional, Tuple

import numpy as np

from edge.people.innovations import Innovations

FEATURES = 12
UNITS = 48  # length of the two states of one keypoint
MOST_H = 0.05  # the most that a correction may be in each direction
_SCALE = np.float32(30)  # of lengths in H: filtered keypoints err by .01 to .03 H
_LIMIT = np.float32(3)  # of each feature
_FRAME_S = np.float32(1 / 30)
_KEEP_FRAMES = 2  # a person who is away from more frames begins again

# Features [M,12], states [M,UNITS] twice -> corrections [M,2] in H, states [M,UNITS] twice.
Network = Callable[[np.ndarray, np.ndarray, np.ndarray], Tuple[np.ndarray, np.ndarray, np.ndarray]]


def features(told: Innovations) -> np.ndarray:
    """The inputs [N,K,12] f32 of each keypoint, within -3 to 3.

    Innovation, the filter's step and the predicted step (x and y each), the mean innovation of the
    person, the score, whether the filter knew the keypoint, the time step as the binary logarithm
    of frames at 30 Hz, and the expected deviation of the innovation.
    """
    n, k = told.scores.shape
    out = np.empty((n, k, FEATURES), np.float32)
    dt_s = np.maximum(told.dt_s, np.float32(1e-3))[:, None]
    out[..., 0:2] = told.off_h * _SCALE
    out[..., 2:4] = told.step_h * _SCALE
    out[..., 4:6] = told.speed_h_s * (dt_s[..., None] * _SCALE)
    weight = (told.known * told.scores)[..., None]
    mean = (told.off_h * weight).sum(1) / np.maximum(weight.sum(1), np.float32(1e-6))
    out[..., 6:8] = (mean * _SCALE)[:, None]
    out[..., 8] = told.scores
    out[..., 9] = told.known
    out[..., 10] = np.log2(dt_s / _FRAME_S)
    out[..., 11] = np.sqrt(np.minimum(told.variance_h2, 1)) * _SCALE
    return np.clip(np.nan_to_num(out), -_LIMIT, _LIMIT, out=out)


class Temporal:
    """An `innovations.Refine` of one camera; several may share a network.

    Args:
        network: gives corrections and the next states.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._ids = np.zeros(0, np.int64)
        self._missed = np.zeros(0, np.int64)
        self._states = np.zeros((2, 0, 0, UNITS), np.float32)

    def __call__(self, innovations: Innovations) -> Optional[np.ndarray]:
        """What to add to each filtered keypoint, [N,K,2] f32 H; None if nobody is there."""
        n, k = innovations.scores.shape
        states = self._aligned(innovations.ids, k)
        if not n:
            return None
        rows = n * k
        given = features(innovations).reshape(rows, FEATURES)
        h, c = (state.reshape(rows, UNITS) for state in states[:, :n])
        add, *after = self._network(given, h, c)
        for state, new in zip(states, after):
            state[:n] = new.reshape(n, k, UNITS)
        return add.reshape(n, k, 2) * innovations.known[..., None]

    def _aligned(self, ids: np.ndarray, keypoints: int) -> np.ndarray:
        """States [2,N+,K,UNITS] with the rows of these people first; new people begin with 0."""
        n = len(ids)
        if len(self._ids) == n and np.array_equal(self._ids, ids):
            return self._states
        same = ids[:, None] == self._ids
        missed = self._missed + ~same.any(0)
        rest = np.flatnonzero(~same.any(0) & (missed <= _KEEP_FRAMES))
        states = np.zeros((2, n + len(rest), keypoints, UNITS), np.float32)
        known = same.any(1)
        states[:, :n][:, known] = self._states[:, same.argmax(1)[known]] if known.any() else 0
        if len(rest):
            states[:, n:] = self._states[:, rest]
        self._ids = np.concatenate((ids, self._ids[rest]))
        self._missed = np.concatenate((np.zeros(n, np.int64), missed[rest]))
        self._states = states
        return states
