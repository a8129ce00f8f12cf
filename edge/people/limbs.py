"""Keypoints of people by anatomical name, in the picture or in space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, List, Tuple

import numpy as np

from edge.skeletons import Skeleton
from edge.structures import VISIBLE

_PARTS = ("ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "big_toe")
_NAMES = ("nose", *(f"{side}_{part}" for side in ("left", "right") for part in _PARTS))
_OTHER_NAME = {"left_big_toe": "left_foot_index", "right_big_toe": "right_foot_index"}


@dataclass(frozen=True)
class Limbs:
    """Points [N,D] f64 and scores [N] f32 by name, such as left_knee; 0 = missing."""

    points: Dict[str, np.ndarray]
    scores: Dict[str, np.ndarray]

    @staticmethod
    def of(points: np.ndarray, scores: np.ndarray, skeleton: Skeleton) -> Limbs:
        """The points that angles need.

        Args:
            points: [N,K,D].
            scores: [N,K] f32.
            skeleton: names the keypoints.
        """
        at = _places(skeleton)
        here = points[:, at].astype(np.float64)
        score = np.where(at >= 0, scores[:, at], np.float32(0))
        seen = (score > VISIBLE) & np.isfinite(here).all(2)
        here[~seen] = 0
        score *= seen
        by_name = np.ascontiguousarray(here.transpose(1, 0, 2)), np.ascontiguousarray(score.T)
        return Limbs(dict(zip(_NAMES, by_name[0])), dict(zip(_NAMES, by_name[1])))

    def middle(self, part: str) -> Tuple[np.ndarray, np.ndarray]:
        """Middle [N,D] of both sides of a part, and its score [N]: both must be seen."""
        a, b = f"left_{part}", f"right_{part}"
        return (self.points[a] + self.points[b]) / 2, self.weakest([a, b])

    def weakest(self, names: List[str]) -> np.ndarray:
        """The lowest score [N] of some points."""
        return np.asarray(np.min([self.scores[name] for name in names], 0))


@lru_cache(maxsize=None)
def _places(skeleton: Skeleton) -> np.ndarray:
    """The index of each of `_NAMES` in a set; -1 = it has none."""
    own, other = (skeleton.index(*(names.get(n, n) for n in _NAMES)) for names in ({}, _OTHER_NAME))
    return np.where(own >= 0, own, other)


def between_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle [...] 0..180 between vectors [...,D]."""
    cosine = _dot(a, b) / np.maximum(np.sqrt(_dot(a, a) * _dot(b, b)), 1e-12)
    return np.asarray(np.degrees(np.arccos(np.minimum(np.maximum(cosine, -1), 1))))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products [...] of vectors [...,D]; for such short ones faster than a sum over an axis."""
    total = a[..., 0] * b[..., 0]
    for axis in range(1, a.shape[-1]):
        total = total + a[..., axis] * b[..., axis]
    return np.asarray(total)


def noise_deg(
    ends: Tuple[np.ndarray, np.ndarray], sigmas: Tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """One standard deviation [...] of the angle between two limbs that meet in a joint.

    By first-order propagation of independent errors of the three points.

    Args:
        ends: vectors [...,D] from the joint to both other points.
        sigmas: standard deviations [...] of the joint and of both other points, in the same unit.
    """
    a, b = (np.maximum(np.sqrt(_dot(end, end)), 1e-9) for end in ends)
    joint, first, second = sigmas
    # The joint's own error moves both directions; for a straight limb the two add up.
    variance = (first / a) ** 2 + (second / b) ** 2 + joint**2 * (1 / a + 1 / b) ** 2 / 2
    return np.asarray(np.minimum(np.degrees(np.sqrt(variance)), 180))
