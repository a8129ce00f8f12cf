"""The floor in metres: from px of a camera to places on the ground.

A plane and its picture are related by a matrix of 3 x 3 (Hartley and Zisserman 2004, chapter 8).
A camera of a calibration bends its rays as well; its lens is undone first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Tuple

import numpy as np

from edge.scene.rig import LENS_TERMS, Rig

_LEVEL = 1e-9  # a point whose third number is smaller than this share of the others is too far


@dataclass(frozen=True)
class Ground:
    """The floor as one camera sees it. Numbers are tuples, so that two grounds can be compared."""

    matrix: Tuple[float, ...]  # 9, row by row: x, y, 1 -> X W, Y W, W; X, Y in m; W > 0 in view
    camera: Tuple[float, ...] = ()  # 9, the camera's matrix, px; empty = `matrix` takes px
    lens: Tuple[float, ...] = ()  # terms of edge.scene.rig
    fisheye: bool = False

    def metres(self, points: np.ndarray) -> np.ndarray:
        """Places on the floor.

        Args:
            points: [...] complex px.

        Returns:
            [...] c128 m; NaN for points at or above the horizon, and beyond the lens.
        """
        points = np.asarray(points, np.complex128)
        if self.camera:
            points = _straight(self, points)
        m = self.matrix
        x, y = points.real, points.imag
        w = m[6] * x + m[7] * y + m[8]
        least = _LEVEL * (abs(m[6]) * np.abs(x) + abs(m[7]) * np.abs(y) + abs(m[8]))
        before = w > least
        found = (m[0] * x + m[1] * y + m[2]) + 1j * (m[3] * x + m[4] * y + m[5])
        return np.where(before, found / np.where(before, w, 1.0), complex(np.nan, np.nan))


def of_rig(rig: Rig, row: int) -> Ground:
    """The plane z = 0 of a calibration, as the camera of a row sees it."""
    turn, (x, y, z) = rig.turns[row], rig.centres[row]
    # A ray C + t R'd reaches the plane at t = -C_z / (R'd)_z, which must be before the camera.
    ahead = turn.T
    rows = np.stack((x * ahead[2] - z * ahead[0], y * ahead[2] - z * ahead[1], ahead[2]))
    rows *= -1.0 if z > 0 else 1.0
    return Ground(
        tuple(rows.ravel().tolist()),
        tuple(rig.matrices[row].ravel().tolist()),
        tuple(rig.lenses[row].tolist()),
        bool(rig.fisheye[row]),
    )


def _straight(ground: Ground, points: np.ndarray) -> np.ndarray:
    """Points as x + iy at depth 1, without the lens."""
    flat = points.reshape(-1)
    pairs = np.stack((flat.real, flat.imag), -1)[None]
    seen = _alone(ground).directions(np.zeros(1, np.int64), pairs)[0]
    return np.asarray((seen[:, 0] + 1j * seen[:, 1]).reshape(points.shape))


@lru_cache(maxsize=64)
def _alone(ground: Ground) -> Rig:
    lens = np.zeros((1, LENS_TERMS))
    lens[0, : len(ground.lens)] = ground.lens
    return Rig(
        ("",),
        np.eye(3)[None],
        np.zeros((1, 3)),
        np.reshape(ground.camera, (1, 3, 3)),
        lens,
        np.array([ground.fisheye]),
        np.zeros((1, 2)),
    )
