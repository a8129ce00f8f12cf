"""Names of markers by which OpenSim models of Pose2Sim know the points of a body.

The names are those of Pose2Sim's skeletons (HALPE_26, COCO_133, BODY_25); points that it does not
know keep our names. Hip and Neck are midpoints if a set has none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, List, Tuple

import numpy as np

from edge import skeletons
from edge.skeleton_sets import MIDPOINTS

_SIDED = {
    "eye": "Eye",
    "ear": "Ear",
    "shoulder": "Shoulder",
    "elbow": "Elbow",
    "wrist": "Wrist",
    "hip": "Hip",
    "knee": "Knee",
    "ankle": "Ankle",
    "big_toe": "BigToe",
    "small_toe": "SmallToe",
    "heel": "Heel",
    "foot_index": "BigToe",  # BlazePose's one point of the toes
}
_MIDDLE = {"nose": "Nose", "head": "Head", "neck": "Neck", "hip": "Hip"}
_FINGERS = {
    "thumb": "Thumb",
    "forefinger": "Index",
    "middle_finger": "Middle",
    "ring_finger": "Ring",
    "pinky_finger": "Pinky",
    "index": "Index",
    "pinky": "Pinky",
}
# The 68 points of a face, in their order.
_FACE = (
    *(("Jaw", 17), ("EyebrowR", 5), ("EyebrowL", 5), ("Nose", 9)),
    *(("REye", 6), ("LEye", 6), ("Mouth", 20)),
)
_FACE_NAMES = [f"{name}{i + 1}" for name, count in _FACE for i in range(count)]
_PLAIN = ("Thumb2", "Index1", "Pinky1")  # are called Thumb, Index, Pinky


def _name(point: str, skeleton: str) -> str:
    side, _, rest = point.partition("_")
    if point == "hip" and skeleton == "openpose25":
        return "CHip"  # as in Pose2Sim's BODY_25
    if point in _MIDDLE:
        return _MIDDLE[point]
    if point.startswith("face-"):
        return _FACE_NAMES[int(point[len("face-") :])]
    if side not in ("left", "right"):
        return point
    finger = rest.rstrip("1234")
    known = _SIDED.get(rest, "")
    if finger in _FINGERS:
        known = _FINGERS[finger] + rest[len(finger) :]
    known = known[:-1] if known in _PLAIN else known
    return f"{side[0].upper()}{known}" if known else point


@lru_cache(maxsize=None)
def markers(skeleton: str) -> Tuple[List[str], np.ndarray, np.ndarray]:
    """The markers of a set of keypoints.

    Returns:
        Names [M], and the two points [M] i64 whose mean each marker is; for a copy both are the
        same point. Cached: not to be changed.
    """
    points = list(skeletons.get(skeleton).names)
    names: Dict[str, Tuple[int, int]] = {}
    for i, point in enumerate(points):
        names[_name(point, skeleton)] = (i, i)
    for middle, (left, right) in MIDPOINTS.items():
        if middle not in points and left in points and right in points:
            names[_MIDDLE[middle]] = (points.index(left), points.index(right))
    first, second = np.array(list(names.values()), np.int64).T
    return list(names), first, second
