"""What a scene knows of its people from one instant to the next."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from edge.scene import filter3d
from edge.scene.bones import PARENTS


@dataclass(frozen=True, eq=False)
class Tracks:
    """N people of a scene, by rising id."""

    ids: np.ndarray  # [N] i64
    state: np.ndarray  # [PLANES,N,K], see filter3d
    seen_ns: np.ndarray  # [N] i64, when two cameras saw them last
    hits: np.ndarray  # [N] i64, instants at which they were seen
    seen_as: np.ndarray  # [N,C] i64, last id in each camera, -1 = none
    lengths: np.ndarray  # [N,8] m of bones, 0 = not known
    samples: np.ndarray  # [N,8] i64, measurements of these lengths

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Tracks:
        """The people of a mask, or of these rows."""
        rest = (self.seen_ns, self.hits, self.seen_as, self.lengths, self.samples)
        return Tracks(self.ids[rows], self.state[:, rows], *[part[rows] for part in rest])

    def at(self, state: np.ndarray) -> Tracks:
        """The same people with another state."""
        return dataclasses.replace(self, state=state)


def nobody(keypoints: int, cameras: int) -> Tracks:
    """No people of K keypoints and C cameras."""
    return new(np.zeros(0, np.int64), keypoints, cameras, 0)


def new(ids: np.ndarray, keypoints: int, cameras: int, t_ns: int) -> Tracks:
    """People of whom nothing is known yet."""
    n, bones = len(ids), len(PARENTS)
    return Tracks(
        ids,
        filter3d.fresh(n, keypoints),
        np.full(n, t_ns, np.int64),
        np.zeros(n, np.int64),
        np.full((n, cameras), -1, np.int64),
        np.zeros((n, bones)),
        np.zeros((n, bones), np.int64),
    )


def join(first: Tracks, second: Tracks) -> Tracks:
    """The people of both."""
    rest = ("seen_ns", "hits", "seen_as", "lengths", "samples")
    return Tracks(
        np.concatenate((first.ids, second.ids)),
        np.concatenate((first.state, second.state), 1),
        *[np.concatenate((getattr(first, n), getattr(second, n))) for n in rest],
    )
