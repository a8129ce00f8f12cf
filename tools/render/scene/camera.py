"""Cameras: a pinhole, a lens with radial distortion, and an equidistant fisheye.

World: z up, floor at z = 0, metres. Camera: x right, y down, z forward. Pixel centres are whole
numbers, so that the first pixel's is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

NEAR_M = 0.15
PINHOLE, RADIAL, FISHEYE = 0, 1, 2
LENSES = ("pinhole", "radial", "fisheye")


@dataclass(frozen=True, eq=False)
class Camera:
    """Size, lens and place of a camera."""

    width: int  # px
    height: int  # px
    focal_px: float
    rotation: np.ndarray  # [3,3] world to camera
    position: np.ndarray  # [3] m
    lens: int = PINHOLE
    k1: float = 0.0  # of the radial lens: r' = r * (1 + k1 r^2), Brown's first term

    @property
    def centre(self) -> Tuple[float, float]:
        """Principal point, px."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    def project(self, points: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """World points [N,3] m to pixels [N,2] and depths [N] m.

        The depth is along the optical axis; of the fisheye it is the distance. A point nearer than
        `NEAR_M` has depth 0 and no place.
        """
        seen = (points - self.position) @ self.rotation.T
        x, y, z = seen[:, 0], seen[:, 1], seen[:, 2]
        if self.lens == FISHEYE:
            side = np.hypot(x, y)
            depth = np.sqrt(side * side + z * z)
            scale = np.arctan2(side, z) / np.maximum(side, 1e-9)
            fine = depth > NEAR_M
        else:
            depth, fine = z, z > NEAR_M
            scale = 1 / np.maximum(z, NEAR_M)
            if self.lens == RADIAL:
                r2 = (x * x + y * y) * scale * scale
                fine = fine & (r2 < self.radius_limit**2)
                scale = scale * (1 + self.k1 * np.minimum(r2, self.radius_limit**2))
        centre = self.centre
        pixels = np.stack(
            [x * scale * self.focal_px + centre[0], y * scale * self.focal_px + centre[1]], axis=1
        )
        return pixels, np.where(fine, depth, 0.0)

    @property
    def radius_limit(self) -> float:
        """Largest tangent of the angle to the axis for which the radial lens is one to one."""
        return 0.95 / np.sqrt(-3 * self.k1) if self.k1 < 0 else 10.0

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Unit directions [N,3] in the world of pixels [N,2]."""
        d = (pixels - self.centre) / self.focal_px
        r = np.maximum(np.hypot(d[:, 0], d[:, 1]), 1e-12)
        if self.lens == FISHEYE:
            angle = np.minimum(r, np.pi)
            rays = np.stack(
                [d[:, 0] / r * np.sin(angle), d[:, 1] / r * np.sin(angle), np.cos(angle)], axis=1
            )
        else:
            scale = np.ones_like(r)
            if self.lens == RADIAL:
                wide = r.copy()
                for _ in range(8):  # Newton: wide * (1 + k1 wide^2) = r
                    error = wide * (1 + self.k1 * wide * wide) - r
                    wide -= error / np.maximum(1 + 3 * self.k1 * wide * wide, 0.1)
                scale = np.clip(wide, 0, self.radius_limit) / r
            rays = np.stack([d[:, 0] * scale, d[:, 1] * scale, np.ones_like(r)], axis=1)
            rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return rays @ self.rotation


def towards(position: np.ndarray, target: np.ndarray, roll_rad: float = 0.0) -> np.ndarray:
    """[3,3] world to camera of a camera at `position` that looks at `target`."""
    forward = target - position
    forward = forward / np.linalg.norm(forward)
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll_rad), np.sin(roll_rad)
    return np.stack([cos * right + sin * down, cos * down - sin * right, forward])


def focal_px(width: int, fov_deg: float, lens: int = PINHOLE) -> float:
    """Focal length for a horizontal field of view."""
    half = np.radians(fov_deg) / 2
    return float(width / 2 / (half if lens == FISHEYE else np.tan(half)))
