"""Bones of people in metres: how tall somebody is, and bones that keep their length."""

from __future__ import annotations

import numpy as np

from edge.people.stature import LIMB_ENDS, LIMB_OTHER_ENDS, LIMB_SHARES


def tall_m(points: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Heights [N] m that people would have if they stood upright; 0 with fewer than two limbs.

    The median over limbs of length over its share of the height (edge.people.stature). In the room
    nothing shortens a limb.

    Args:
        points: [N,17,3] m, COCO's keypoints.
        there: [N,17] bool.
    """
    both = there[:, LIMB_ENDS] & there[:, LIMB_OTHER_ENDS]
    lengths = np.linalg.norm(points[:, LIMB_ENDS] - points[:, LIMB_OTHER_ENDS], axis=-1)
    sized = np.where(both, lengths / LIMB_SHARES, np.inf)
    count = both.sum(1)
    middle = np.sort(sized, 1)[np.arange(len(sized)), np.maximum(count - 1, 0) // 2]
    return np.where(count >= 2, middle, 0.0)


# Bones whose ends are joints, from the trunk outwards, as COCO's keypoints; left, then right.
PARENTS = np.array([5, 6, 7, 8, 11, 12, 13, 14])
CHILDREN = np.array([7, 8, 9, 10, 13, 14, 15, 16])
_SHARES = np.array([0.186, 0.186, 0.146, 0.146, 0.245, 0.245, 0.246, 0.246])  # Drillis and Contini
_OTHER_SIDE = np.array([1, 0, 3, 2, 5, 4, 7, 6])
_STEP = 0.1  # a length may change by this share a sample: a wrong joint moves it little
_LEAST_GAIN = 0.02
_SANE = (0.6, 1.5)  # shares of its bone's length that a limb may have; else its end is wrong
_ROUNDS = 3


def learn(lengths: np.ndarray, count: np.ndarray, points: np.ndarray, sure: np.ndarray) -> None:
    """Correct known lengths of bones by what is seen, in place.

    Args:
        lengths: [N,8] m; 0 = not known yet.
        count: [N,8] samples so far.
        points: [N,17,3] m.
        sure: [N,17] bool, joints that were measured.
    """
    tall = tall_m(points, sure)[:, None]
    both = sure[:, PARENTS] & sure[:, CHILDREN]
    seen = np.linalg.norm(points[:, PARENTS] - points[:, CHILDREN], axis=-1)
    lengths[:] = np.where((lengths == 0) & (tall > 0), tall * _SHARES, lengths)
    both &= lengths > 0
    count += both
    off = np.clip(np.where(both, seen - lengths, 0.0), -_STEP * lengths, _STEP * lengths)
    lengths += off * np.maximum(1 / np.maximum(count, 1), _LEAST_GAIN)
    # Both sides of a body are nearly alike.
    lengths += 0.02 * both * (lengths[:, _OTHER_SIDE] - lengths)


def wrong_ends(points: np.ndarray, there: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """[N,17] bool: joints at the end of a limb of an impossible length."""
    both = there[:, PARENTS] & there[:, CHILDREN] & (lengths > 0)
    seen = np.linalg.norm(points[:, PARENTS] - points[:, CHILDREN], axis=-1)
    share = seen / np.maximum(lengths, 1e-6)
    wrong = np.zeros(there.shape, bool)
    wrong[:, CHILDREN] = both & ((share < _SANE[0]) | (share > _SANE[1]))
    return wrong


def held(
    points: np.ndarray, there: np.ndarray, weights: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Joints [N,17,3] moved so that bones have their lengths.

    Position-based dynamics (Mueller et al. 2007): both ends move, the one with the smaller weight
    more. A last pass moves the outer ends alone, so that lengths are exact.

    Args:
        points: [N,17,3] m.
        there: [N,17] bool.
        weights: [N,17], how sure each joint is.
        lengths: [N,8] m; 0 = not known.
    """
    moved = points.copy()
    light = 1 / np.maximum(weights, 0.05)
    for turn in range(_ROUNDS + 1):
        for bone in range(len(PARENTS)):
            a, b = PARENTS[bone], CHILDREN[bone]
            both = there[:, a] & there[:, b] & (lengths[:, bone] > 0)
            gap = np.where(both[:, None], moved[:, b] - moved[:, a], 1.0)
            long_m = np.maximum(np.linalg.norm(gap, axis=-1), 1e-6)
            push = np.where(both, lengths[:, bone] / long_m - 1, 0.0)[:, None] * gap
            share = light[:, a] / (light[:, a] + light[:, b]) if turn < _ROUNDS else 0 * light[:, a]
            moved[:, a] -= share[:, None] * push
            moved[:, b] += (1 - share)[:, None] * push
    return moved
