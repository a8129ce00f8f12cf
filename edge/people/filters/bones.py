"""Bones in a picture: foreshortened, never longer than they are.

The length of a bone in the picture changes by up to 25 times in correct motion, so nothing is
pulled to a length. But a bone that is longer than the person's bone can be shows that its outer end
is wrong: that measurement counts less. Bounds are learned for each person; left and right share
them, because they are alike in the body.
"""

from __future__ import annotations

import numpy as np

from edge.geometry import as_complex
from edge.people.filters.sighting import Sighting, moved

# COCO's inner and outer ends of upper arms, forearms, thighs and calves, left and right in turn.
_INNER = np.array([5, 6, 7, 8, 11, 12, 13, 14])
OUTER = np.array([7, 8, 9, 10, 13, 14, 15, 16])
# Their shares of the standing height, joint to joint (Drillis and Contini 1966).
_SHARES = np.repeat(np.array([0.186, 0.146, 0.245, 0.246], np.float32), 2)
_PRIOR = np.float32(1.4)  # bounds before anything was learned: heights are estimates, too
_SPARE = np.float32(1.12)  # a bound over the learned quantile
_QUANTILE = np.float32(0.97)
_LEARNED_H_S = np.float32(0.3)  # how fast the quantile follows
_LEARN_S = 1.0  # before that, a person has the bounds of everybody
_LEAST_SCORE = 0.5  # weaker keypoints teach nothing
_SLACK_H = np.float32(0.02)  # a bone too long by this counts half
_MOST = np.float32(10.0)  # a keypoint that really is there must come through in the end


class Bones:
    """Learned bounds of the bones of all people of one camera; rows are moved by `move`."""

    def __init__(self) -> None:
        self._longest_h = np.zeros((0, len(OUTER)), np.float32)
        self._learned_s = np.zeros((0, len(OUTER)), np.float32)

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        self._longest_h = moved(self._longest_h, source)
        self._learned_s = moved(self._learned_s, source)
        self._longest_h[source < 0], self._learned_s[source < 0] = _SHARES, 0

    def bounds_h(self, n: int) -> np.ndarray:
        """The longest that bones of the first n people can look, [n,8] H."""
        longest, learned = _of_both(self._longest_h[:n]), _of_both(self._learned_s[:n])
        own = np.minimum(longest * _SPARE, _SHARES * _PRIOR)
        return np.where(learned > _LEARN_S, own, _SHARES * _PRIOR)

    def doubt(self, seen: Sighting) -> np.ndarray:
        """By how much the variance of each measurement [N,17] of a body grows: 1 = not at all."""
        n = len(seen.points)
        over_h = np.maximum(_lengths_h(seen) - self.bounds_h(n), 0)
        shown = np.minimum(seen.scores[:, _INNER], seen.scores[:, OUTER]) > 0
        grows = np.ones((n, 17), np.float32)
        grows[:, OUTER] += np.square(over_h / _SLACK_H) * shown
        return np.minimum(grows, _MOST)

    def learn(self, seen: Sighting, believed: np.ndarray) -> None:
        """Learn from the measurements of a frame that were believed, [N,17] bool."""
        n = len(seen.points)
        lengths = _lengths_h(seen)
        sure = believed & (seen.scores > _LEAST_SCORE)
        taught = (sure[:, _INNER] & sure[:, OUTER]) * seen.dt_s
        longest = self._longest_h[:n]
        longest += _LEARNED_H_S * taught * (_QUANTILE - (lengths <= longest))
        self._learned_s[:n] += taught


def _lengths_h(seen: Sighting) -> np.ndarray:
    points = as_complex(seen.points)
    return np.asarray(np.abs(points[:, _INNER] - points[:, OUTER]) / seen.heights_px)


def _of_both(sides: np.ndarray) -> np.ndarray:
    """The larger of left and right, for both [N,8]."""
    return np.repeat(np.maximum(sides[:, ::2], sides[:, 1::2]), 2, 1)
