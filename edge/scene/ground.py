"""The floor in metres: from px of a camera to places on the ground.

A plane and its picture are related by a matrix of 3 x 3 (Hartley and Zisserman 2004, chapter 8).
A camera of a calibration bends its rays as well; its lens is undone first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from edge.lens import Lens
from edge.scene.rig import Rig

_LEVEL = 1e-9  # a point whose third number is smaller than this share of the others is too far


@dataclass(frozen=True)
class Ground:
    """The floor as one camera sees it. Numbers are tuples, so that two grounds can be compared."""

    matrix: Tuple[float, ...]  # 9, row by row: x, y, 1 -> X W, Y W, W; X, Y in m; W > 0 in view
    lens: Optional[Lens] = None  # undone first: `matrix` takes px of the same camera without it

    def metres(self, points: np.ndarray) -> np.ndarray:
        """Places on the floor.

        Args:
            points: [...] complex px.

        Returns:
            [...] c128 m; NaN for points at or above the horizon, and beyond the lens.
        """
        points = np.asarray(points, np.complex128)
        if self.lens is not None:
            points = self.lens.undistorted(points)
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
    inner = rig.matrices[row]
    return Ground(
        tuple((rows @ np.linalg.inv(inner)).ravel().tolist()),
        Lens(
            tuple(inner.ravel().tolist()), tuple(rig.lenses[row].tolist()), bool(rig.fisheye[row])
        ),
    )
