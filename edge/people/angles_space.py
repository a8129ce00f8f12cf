"""Joint angles in space; edge.people.angles is the way in."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple, Union

import numpy as np

from edge.people.limbs import Limbs, between_deg, noise_deg

# The likely error of a keypoint of score 1, in heights: that of the picture.
_NOISE_H = 0.008
_BENT_DEG = 30.0  # a rotation shows only in a limb whose next joint is bent by more than this

Column = Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Body:
    """What the angles of N people have in common.

    Right-handed coordinates. A person's left, up and forward are `left x up = forward`.

    Args:
        limbs: points [N,3] m.
        tall: [N] m standing heights.
        up: [3] direction against gravity.
    """

    def __init__(self, limbs: Limbs, tall: np.ndarray, up: np.ndarray) -> None:
        self._limbs, self._tall = limbs, np.asarray(tall, np.float64)
        self._up = np.broadcast_to(_unit(up[None].astype(np.float64)), (len(tall), 3))
        hips, hips_score = limbs.middle("hip")
        shoulders, shoulders_score = limbs.middle("shoulder")
        self._trunk_up = shoulders - hips
        self._trunk_score = np.minimum(hips_score, shoulders_score)
        self._frames = {
            "hip": _frame(self._across("hip"), self._trunk_up),
            "shoulder": _frame(self._across("shoulder"), self._trunk_up),
        }

    def angles(self, names: Sequence[str], planes: Sequence[str]) -> Column:
        """Degrees, score, angle off the plane, error: each [N,A]."""
        columns = [self._angle(name) for name in names]
        degrees, score, off_deg, error = (np.stack(column, 1) for column in zip(*columns))
        return degrees, score, off_deg, error

    def _angle(self, name: str) -> Column:
        """Degrees, score, angle off the plane, error: each [N]."""
        side, _, movement = name.partition("_")
        if side == "trunk":
            return self._trunk(movement)
        part, _, kind = movement.partition("_")
        if kind == "rotation":
            return self._rotation(side, part)
        if part in ("hip", "shoulder"):
            return self._swing(side, part, kind)
        joint, first, second = (f"{side}_{p}" for p in _POINTS[part])
        at = self._limbs.points
        start = at[f"{side}_heel"] if part == "ankle" else at[joint]
        ends = at[first] - at[joint], at[second] - start
        straight = 90 if part == "ankle" else 180
        value = straight - between_deg(*ends)
        return self._column(value, [joint, first, second], ends, np.zeros(len(value)))

    def _swing(self, side: str, part: str, kind: str) -> Column:
        """Flexion or abduction of a thigh or an upper arm against the trunk."""
        far = {"hip": "knee", "shoulder": "elbow"}[part]
        limb = self._limbs.points[f"{side}_{far}"] - self._limbs.points[f"{side}_{part}"]
        left, up, forward = self._frames[part]
        down = -(limb * up).sum(1)
        ahead = (limb * forward).sum(1)
        out = (limb * left).sum(1) * (1 if side == "left" else -1)
        within, across = (ahead, out) if kind == "flexion" else (out, ahead)
        value = np.degrees(np.arctan2(within, down))
        value = np.where(value < -90, value + 360, value)
        size = np.maximum(np.linalg.norm(limb, axis=1), 1e-9)
        off = np.degrees(np.arcsin(np.clip(np.abs(across) / size, 0, 1)))
        names = [f"{side}_{part}", f"{side}_{far}"]
        return self._column(value, names, (-self._trunk_up, limb), off, self._trunk_score)

    def _rotation(self, side: str, part: str) -> Column:
        """Rotation of a thigh or an upper arm about itself; inward is positive."""
        middle, far = {"hip": ("knee", "ankle"), "shoulder": ("elbow", "wrist")}[part]
        at = self._limbs.points
        limb = at[f"{side}_{middle}"] - at[f"{side}_{part}"]
        next_limb = at[f"{side}_{far}"] - at[f"{side}_{middle}"]
        _, up, forward = self._frames[part]
        # The neutral shank points back and the neutral forearm ahead, turned with the limb.
        neutral = _turned_with(-forward if part == "hip" else forward, -up, _unit(limb))
        about = _about_deg(neutral, next_limb, _unit(limb))
        bent = between_deg(limb, next_limb)
        names = [f"{side}_{p}" for p in (part, middle, far)]
        value = np.where(bent > _BENT_DEG, about * (1 if side == "left" else -1), np.nan)
        off = np.where(bent > _BENT_DEG, 0.0, 90.0)
        return self._column(value, names, (-limb, next_limb), off, self._trunk_score)

    def _trunk(self, movement: str) -> Column:
        left, up, forward = self._frames["hip"]
        zeros = np.zeros(len(up))
        names = [f"{s}_{p}" for s in ("left", "right") for p in ("hip", "shoulder")]
        ends = (-self._trunk_up, self._trunk_up)
        if movement == "rotation":
            shoulders = self._across("shoulder")
            value = _about_deg(left, shoulders, up)
            return self._column(value, names, ends, zeros)
        level = {"lean": forward, "side_bend": left}[movement]
        level = _unit(level - (level * self._up).sum(1)[:, None] * self._up)
        rise = (self._trunk_up * self._up).sum(1)
        value = np.degrees(np.arctan2((self._trunk_up * level).sum(1), rise))
        return self._column(value, names, ends, zeros)

    def _across(self, part: str) -> np.ndarray:
        """From the right to the left joint [N,3]."""
        return self._limbs.points[f"left_{part}"] - self._limbs.points[f"right_{part}"]

    def _column(
        self,
        degrees: np.ndarray,
        names: List[str],
        ends: Tuple[np.ndarray, np.ndarray],
        off_deg: np.ndarray,
        and_score: Union[float, np.ndarray] = 1.0,
    ) -> Column:
        score = np.minimum(self._limbs.weakest(names), and_score)
        missing = (score <= 0) | np.isnan(degrees)
        sigma = _NOISE_H * self._tall / np.maximum(score, 0.05)
        error = noise_deg(ends, (sigma, sigma, sigma))
        return (
            np.where(missing, np.nan, degrees),
            np.where(missing, 0, score),
            np.where(missing, 90, off_deg),
            np.where(missing, 180, error),
        )


# Part of the limb -> the joint, its neighbour towards the trunk, its neighbour away from it.
_POINTS: Dict[str, Tuple[str, str, str]] = {
    "knee": ("knee", "hip", "ankle"),
    "elbow": ("elbow", "shoulder", "wrist"),
    "ankle": ("ankle", "knee", "big_toe"),
}


def _unit(vectors: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(size, 1e-12))


def _frame(left: np.ndarray, up: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors [N,3] to the left, up and forwards; `up` is made square to `left`."""
    left = _unit(left)
    up = _unit(up - (up * left).sum(1)[:, None] * left)
    return left, up, np.cross(left, up)


def _turned_with(vectors: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Vectors [N,3] turned by the smallest rotation from `start` to `end`, unit vectors [N,3].

    Rodrigues' formula without angles. Opposite directions give no rotation; a limb against its own
    hanging position is out of a joint's range.
    """
    axis = np.cross(start, end)
    cos = (start * end).sum(1)[:, None]
    across = np.cross(axis, vectors)
    return np.asarray(vectors + across + np.cross(axis, across) / np.maximum(1 + cos, 1e-6))


def _about_deg(start: np.ndarray, end: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Turn [N] about a unit axis from one vector to another, -180..180, by the right-hand rule."""
    flat = [v - (v * axis).sum(1)[:, None] * axis for v in (start, end)]
    sine = (np.cross(flat[0], flat[1]) * axis).sum(1)
    return np.asarray(np.degrees(np.arctan2(sine, (flat[0] * flat[1]).sum(1))))
