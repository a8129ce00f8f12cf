"""Keypoints in metres from a depth image that is aligned with the picture.

With the depth z of a keypoint at the px u, v: x = (u - cx) z / fx and y = (v - cy) z / fy, in the
camera's axes (x right, y down, z ahead). A depth camera measures the nearest surface. So the depth
of a keypoint is that of the surface around it, without holes and background, plus the way from the
skin to the joint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

import numpy as np

from edge.scene_structures import Joints
from edge.skeletons import Skeleton
from edge.structures import VISIBLE, Poses

_NEAREST_M, _FARTHEST_M = 0.2, 12.0
_SIDE = 7  # samples of a window in each direction
_HALF_H = 0.012  # half a window, in heights of the person's box
_HALF_PX = (2.0, 10.0)
_FEWEST = 5  # samples of 49 that must be left
_FRONT = 0.25  # the surface: this share of the samples is nearer, noise and edges
_THICK_M = 0.10  # samples this far behind it belong to it
# How far a keypoint may be from the trunk in depth, m: what is further is background or somebody
# else. A bent limb is nearer to it than a stretched one that points to the camera.
_REACH_M: Dict[str, float] = {
    **dict.fromkeys(("shoulder", "hip"), 0.45),
    **dict.fromkeys(("elbow", "knee"), 0.65),
    **dict.fromkeys(("wrist", "ankle"), 1.0),
    **dict.fromkeys(("nose", "eye", "ear"), 0.7),
}
_REST_M = 1.15  # feet, hands
# From the skin or the clothes to the keypoint, in shares of the person's height; medians of the
# drawn people of the split `tune` (edge-tools synth).
_INSET_H: Dict[str, float] = {
    "nose": 0.0,
    "eye": 0.008,
    "ear": 0.004,
    "shoulder": 0.052,
    "elbow": 0.032,
    "wrist": 0.016,
    "hip": 0.081,
    "knee": 0.050,
    "ankle": 0.032,
    "heel": 0.020,
}
_TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point of the picture, px; pixel centres are whole numbers."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def of_size(self, width: int, height: int) -> Intrinsics:
        """The same camera with a larger or smaller picture of the same shape."""
        a, b = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * a - 0.5, (self.cy + 0.5) * b - 0.5
        return Intrinsics(width, height, self.fx * a, self.fy * b, cx, cy)


class Lift:
    """Lifts people of one skeleton.

    Args:
        skeleton: the keypoint set.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        parts = [name.replace("left_", "").replace("right_", "") for name in skeleton.names]
        self._reach_m = np.array([_REACH_M.get(part, _REST_M) for part in parts])
        self._inset_h = np.array([_INSET_H.get(part, 0.01) for part in parts])
        rows = skeleton.index(*_TRUNK)
        self._trunk = rows[rows >= 0]
        self._hips = skeleton.index("left_hip", "right_hip")

    def __call__(
        self, poses: Poses, depth: np.ndarray, scale_m: float, camera: Intrinsics
    ) -> Joints:
        """The people of a frame in the camera's axes.

        Args:
            poses: [N] people.
            depth: [H,W] u16, aligned with the picture; 0 = no measurement. It may be smaller than
                the picture, in the same shape.
            scale_m: metres of one unit of it.
            camera: of the picture.

        Returns:
            Points in metres; a keypoint without depth has the score 0.
        """
        n, k = poses.scores.shape
        if not n:
            return Joints(np.zeros((0, k, 3), np.float32), np.zeros((0, k), np.float32), "depth")
        seen = (poses.scores > VISIBLE) & np.isfinite(poses.keypoints).all(2)
        sides = poses.boxes[:, 2:] - poses.boxes[:, :2]
        tall_px = np.maximum(sides.max(1), 1.0).astype(np.float64)
        places = np.where(seen[..., None], poses.keypoints, 0).astype(np.float64)
        samples = _samples(places, tall_px, depth, scale_m, camera)
        trunk_m = self._trunk_m(samples, seen)
        off = np.abs(samples - trunk_m[:, None, None]) < self._reach_m[None, :, None]
        z, share = _surface(np.where(off, samples, np.inf))
        there = seen & (share > 0)
        tall_m = tall_px * np.where(np.isfinite(trunk_m), trunk_m, 0) / camera.fy
        z = np.where(there, z + self._inset_h * np.clip(tall_m, 0.8, 2.1)[:, None], 0)
        x = (places[..., 0] - camera.cx) * z / camera.fx
        y = (places[..., 1] - camera.cy) * z / camera.fy
        points = np.stack((x, y, z), 2).astype(np.float32)
        scores = np.where(there, poses.scores * np.minimum(share / 0.3, 1), 0)
        return Joints(points, scores.astype(np.float32), "depth")

    def hip_centred(self, joints: Joints) -> Tuple[Joints, np.ndarray]:
        """Points from the middle of the hips, and that middle [N,3] m.

        A person whose hips have no depth keeps no keypoint.
        """
        both = np.asarray(joints.scores[:, self._hips] > 0).all(1, keepdims=True)
        middle = joints.points[:, self._hips].mean(1)
        scores = np.where(both, joints.scores, 0).astype(np.float32)
        moved = (joints.points - middle[:, None]) * (scores > 0)[..., None]
        return Joints(moved.astype(np.float32), scores, joints.source), middle

    def _trunk_m(self, samples: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Depth [N] of the trunk: median of the surfaces around shoulders and hips; else of all."""
        z, share = _surface(samples)
        z = np.where(seen & (share > 0), z, np.nan)
        trunk = _median(z[:, self._trunk])
        return np.where(np.isnan(trunk), _median(z), trunk)


def _samples(
    places: np.ndarray, tall_px: np.ndarray, depth: np.ndarray, scale_m: float, camera: Intrinsics
) -> np.ndarray:
    """Depths [N,K,S] m in a window around each keypoint; infinite where there is none."""
    half = np.clip(_HALF_H * tall_px, *_HALF_PX)
    steps = np.linspace(-1, 1, _SIDE)
    grid = np.stack(np.meshgrid(steps, steps), 2).reshape(-1, 2)
    at = places[:, :, None] + half[:, None, None, None] * grid
    height, width = depth.shape
    ratio = np.array([width / camera.width, height / camera.height])
    cells = np.rint((at + 0.5) * ratio - 0.5)
    inside = ((cells >= 0) & (cells < (width, height))).all(3)
    columns, rows = np.moveaxis(np.where(inside[..., None], cells, 0).astype(np.intp), 3, 0)
    found = depth[rows, columns] * scale_m
    return np.where(inside & (found > _NEAREST_M) & (found < _FARTHEST_M), found, np.inf)


def _surface(samples: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Depth [N,K] of the front surface among samples [N,K,S], and its share of them; 0 = none."""
    ordered = np.sort(samples, 2)
    count = np.isfinite(ordered).sum(2)
    first = (_FRONT * count).astype(np.intp)
    front = np.take_along_axis(ordered, first[..., None], 2)[..., 0]
    kept = (ordered < np.where(np.isfinite(front), front, 0)[..., None] + _THICK_M).sum(2)
    middle = np.take_along_axis(ordered, np.maximum(kept // 2, 0)[..., None], 2)[..., 0]
    enough = kept >= _FEWEST
    return np.where(enough, middle, 0.0), np.where(enough, kept / samples.shape[2], 0.0)


def _median(values: np.ndarray) -> np.ndarray:
    """Median [N] of rows [N,M] without NaN; NaN where a row has none."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, 1)
    count = np.isfinite(ordered).sum(1)
    found = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, found, np.nan)
