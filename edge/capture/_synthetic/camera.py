"""A pinhole camera without distortion, and the points that solids hide from it.

World: x to the right of camera 0, y away from it, z up, metres. Camera: x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

NEAR_M = 0.4  # people nearer than this are not shown
AZIMUTHS = (0.0, 60.0, -60.0, 180.0)  # degrees around the scene, of the views 0 to 3


@dataclass(frozen=True)
class Pinhole:
    """Size, focal length and place of a camera."""

    width: int  # px
    height: int  # px
    focal_px: float
    rotation: np.ndarray  # [3,3] world to camera
    position: np.ndarray  # [3] m, in the world

    @property
    def matrix(self) -> np.ndarray:
        """[3,4] projection: pixels times depth from homogeneous world metres."""
        k = np.array(
            [[self.focal_px, 0, self.centre[0]], [0, self.focal_px, self.centre[1]], [0, 0, 1]]
        )
        moved = np.concatenate([self.rotation, (-self.rotation @ self.position)[:, None]], axis=1)
        return k @ moved

    @property
    def centre(self) -> Tuple[float, float]:
        """Principal point in px; pixel centres are whole numbers."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    def look(self, points: np.ndarray) -> np.ndarray:
        """World to camera coordinates, [...,3] m."""
        out: np.ndarray = (points - self.position) @ self.rotation.T
        return out

    def project(self, seen: np.ndarray) -> np.ndarray:
        """Camera coordinates [...,3] m to [...,2] px; depths below `NEAR_M` become `NEAR_M`."""
        depth = np.maximum(seen[..., 2:], NEAR_M)
        out: np.ndarray = self.focal_px * seen[..., :2] / depth + self.centre
        return out


def around(
    width: int, height: int, view: int, distance_m: float, height_m: float, angle_deg: float
) -> Pinhole:
    """A camera on a ring around the scene, which looks at a point 0.95 m above its middle.

    Args:
        width: px.
        height: px.
        view: 0..3, see `AZIMUTHS`.
        distance_m: horizontal distance to the middle of the scene.
        height_m: above the floor.
        angle_deg: horizontal field of view.
    """
    azimuth = np.radians(AZIMUTHS[view])
    position = np.array([distance_m * np.sin(azimuth), -distance_m * np.cos(azimuth), height_m])
    forward = np.array([0.0, 0.0, 0.95]) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal_px = width / 2 / np.tan(np.radians(angle_deg) / 2)
    return Pinhole(width, height, float(focal_px), rotation, position)


def hidden(
    points: np.ndarray, cover: np.ndarray, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray
) -> np.ndarray:
    """Which points solids hide from the camera, which is at the origin.

    For each ray to a point, each tapered capsule is replaced by the ball at the place of its axis
    that is nearest to the ray. The capsule hides the point if the ray enters that ball more than
    `cover` in front of the point.

    Args:
        points: [P,3] m, in camera coordinates.
        cover: [P] m of solid in front of a point that do not hide it.
        starts: [S,3] m.
        ends: [S,3] m.
        radii: [S,2] m, at start and end.

    Returns:
        [P] bool.
    """
    depth = np.linalg.norm(points, axis=1)
    rays = points / depth[:, None]
    axis = ends - starts
    # Nearest points of the line t * ray and the segment start + s * axis, both clamped.
    along = rays @ axis.T  # [P,S]
    to_start = rays @ starts.T
    length = np.maximum((axis * axis).sum(1), 1e-12)
    offset = (axis * starts).sum(1)
    apart = np.maximum(length - along * along, 1e-9)
    s = np.clip((along * to_start - offset) / apart, 0.0, 1.0)
    t = to_start + s * along
    gap2 = (starts * starts).sum(1) + 2 * s * offset + s * s * length - t * t
    radius = radii[:, 0] + s * (radii[:, 1] - radii[:, 0])
    inside = radius * radius - gap2
    entry = t - np.sqrt(np.maximum(inside, 0.0))
    out: np.ndarray = ((inside > 0) & (entry > 0) & (entry < (depth - cover)[:, None])).any(1)
    return out
