"""Transfers a BVH file to the synthetic body, for any rest pose, axes and joint names."""

from __future__ import annotations

import re
from typing import Dict, List, Sequence

import numpy as np

from edge.capture._synthetic import bvh
from edge.capture._synthetic.body import AT, LEG, SEGMENTS
from edge.capture._synthetic.clip import Clip, settle
from edge.errors import DataError

_ROLES: Dict[str, Sequence[str]] = {
    "upper_arm": ("arm", "uparm", "upperarm", "shoulder"),
    "forearm": ("forearm", "lowarm", "lowerarm", "elbow"),
    "hand": ("hand", "wrist"),
    "thigh": ("upleg", "upperleg", "thigh", "hip"),
    "shank": ("leg", "lowleg", "lowerleg", "shin", "knee"),
    "foot": ("foot", "ankle"),
}
_SHORT = (
    "hip|thigh|shin|knee|foot|ankle|hand|wrist|elbow|shoulder"  # may follow a single letter l or r
)


def read(text: str, name: str) -> Clip:
    """A clip from the content of a BVH file.

    Raises:
        DataError: it is no BVH file, or its joints are not those of a person.
    """
    recording = bvh.read(text, name)
    where = _roles(recording, name)
    rest, (axes, root) = recording.rest(), recording.play()
    to_ours = _to_ours(rest, where, name)
    length = np.linalg.norm(rest[where["left_knee"]] - rest[where["left_thigh"]])
    length += np.linalg.norm(rest[where["left_foot"]] - rest[where["left_knee"]])
    if length <= 0:
        raise DataError(f"{name}: the legs have no length")
    frames = np.zeros((len(axes), len(SEGMENTS), 3, 3))
    for segment in SEGMENTS:
        fit = _fit(segment, rest, where, to_ours)
        frames[:, AT[segment]] = to_ours @ axes[:, where[segment]] @ to_ours.T @ fit
    return settle(frames, root @ to_ours.T * (LEG / length), recording.interval_s, loops=False)


def _roles(recording: bvh.BvhFile, name: str) -> Dict[str, int]:
    """The joint of the file for each segment; a knee is the joint of the shank."""
    plain = [re.sub(r"^.*:|[^a-z]", "", j.name.lower()) for j in recording.joints]
    for letter, side in (("l", "left"), ("r", "right")):
        plain = [re.sub(f"^{letter}(?=({_SHORT})$)", side, n) for n in plain]
    where: Dict[str, int] = {"pelvis": 0}
    for side in ("left", "right"):
        for role, names in _ROLES.items():
            found = [plain.index(side + n) for n in names if side + n in plain]
            if not found:
                raise DataError(f"{name}: no joint for the {side} {role.replace('_', ' ')}")
            where[f"{side}_{role}"] = found[0]
        where[f"{side}_knee"] = where[f"{side}_shank"]
    parents = [j.parent for j in recording.joints]
    where["chest"] = _meeting(parents, where["left_upper_arm"], where["right_upper_arm"])
    heads = [i for i, n in enumerate(plain) if n == "head"]
    where["head"] = heads[0] if heads else where["chest"]
    return where


def _meeting(parents: List[int], one: int, other: int) -> int:
    """The nearest common ancestor of two joints."""
    above = set()
    while one >= 0:
        above.add(one)
        one = parents[one]
    while other not in above:
        other = parents[other]
    return other


def _to_ours(rest: np.ndarray, where: Dict[str, int], name: str) -> np.ndarray:
    """[3,3] rotation from the file's axes to ours, from left and up of its rest pose."""
    left = rest[where["left_thigh"]] - rest[where["right_thigh"]]
    up = rest[where["chest"]] - (rest[where["left_foot"]] + rest[where["right_foot"]]) / 2
    left = left / max(float(np.linalg.norm(left)), 1e-9)
    up = up - left * (up @ left)
    up /= max(float(np.linalg.norm(up)), 1e-9)
    # Rest poses stand along the axes of their file, so a nearly parallel direction is rounded.
    out = np.rint(np.stack([np.cross(left, up), left, up]))
    if not np.allclose(out @ out.T, np.eye(3)):
        raise DataError(f"{name}: the rest pose does not stand along the axes")
    return out


def _fit(segment: str, rest: np.ndarray, where: Dict[str, int], to_ours: np.ndarray) -> np.ndarray:
    """[3,3] smallest rotation of our hanging limb to the file's bone in its rest pose."""
    ends = {
        "upper_arm": "forearm",
        "forearm": "hand",
        "hand": "hand",
        "thigh": "shank",
        "shank": "foot",
    }
    side, _, role = segment.partition("_")
    if role not in ends:
        return np.eye(3)
    start = where[f"{side}_forearm"] if role == "hand" else where[segment]
    bone = to_ours @ (rest[where[f"{side}_{ends[role]}"]] - rest[start])
    bone = bone / max(float(np.linalg.norm(bone)), 1e-9)
    return _least_turn(np.array([0.0, 0.0, -1.0]), bone)


def _least_turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[3,3] smallest rotation of unit vector a to unit vector b (Rodrigues' formula)."""
    axis, cos = np.cross(a, b), float(a @ b)
    if cos < -0.9999:
        return np.diag([-1.0, 1.0, -1.0])
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    out: np.ndarray = np.eye(3) + k + k @ k / (1 + cos)
    return out
