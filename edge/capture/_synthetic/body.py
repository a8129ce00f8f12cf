"""An articulated body: fifteen rigid segments, with 133 keypoints and the solids fixed to them.

Coordinate frames are right-handed: x to the front, y to the person's left, z up. In the rest pose
the arms hang down and the frames of all segments are parallel. Lengths are in statures. Segment
lengths and heights are the averages of Drillis and Contini, from Winter, Biomechanics and Motor
Control of Human Movement, fig. 4.1; the radii are our own. Shapes: N people, 15 segments, S solids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from edge.capture._synthetic import face as head

SEGMENTS = (
    "pelvis",
    "chest",
    "head",
    "left_upper_arm",
    "left_forearm",
    "left_hand",
    "right_upper_arm",
    "right_forearm",
    "right_hand",
    "left_thigh",
    "left_shank",
    "left_foot",
    "right_thigh",
    "right_shank",
    "right_foot",
)
PARENTS = (-1, 0, 1, 1, 3, 4, 1, 6, 7, 0, 9, 10, 0, 12, 13)
AT: Dict[str, int] = {name: i for i, name in enumerate(SEGMENTS)}

STATURE_M = 1.72  # of the average person in a scene
UPPER_ARM, FOREARM, THIGH, SHANK = 0.186, 0.146, 0.245, 0.246
LEG = THIGH + SHANK
_SHOULDER = (-0.004, 0.113, 0.222)
_HIP = (0.0, 0.054, 0.0)
_ANKLE_HEIGHT = 0.039


def _right(place: Tuple[float, float, float]) -> Tuple[float, float, float]:
    return place[0], -place[1], place[2]


# The origin of each segment (its upper joint) in its parent's frame.
ORIGINS = np.array(
    [
        (0, 0, 0),
        (0, 0, 0.06),
        (0, 0, 0.255),
        _SHOULDER,
        (0, 0, -UPPER_ARM),
        (0, 0, -FOREARM),
        _right(_SHOULDER),
        (0, 0, -UPPER_ARM),
        (0, 0, -FOREARM),
        _HIP,
        (0, 0, -THIGH),
        (0, 0, -SHANK),
        _right(_HIP),
        (0, 0, -THIGH),
        (0, 0, -SHANK),
    ]
)

_TOES_AND_HEEL = ((0.112, -0.012, -0.036), (0.090, 0.030, -0.036), (-0.034, 0.0, -0.033))


def _keypoints() -> List[Tuple[str, Tuple[float, float, float]]]:
    """Segment and place of each keypoint in wholebody133's order, without the hands."""
    zero = (0.0, 0.0, 0.0)
    on_head = [head.NOSE, *head.EYES, *head.EARS]
    limbs = ("upper_arm", "forearm", "hand", "thigh", "shank", "foot")
    rows = [("head", tuple(p)) for p in on_head]
    rows += [(f"{side}_{limb}", zero) for limb in limbs for side in ("left", "right")]
    rows += [("left_foot", p) for p in _TOES_AND_HEEL]
    rows += [("right_foot", _right(p)) for p in _TOES_AND_HEEL]
    rows += [("head", tuple(p)) for p in head.FACE]
    return rows


_RIGID = _keypoints()
_SEGMENT = np.array([AT[name] for name, _ in _RIGID])
_PLACE = np.array([place for _, place in _RIGID])
_HANDS = np.array([AT["left_hand"], AT["right_hand"]])
_SIDES = np.array([[[1.0, 1.0, 1.0]], [[1.0, -1.0, 1.0]]])  # the right hand mirrors the left


@dataclass(frozen=True)
class Solid:
    """A tapered capsule between two segments; it is drawn and hides what is behind it."""

    name: str
    start: Tuple[int, Tuple[float, float, float]]  # segment and place
    end: Tuple[int, Tuple[float, float, float]]
    radii: Tuple[float, float]


def _solid(
    name: str,
    start: Tuple[str, Tuple[float, float, float]],
    end: Tuple[str, Tuple[float, float, float]],
    *radii: float,
) -> Solid:
    return Solid(name, (AT[start[0]], start[1]), (AT[end[0]], end[1]), (radii[0], radii[1]))


def _side(side: str) -> List[Solid]:
    y, zero = (1.0 if side == "left" else -1.0), (0.0, 0.0, 0.0)
    names = ("upper_arm", "forearm", "hand", "thigh", "shank", "foot")
    upper, fore, palm, thigh, shank, foot = (f"{side}_{name}" for name in names)
    return [
        _solid(
            f"{side}_trunk",
            ("pelvis", (0, 0.044 * y, 0.01)),
            ("chest", (0, 0.060 * y, 0.175)),
            0.052,
            0.056,
        ),
        _solid(upper, (upper, (0, 0, -0.004)), (fore, zero), 0.032, 0.024),
        _solid(fore, (fore, zero), (palm, zero), 0.024, 0.016),
        _solid(palm, (palm, (0, 0, -0.010)), (palm, (0, 0, -0.046)), 0.016, 0.020),
        _solid(thigh, (thigh, (0, 0, -0.012)), (shank, zero), 0.052, 0.035),
        _solid(shank, (shank, zero), (foot, zero), 0.033, 0.022),
        _solid(foot, (foot, (-0.018, 0, -0.019)), (foot, (0.090, 0.004 * y, -0.025)), 0.020, 0.014),
    ]


SOLIDS = (
    _solid("head", ("head", (0.006, 0, 0.058)), ("head", (-0.004, 0, 0.100)), 0.040, 0.052),
    _solid("neck", ("chest", (-0.004, 0, 0.220)), ("head", (0.0, 0, 0.035)), 0.032, 0.030),
    *_side("left"),
    *_side("right"),
)
_ENDS = [s.start for s in SOLIDS] + [s.end for s in SOLIDS]
_END_SEGMENT = np.array([segment for segment, _ in _ENDS])
_END_PLACE = np.array([place for _, place in _ENDS])
RADII = np.array([s.radii for s in SOLIDS])  # [S,2]

# Depth of each keypoint below its own skin, in statures: it is hidden if more than this depth of
# solids lies in front of it. Body and feet, then face, then hands.
COVER = np.array(
    [0.030, 0.028, 0.028, 0.030, 0.030]
    + [0.072] * 2
    + [0.045] * 2
    + [0.034] * 2
    + [0.090] * 2
    + [0.056] * 2
    + [0.045] * 2
    + [0.022] * 6
    + [0.040] * 17
    + [0.030] * 51
    + [0.030] * 42
)


@dataclass(frozen=True)
class Bodies:
    """The bodies of N people in space; metres, in the coordinate frame of the input."""

    joints: np.ndarray  # [N,15,3] origins of the segments
    frames: np.ndarray  # [N,15,3,3] their axes, as columns
    keypoints: np.ndarray  # [N,133,3]
    starts: np.ndarray  # [N,S,3] of the solids
    ends: np.ndarray  # [N,S,3]
    radii: np.ndarray  # [N,S,2] at start and end
    stature: np.ndarray  # [N]

    def moved(self, by: np.ndarray) -> Bodies:
        """The bodies moved by [N,3] metres."""
        step = by[:, None]
        return Bodies(
            self.joints + step,
            self.frames,
            self.keypoints + step,
            self.starts + step,
            self.ends + step,
            self.radii,
            self.stature,
        )

    def take(self, rows: np.ndarray) -> Bodies:
        """The bodies of these rows, in this order."""
        arrays = (
            self.joints,
            self.frames,
            self.keypoints,
            self.starts,
            self.ends,
            self.radii,
            self.stature,
        )
        return Bodies(*[a[rows] for a in arrays])

    @property
    def lowest(self) -> np.ndarray:
        """[N] height of the lowest point of solids and keypoints."""
        start = (self.starts[..., 2] - self.radii[..., 0]).min(1)
        end = (self.ends[..., 2] - self.radii[..., 1]).min(1)
        return np.minimum(np.minimum(start, end), self.keypoints[..., 2].min(1))


def turns(degrees: np.ndarray) -> np.ndarray:
    """Rotation matrices from angles about x, then y, then z.

    Args:
        degrees: [...,3].

    Returns:
        [...,3,3]; positive angles turn y to z, z to x and x to y.
    """
    (cx, cy, cz), (sx, sy, sz) = (
        np.moveaxis(f(np.radians(degrees)), -1, 0) for f in (np.cos, np.sin)
    )
    rows = (
        (cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz),
        (cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz),
        (-sy, sx * cy, cx * cy),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def chained(local: np.ndarray) -> np.ndarray:
    """Axes of the segments from their rotations relative to the parents; [N,15,3,3] both."""
    out = local.copy()
    for i, parent in enumerate(PARENTS):
        if parent >= 0:
            out[:, i] = out[:, parent] @ local[:, i]
    return out


def build(frames: np.ndarray, stature: np.ndarray, curl: np.ndarray) -> Bodies:
    """Bodies with the mid-hip at the origin.

    Args:
        frames: [N,15,3,3] axes of the segments.
        stature: [N] metres.
        curl: [N,2] left and right hand, 0 = flat, 1 = fist.
    """
    joints = np.zeros((len(frames), len(SEGMENTS), 3))
    size = stature[:, None, None]
    for i, parent in enumerate(PARENTS):
        if parent >= 0:
            step = frames[:, parent] @ ORIGINS[i]
            joints[:, i] = joints[:, parent] + step * stature[:, None]
    rigid = joints[:, _SEGMENT] + size * _turned(frames[:, _SEGMENT], _PLACE)
    fingers = head.hand(curl.ravel()).reshape(len(curl), 2, 21, 3) * _SIDES
    hands = size[..., None] * _turned(frames[:, _HANDS, None], fingers)
    hands += joints[:, _HANDS, None]
    ends = joints[:, _END_SEGMENT] + size * _turned(frames[:, _END_SEGMENT], _END_PLACE)
    half = len(SOLIDS)
    keypoints = np.concatenate([rigid, hands[:, 0], hands[:, 1]], axis=1)
    ends, starts = ends[:, half:], ends[:, :half]
    return Bodies(joints, frames, keypoints, starts, ends, RADII * size, stature)


def _turned(frames: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[...,3,3] times [...,3]."""
    out: np.ndarray = (frames @ places[..., None])[..., 0]
    return out
