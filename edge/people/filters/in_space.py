"""The filter of keypoints in metres: One-Euro in three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.people.filters.sighting import moved
from edge.skeletons import Skeleton

# One-Euro (Casiez, Roussel and Vogel 2012): the cut-off at rest, its growth with the speed, and the
# cut-off of the speed. On rendered exercises other values change angles by .1 deg.
_CUTOFF_HZ, _CUTOFF_HZ_S_M, _SPEED_HZ = 3.0, 4.0, 2.0
_AGAIN_S = 0.5  # a keypoint that was not measured for longer starts again


class SpaceFilter:
    """Places and velocities of the keypoints of all people of one camera; a row a person."""

    def __init__(self, skeleton: Skeleton) -> None:
        k = len(skeleton)
        self._places = np.zeros((0, k, 3), np.float32)  # m
        self._speeds = np.zeros((0, k, 3), np.float32)  # m/s
        self._unseen_s = np.zeros((0, k), np.float32)

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        self._places, self._speeds = moved(self._places, source), moved(self._speeds, source)
        self._unseen_s = moved(self._unseen_s, source)
        self._unseen_s[source < 0] = np.inf

    def step(self, world: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        """Filter the first N people, those of a frame.

        Args:
            world: [N,K,4] m and score; borrowed. A keypoint of the score 0 is not measured.
            dt_s: [N,1] since the frame before.

        Returns:
            [N,K,4], a new array; scores as measured.
        """
        n = len(world)
        places, speeds, unseen_s = self._places[:n], self._speeds[:n], self._unseen_s[:n]
        taken = (world[..., 3] > 0) & np.isfinite(world).all(2)
        unseen_s += dt_s
        fresh = taken & ~(unseen_s <= _AGAIN_S)
        np.copyto(places, world[..., :3], where=fresh[..., None])
        np.copyto(speeds, np.float32(0), where=fresh[..., None])
        pause_s = np.clip(unseen_s, 1e-6, _AGAIN_S)[..., None]
        off = np.where(taken[..., None], world[..., :3] - places, np.float32(0))
        follows = _gain(np.float32(_SPEED_HZ), pause_s) * (off / pause_s - speeds)
        speeds += np.where(taken[..., None], follows, np.float32(0))
        fast = np.sqrt(np.square(speeds).sum(2, keepdims=True))
        places += _gain(_CUTOFF_HZ + _CUTOFF_HZ_S_M * fast, pause_s) * off
        unseen_s[taken] = 0
        scores = world[..., 3:] * taken[..., None]
        return np.concatenate((places * (scores > 0), scores), 2).astype(np.float32, copy=False)


def _gain(cutoff_hz: Any, dt_s: np.ndarray) -> np.ndarray:
    """The share of a first-order low-pass that a step of `dt_s` takes."""
    turn = np.float32(2 * np.pi) * cutoff_hz * dt_s
    return np.asarray(turn / (1 + turn), np.float32)
