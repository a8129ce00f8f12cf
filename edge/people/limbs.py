"""Keypoints of people by anatomical name, in the picture or in space."""

from __future__ import annotations

from dataclasses import dataclass
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
        found: Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray]] = ({}, {})
        nothing = np.zeros((len(points), points.shape[2])), np.zeros(len(points), np.float32)
        for name in _NAMES:
            at = int(skeleton.index(name)[0])
            at = at if at >= 0 else int(skeleton.index(_OTHER_NAME.get(name, name))[0])
            here = np.asarray(points[:, at], np.float64) if at >= 0 else nothing[0]
            score = scores[:, at] if at >= 0 else nothing[1]
            seen = (score > VISIBLE) & np.isfinite(here).all(1)
            found[0][name] = np.where(seen[:, None], here, 0)
            found[1][name] = np.where(seen, score, 0)
        return Limbs(*found)

    def middle(self, part: str) -> Tuple[np.ndarray, np.ndarray]:
        """Middle [N,D] of both sides of a part, and its score [N]: both must be seen."""
        a, b = f"left_{part}", f"right_{part}"
        return (self.points[a] + self.points[b]) / 2, self.weakest([a, b])

    def weakest(self, names: List[str]) -> np.ndarray:
        """The lowest score [N] of some points."""
        return np.asarray(np.min([self.scores[name] for name in names], 0))


def between_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle [N] 0..180 between vectors [N,D]."""
    size = np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-12)
    return np.asarray(np.degrees(np.arccos(np.clip((a * b).sum(1) / size, -1, 1))))


def noise_deg(
    ends: Tuple[np.ndarray, np.ndarray], sigmas: Tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """One standard deviation [N] of the angle between two limbs that meet in a joint.

    By first-order propagation of independent errors of the three points.

    Args:
        ends: vectors [N,D] from the joint to both other points.
        sigmas: standard deviations [N] of the joint and of both other points, in the same unit.
    """
    a, b = (np.maximum(np.linalg.norm(end, axis=1), 1e-9) for end in ends)
    joint, first, second = sigmas
    # The joint's own error moves both directions; for a straight limb the two add up.
    variance = (first / a) ** 2 + (second / b) ** 2 + joint**2 * (1 / a + 1 / b) ** 2 / 2
    return np.asarray(np.minimum(np.degrees(np.sqrt(variance)), 180))
