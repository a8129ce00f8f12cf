"""Keypoints of several cameras -> points in metres, with wrong views rejected.

Each pair of views of a keypoint gives a point (the middle of the shortest line between two rays).
The point to which most views fit is chosen (least sum of truncated squared errors: MSAC, Torr and
Zisserman 2000), then solved again from all views that fit. Errors are metres across the ray, so
that the same bound fits near and distant people at every picture size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from edge.scene.rig import Rig, flattened

_ROUNDS = 5  # of the weighted solution: weights depend on the depth
# Scale of a view's error, m: views count less, the farther they are off (Cauchy's weights). Errors
# of pose networks have long tails: on the four-camera clip the median error is 5.7 px so, and
# 7.8 px with equal weights.
_SPREAD_M = 0.02
_LEAST_ANGLE = np.sin(np.radians(4.0))  # rays that are nearer to parallel give no depth
_PRIOR = 0.3  # cost of a point far from the expected one, in views
_PRIOR_M = 0.15


@dataclass(frozen=True, eq=False)
class Solved:
    """Points and what they stand on."""

    points: np.ndarray  # [G,K,3] f64 m; NaN = not solved
    fits: np.ndarray  # [C,G,K] bool: the view belongs to the point
    errors_m: np.ndarray  # [C,G,K] f64 across the ray; NaN = no such view or point


def solve(
    rig: Rig,
    flat: np.ndarray,
    weights: np.ndarray,
    max_error_m: float,
    expected: Optional[np.ndarray] = None,
) -> Solved:
    """Triangulate keypoints robustly.

    Args:
        rig: C cameras.
        flat: [C,G,K,2] x, y at depth 1 (Rig.directions).
        weights: [C,G,K] 0..1; 0 = the camera does not see it.
        max_error_m: a view that is farther off, across its ray, is rejected.
        expected: [G,K,3] m where points are expected, NaN = anywhere; decides between views that
            contradict each other.
    """
    weights = np.where(np.isfinite(flat).all(-1), weights, 0.0)
    flat = np.where(weights[..., None] > 0, flat, 0.0)
    origins = rig.centres
    rays = _rays(rig, flat)
    best = np.full(flat.shape[1:3], np.inf)
    points = np.full((*flat.shape[1:3], 3), np.nan)
    for a, b in _pairs(len(rig)):
        both = (weights[a] > 0) & (weights[b] > 0)
        if both.any():
            found, _, _ = between(origins[a], rays[a], origins[b], rays[b])
            errors = errors_of(rig, found, flat)
            cost = _cost(errors, weights, max_error_m) + _surprise(found, expected)
            ok = both & (errors[a] <= max_error_m) & (errors[b] <= max_error_m)
            better = ok & (cost < best)
            best = np.where(better, cost, best)
            points = np.where(better[..., None], found, points)
    return _refined(rig, flat, rays, weights, points, max_error_m)


def _pairs(cameras: int) -> List[Tuple[int, int]]:
    return [(a, b) for a in range(cameras) for b in range(a + 1, cameras)]


def _rays(rig: Rig, flat: np.ndarray) -> np.ndarray:
    """Unit vectors [C,G,K,3] in the room."""
    ahead = np.concatenate((flat, np.ones((*flat.shape[:-1], 1))), -1)
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    c = len(rig)
    return (ahead.reshape(c, -1, 3) @ rig.turns).reshape(ahead.shape)


def between(
    origin: np.ndarray, ray: np.ndarray, other: np.ndarray, theirs: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shortest line between two rays.

    Args:
        origin: [...,3] of the first ray; broadcast against it.
        ray: [...,3] unit vectors.
        other: [...,3] origin of the second ray.
        theirs: [...,3] its unit vectors.

    Returns:
        Its middle [...,3], NaN if the rays are nearly parallel; its length [...]; and whether both
        ends lie ahead of the origins [...].
    """
    cosine = (ray * theirs).sum(-1)
    gap = other - origin
    p, q = (ray * gap).sum(-1), (theirs * gap).sum(-1)
    sine2 = 1 - cosine * cosine
    sine2 = np.where(sine2 > _LEAST_ANGLE**2, sine2, np.nan)
    far, theirs_far = (p - cosine * q) / sine2, (cosine * p - q) / sine2
    one, two = origin + far[..., None] * ray, other + theirs_far[..., None] * theirs
    return (one + two) / 2, np.linalg.norm(one - two, axis=-1), (far > 0) & (theirs_far > 0)


def errors_of(rig: Rig, points: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Distance [C,G,K] m across each ray between points [G,K,3] and keypoints [C,G,K,2]."""
    shown, depth = flattened(rig.in_camera(points))
    return np.hypot(*np.moveaxis(shown - flat, -1, 0)) * depth


def _cost(errors: np.ndarray, weights: np.ndarray, bound: float) -> np.ndarray:
    share = np.minimum(np.nan_to_num(errors / bound, nan=1.0) ** 2, 1)
    return (share * weights).sum(0)


def _surprise(points: np.ndarray, expected: Optional[np.ndarray]) -> np.ndarray:
    if expected is None:
        return np.zeros(points.shape[:-1])
    off = np.linalg.norm(points - expected, axis=-1)
    return _PRIOR * np.minimum(np.nan_to_num(off / _PRIOR_M, nan=1.0) ** 2, 1)


def _refined(
    rig: Rig,
    flat: np.ndarray,
    rays: np.ndarray,
    weights: np.ndarray,
    points: np.ndarray,
    bound: float,
) -> Solved:
    """Solve from all views that fit, each weighted by score, nearness and how well it fits."""
    seen = weights > 0
    lines = _across(rig.centres, rays)
    shown, depth = flattened(rig.in_camera(points))
    for _ in range(_ROUNDS):
        errors = np.hypot(*np.moveaxis(shown - flat, -1, 0)) * depth
        fits = seen & (errors <= bound)  # NaN fits nothing
        enough = fits.sum(0) >= 2
        trust = 1 / (1 + np.square(np.where(fits, errors, 0.0) / _SPREAD_M))
        near = weights / np.maximum(depth, 0.1)
        used = np.where(fits & enough, near * near * trust, 0.0)
        points = _nearest(lines, used)
        shown, depth = flattened(rig.in_camera(points))
    errors = np.where(seen, np.hypot(*np.moveaxis(shown - flat, -1, 0)) * depth, np.nan)
    fits = seen & (errors <= bound)
    good = fits.sum(0) >= 2
    return Solved(np.where(good[..., None], points, np.nan), fits & good, errors)


def _across(origins: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """The normal equations of each ray [C,G,K,9]: six entries of I - r r', then (I - r r') o."""
    x, y, z = np.moveaxis(rays, -1, 0)
    along = (rays * origins[:, None, None]).sum(-1)[..., None]
    right = origins[:, None, None] - rays * along
    left = np.stack((1 - x * x, -x * y, -x * z, 1 - y * y, -y * z, 1 - z * z), -1)
    return np.concatenate((left, right), -1)


def _nearest(lines: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The point [G,K,3] with the least weighted sum of squared distances to rays; NaN = none.

    Sum w (I - r r') x = sum w (I - r r') o, by Cramer's rule: numpy's solver is slower for 3 x 3.
    """
    total = (lines * weights[..., None]).sum(0)
    a, b, c, d, e, f, u, v, w = np.moveaxis(total, -1, 0)
    df, cd, bf = d * f - e * e, c * e - b * f, b * e - c * d
    det = a * df + b * cd + c * bf
    size = a + d + f
    good = (size > 0) & (det > 1e-6 * size**3)
    scale = np.where(good, 1 / np.where(good, det, 1.0), np.nan)
    ac, ad, ae = a * f - c * c, a * d - b * b, b * c - a * e
    x = df * u + cd * v + bf * w
    y = cd * u + ac * v + ae * w
    z = bf * u + ae * v + ad * w
    return np.stack((x, y, z), -1) * scale[..., None]
