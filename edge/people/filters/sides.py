"""Left and right limbs that a network exchanged, found by where they were expected.

Measurements are exchanged, never mirrored. If the exchange lasts, the filter was wrong, not the
network: then the measurements are taken as they are.
"""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from edge.geometry import as_complex
from edge.people.filters.sighting import Sighting, moved
from edge.skeletons import LEFT, Skeleton

_ARM, _LEG = (7, 9), (13, 15)  # COCO's left elbow and wrist, left knee and ankle
_GAIN = 16.0  # an exchange must explain the measurements better by this, in half chi-squares
_FIT = 3.0  # and this well, for each keypoint
_MOST = 20.0  # of one keypoint: an outlier decides nothing
_LONGEST_S = 0.12


class Sides:
    """Exchanges arms and legs of all people of one camera; rows are moved by `move`."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._limbs = [_limb(skeleton, _ARM, "left_hand"), _limb(skeleton, _LEG, "feet")]
        self._flip = skeleton.flip
        self._body17 = skeleton.body17
        self._lasting_s = np.zeros((0, len(self._limbs)), np.float32)

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        self._lasting_s = moved(self._lasting_s, source)
        self._lasting_s[source < 0] = 0

    def mended(self, seen: Sighting, expected: np.ndarray, variance_h2: np.ndarray) -> Sighting:
        """The frame with exchanged limbs put right.

        Args:
            seen: all keypoints of the skeleton.
            expected: places [N,17,2] px of COCO's keypoints, NaN = not known.
            variance_h2: [N,17] of those places.
        """
        n = len(seen.points)
        order = np.tile(np.arange(len(self._flip)), (n, 1))
        lasting = self._lasting_s[:n]
        for i, (first, whole) in enumerate(self._limbs):
            better = self._better(seen, expected, variance_h2, first)
            lasting[:, i] = np.where(better, lasting[:, i] + seen.dt_s[:, 0], 0)
            wrong = np.flatnonzero(better & (lasting[:, i] <= _LONGEST_S))
            order[np.ix_(wrong, whole)] = self._flip[whole]
        if (order == np.arange(order.shape[1])).all():
            return seen
        rows = np.arange(n)[:, None]
        return Sighting(
            seen.points[rows, order], seen.scores[rows, order], seen.heights_px, seen.dt_s
        )

    def _better(
        self, seen: Sighting, expected: np.ndarray, variance_h2: np.ndarray, first: np.ndarray
    ) -> np.ndarray:
        """Whether a limb [N] is better explained by the other side's measurements."""
        both = np.concatenate((first, first + 1))  # of COCO's numbers: right is left + 1
        other = np.concatenate((first + 1, first))
        measured, scores = as_complex(seen.points)[:, self._body17], seen.scores[:, self._body17]
        place = as_complex(expected)
        total = (variance_h2 + 1e-4) * np.square(seen.heights_px)

        def cost(which: np.ndarray) -> np.ndarray:
            off = measured[:, which] - place[:, both]
            half = (off.real**2 + off.imag**2) / (2 * total[:, both])
            return np.asarray(np.minimum(half, _MOST).sum(1))

        as_is, exchanged = cost(both), cost(other)
        usable = (scores[:, both] > 0).all(1) & np.isfinite(place[:, both]).all(1)
        good = (as_is - exchanged > _GAIN) & (exchanged < _FIT * len(both))
        return np.asarray(usable & good)


def _limb(skeleton: Skeleton, first: Tuple[int, ...], part: str) -> Tuple[np.ndarray, np.ndarray]:
    """COCO's numbers of the left limb, and all keypoints of both sides that go with it."""
    left = np.array(first)
    ends: List[int] = [int(i) for i in skeleton.body17[np.concatenate((left, left + 1))] if i >= 0]
    more = skeleton.parts[part]
    if part != "feet":
        more = np.concatenate((more, skeleton.flip[more]))
    more = more[skeleton.sides[more] >= LEFT]
    return left, np.unique(np.concatenate((np.array(ends, np.int64), more)))
