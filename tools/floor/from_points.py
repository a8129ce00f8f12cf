"""The floor in metres from points of the picture whose places on it are known."""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np

from edge.errors import DataError
from edge.scene.ground import Ground

_DEGENERATE = 1e-7  # ratio of the smallest singular values: the points lie on one line
_CLICK_PX = 2.0  # likely error of a point that somebody clicked
_TRIALS = 200


class Fitted(NamedTuple):
    """A ground and how far it can be trusted."""

    ground: Ground
    error_m: float  # root mean square of the points; 0 with four of them
    unsure: float  # share by which lengths at the points change if each point is 2 px off


def fit(pixels: np.ndarray, metres: np.ndarray) -> Fitted:
    """The ground that maps points [P] complex px to places [P] complex m; P >= 4.

    Source of the formula: direct linear transformation with normalised points (Hartley and
    Zisserman 2004, algorithm 4.2).

    Raises:
        DataError: the points do not span a floor, or their order is wrong.
    """
    ground = _solved(pixels, metres)
    error_m = float(np.sqrt(np.mean(np.abs(ground.metres(pixels) - metres) ** 2)))
    rng = np.random.default_rng(0)
    changes: List[float] = []
    lengths = np.maximum(np.abs(np.diff(metres)), 1e-9)
    for _ in range(_TRIALS):
        off = _CLICK_PX * (rng.normal(0, 1, len(pixels)) + 1j * rng.normal(0, 1, len(pixels)))
        try:
            moved = _solved(pixels + off / np.sqrt(2), metres).metres(pixels)
        except DataError:
            return Fitted(ground, error_m, float("inf"))
        change = float(np.max(np.abs(np.abs(np.diff(moved)) / lengths - 1)))
        changes.append(change if np.isfinite(change) else float("inf"))
    return Fitted(ground, error_m, float(np.percentile(changes, 90)))


def _solved(pixels: np.ndarray, metres: np.ndarray) -> Ground:
    px, to_px = _normalised(pixels)
    m, to_m = _normalised(metres)
    ones, nothing = np.ones(len(px)), np.zeros((len(px), 3))
    points = np.stack((px.real, px.imag, ones), 1)
    rows = np.concatenate(
        (
            np.concatenate((points, nothing, -m.real[:, None] * points), 1),
            np.concatenate((nothing, points, -m.imag[:, None] * points), 1),
        )
    )
    _, sizes, right = np.linalg.svd(rows)
    if sizes[7] < _DEGENERATE * sizes[0]:
        raise DataError("the points lie on one line, or two are the same; choose others")
    matrix = np.linalg.inv(to_m) @ right[-1].reshape(3, 3) @ to_px
    matrix /= np.linalg.norm(matrix)
    depth = matrix[2] @ np.stack((pixels.real, pixels.imag, ones))
    if not ((depth > 0).all() or (depth < 0).all()):
        raise DataError("the points are crossed: give them in the order of their places")
    matrix *= np.sign(depth[0])
    return Ground(tuple((matrix / np.abs(matrix[2]).max()).ravel().tolist()))


def _normalised(points: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Points about 0 with a mean distance of sqrt(2), and the matrix that makes them so."""
    middle = points.mean()
    scale = np.sqrt(2) / max(float(np.abs(points - middle).mean()), 1e-12)
    matrix = np.array(
        [[scale, 0, -scale * middle.real], [0, scale, -scale * middle.imag], [0, 0, 1.0]]
    )
    return (points - middle) * scale, matrix
