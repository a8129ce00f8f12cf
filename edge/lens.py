"""The lens of one camera: from px of the picture to directions, and pictures of people without it.

Models are those of OpenCV: pinhole (k1 k2 p1 p2 k3 k4 k5 k6: Brown's radial and tangential terms,
rational form) and fisheye (k1..k4: Kannala and Brandt 2006). Undoing them needs no iteration over
the radial part: each lens has a table of picture radius against angle, made once.

Near a person every lens is close to an affine map. `local` gives that map, for crops. `straight`
gives the keypoints as a camera without a lens would show them that is turned to each person. It is
turned, because one flat picture of a wide view stretches people at its edge.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Tuple

import numpy as np

Size = Tuple[int, int]  # width, height px
TERMS = 8
SHAPE = 0.01  # pictures whose width over height differs by more have another shape
_STEPS = 8192  # of the table: directions are exact to .001 px of a picture of 8000 px
_WIDEST_PINHOLE = np.radians(87.0)
_ROUNDS = 6  # of the fixed-point iteration over the tangential terms, which are small
_AHEAD = 0.1  # least cosine between a person's middle and a keypoint that can be drawn in one view


@dataclass(frozen=True)
class Lens:
    """Camera matrix and distortion of the upright picture. Numbers are tuples: lenses compare."""

    matrix: Tuple[float, ...]  # 9 px, row by row: fx skew cx, 0 fy cy, 0 0 1
    terms: Tuple[float, ...] = ()  # up to 8, see the module; of a fisheye up to 4
    fisheye: bool = False
    size: Size = (0, 0)  # of the calibrated picture; 0 = unknown

    def sized(self, size: Size) -> Lens:
        """The lens for pictures of another size.

        Raises:
            ValueError: they have another shape than the calibrated ones.
        """
        if size == self.size:
            return self
        if not all(self.size):
            return dataclasses.replace(self, size=size)
        ratio = np.array(size, np.float64) / self.size
        if abs(ratio[0] / ratio[1] - 1) > SHAPE:
            raise ValueError(
                f"pictures of {size[0]} x {size[1]} px have another shape than the calibrated "
                f"{self.size[0]} x {self.size[1]} px"
            )
        matrix = np.reshape(self.matrix, (3, 3)).copy()
        matrix[:2] *= ratio[:, None]
        matrix[:2, 2] += (ratio - 1) / 2  # centres of pixels are at whole numbers
        return dataclasses.replace(self, matrix=tuple(matrix.ravel().tolist()), size=size)

    @property
    def fold_px(self) -> float:
        """Distance from the centre, in px, at which the picture turns back; inf = nowhere."""
        radii, _, folds = _table(self.fisheye, self._all_terms)
        return float(radii[-1] * min(self.matrix[0], self.matrix[4])) if folds else float("inf")

    @property
    def _all_terms(self) -> Tuple[float, ...]:
        return (*self.terms, *[0.0] * (TERMS - len(self.terms)))

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(np.reshape(self.matrix, (3, 3)))

    def rays(self, points: np.ndarray) -> np.ndarray:
        """Directions in the camera's axes: x to the right, y down, z ahead.

        Args:
            points: [...,2] px.

        Returns:
            [...,3] f64 unit vectors; NaN where the lens shows nothing.
        """
        inner = self._inverse
        bent = np.asarray(points, np.float64) @ inner[:2, :2].T + inner[:2, 2]
        radii, angles, _ = _table(self.fisheye, self._all_terms)
        start = _radial(bent, radii, angles)
        tangential = self._all_terms[2:4]
        if self.fisheye or not any(tangential):
            return start
        rays = start
        for _ in range(_ROUNDS):
            flat = rays[..., :2] / rays[..., 2:]
            rays = _radial(bent - _tangential(flat, *tangential), radii, angles)
        return rays

    def flat(self, points: np.ndarray) -> np.ndarray:
        """Points [...,2] px as x, y at depth 1 [...,2] f64; NaN = behind, or beyond the lens."""
        rays = self.rays(points)
        return np.asarray(rays[..., :2] / np.where(rays[..., 2:] > 1e-6, rays[..., 2:], np.nan))

    def undistorted(self, points: np.ndarray) -> np.ndarray:
        """Points [...] complex px as the same camera without distortion would show them [...] c128.

        NaN where the lens shows nothing.
        """
        flat = self.flat(np.stack((np.real(points), np.imag(points)), -1))
        outer = np.reshape(self.matrix, (3, 3))
        seen = flat @ outer[:2, :2].T + outer[:2, 2]
        return np.asarray(seen[..., 0] + 1j * seen[..., 1])

    def local(self, places: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """How the picture lies in straight views, each turned to one place of the picture.

        Args:
            places: [N,2] px.

        Returns:
            maps: [N,2,2] f64 from steps in px of the picture to steps in px of the view; areas stay
                (determinant 1). The identity where the lens shows nothing.
            views: [N,3,3] f64 rotations from the camera's axes to those of the view.
        """
        places = np.asarray(places, np.float64)
        steps = np.array([[0, 0], [0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
        rays = self.rays(places[:, None] + steps)
        views = _turned_to(rays[:, 0])
        seen = rays @ views.transpose(0, 2, 1)
        flat = seen[..., :2] / seen[..., 2:]
        maps = np.stack((flat[:, 1] - flat[:, 2], flat[:, 3] - flat[:, 4]), 2)
        area = _area(maps)
        known = np.isfinite(area) & (area > 1e-12)
        maps = maps / np.sqrt(np.where(known, area, 1.0))[:, None, None]
        return np.where(known[:, None, None], maps, np.eye(2)), views

    def straight(self, points: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Keypoints as straight views show them, each turned to one person.

        At its place a person keeps position and size of the picture. Keypoints without a direction
        follow the map of `local`.

        Args:
            points: [N,K,2] px.
            places: [N,2] px, middles of the people.

        Returns:
            [N,K,2] f32 px.
        """
        places = np.asarray(places, np.float64)
        maps, views = self.local(places)
        near = (np.asarray(points, np.float64) - places[:, None]) @ maps.transpose(0, 2, 1)
        seen = self.rays(points) @ views.transpose(0, 2, 1)
        good = (seen[..., 2] > _AHEAD) & np.isfinite(seen).all(-1)
        flat = seen[..., :2] / np.where(good, seen[..., 2], 1.0)[..., None]
        off = np.where(good[..., None], flat * self._scales(places, views)[:, None, None], near)
        return np.asarray(off + places[:, None], np.float32)

    def _scales(self, places: np.ndarray, views: np.ndarray) -> np.ndarray:
        """Px of the picture in one unit of the straight views, at their middles [N]."""
        step = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
        seen = self.rays(places[:, None] + step) @ views.transpose(0, 2, 1)
        flat = seen[..., :2] / seen[..., 2:]
        maps = np.stack((flat[:, 0] - flat[:, 1], flat[:, 2] - flat[:, 3]), 2)
        area = _area(maps)
        return np.where(area > 1e-12, 1 / np.sqrt(np.where(area > 1e-12, area, 1.0)), 1.0)


def _area(maps: np.ndarray) -> np.ndarray:
    """Determinants [N] of maps [N,2,2]; NaN stays NaN, without a warning."""
    return np.asarray(maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0])


def _radial(bent: np.ndarray, radii: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Unit vectors [...,3] of points [...,2] at depth 1 whose radius a lens has changed."""
    radius = np.hypot(bent[..., 0], bent[..., 1])
    angle = np.interp(radius, radii, angles, right=np.nan)
    side = np.sin(angle) / np.where(radius > 1e-12, radius, 1.0)
    return np.stack((bent[..., 0] * side, bent[..., 1] * side, np.cos(angle)), -1)


def _tangential(flat: np.ndarray, p1: float, p2: float) -> np.ndarray:
    x, y = flat[..., 0], flat[..., 1]
    r2, xy = x * x + y * y, 2 * x * y
    return np.stack((p1 * xy + p2 * (r2 + 2 * x * x), p2 * xy + p1 * (r2 + 2 * y * y)), -1)


@lru_cache(maxsize=64)
def _table(fisheye: bool, terms: Tuple[float, ...]) -> Tuple[np.ndarray, np.ndarray, bool]:
    """Radii in the picture at depth 1 and their angles [S] rad, as far as the radii rise.

    Returns:
        radii, angles, and whether the picture turns back before the widest angle.
    """
    widest = np.pi if fisheye else _WIDEST_PINHOLE
    angles = np.linspace(0, widest, _STEPS)
    a2 = angles * angles
    if fisheye:
        k1, k2, k3, k4 = terms[:4]
        radii = angles * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    else:
        k1, k2, _, _, k3, k4, k5, k6 = terms
        flat = np.tan(angles)
        r2 = flat * flat
        below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        with np.errstate(divide="ignore", invalid="ignore"):
            radii = flat * (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / below
        radii = np.where(below > 0, radii, -np.inf)
    rising = np.diff(radii) > 0
    count = len(angles) if rising.all() else int(rising.argmin()) + 1
    return radii[:count].copy(), angles[:count].copy(), count < len(angles)


def _turned_to(rays: np.ndarray) -> np.ndarray:
    """Rotations [N,3,3] from the camera's axes to those of views along rays [N,3].

    A view has no roll: its x is level in the camera's axes, so that what stands upright before the
    middle of a level camera stands upright in the view. Straight up and down there is no such axis;
    the camera's own x is used.
    """
    ahead = np.where(np.isfinite(rays), rays, np.array([0.0, 0.0, 1.0]))
    right = np.stack((ahead[:, 2], np.zeros(len(ahead)), -ahead[:, 0]), 1)
    size = np.linalg.norm(right, axis=1, keepdims=True)
    right = np.where(size > 1e-3, right / np.maximum(size, 1e-9), np.array([1.0, 0.0, 0.0]))
    down = np.cross(ahead, right)
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    return np.stack((np.cross(down, ahead), down, ahead), 1)
