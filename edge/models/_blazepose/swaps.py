"""Left and right of arms and legs: found and settled where the two paths contradict each other.

Seen from behind or from the side, a network may take a left leg for a right one. If the keypoints
of a pair of limbs agree with the other path only after left and right are exchanged, the path with
the lower scores is exchanged.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.models._blazepose.crops import length_of
from edge.structures import VISIBLE

# Left, then right: arms, and legs. Feet follow their legs.
_ARMS = (np.array([5, 7, 9, 6, 8, 10]), np.zeros(0, np.int64))
_LEGS = (np.array([11, 13, 15, 12, 14, 16]), np.array([17, 18, 19, 20, 21, 22]))
_LEAST = 3  # common keypoints
_AT_LEAST = 0.1  # mean distance of a contradiction, in roots of the box's area
_BETTER = 0.5  # exchanged, the distance must be this share of it or less


def settled(
    found: np.ndarray, sure: np.ndarray, seen: np.ndarray, size: np.ndarray, trust: float
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exchange left and right where the two paths contradict each other.

    Args:
        found: [N,23,2] px of body and feet, from the body network.
        sure: [N,23] scores of them.
        seen: [N,17,3] x, y px and score of the sighting.
        size: [N] px, root of the box's area.
        trust: weight of the body network's scores against the sighting's.

    Returns:
        `found`, `sure` and `seen`; new arrays where something was exchanged.
    """
    for limbs, feet in (_ARMS, _LEGS):
        other = np.roll(limbs, 3)
        apart, common = _apart(found, sure, seen, limbs, limbs)
        crossed, crossing = _apart(found, sure, seen, limbs, other)
        swapped = (np.minimum(common, crossing) >= _LEAST) & (apart > _AT_LEAST * size)
        swapped &= crossed <= _BETTER * apart
        if not swapped.any():
            continue
        stronger = trust * sure[:, limbs].mean(1) > seen[:, limbs, 2].mean(1)
        mine, theirs = np.flatnonzero(swapped & ~stronger), np.flatnonzero(swapped & stronger)
        found, sure, seen = found.copy(), sure.copy(), seen.copy()
        to, of = np.concatenate((limbs, feet)), np.concatenate((other, np.roll(feet, 3)))
        found[mine[:, None], to] = found[mine[:, None], of]
        sure[mine[:, None], to] = sure[mine[:, None], of]
        seen[theirs[:, None], limbs] = seen[theirs[:, None], other]
    return found, sure, seen


def _apart(
    found: np.ndarray, sure: np.ndarray, seen: np.ndarray, one: np.ndarray, other: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Mean distance [N] px of the keypoints visible in both paths, and their number [N]."""
    both = (sure[:, one] > VISIBLE) & (seen[:, other, 2] > VISIBLE)
    far = length_of(found[:, one] - seen[:, other, :2]) * both
    return far.sum(1) / np.maximum(both.sum(1), 1), both.sum(1)
