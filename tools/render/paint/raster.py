"""A z-buffer of triangles, compiled by numba; one thread.

Two samples a pixel in each direction. Sample (u, v) of a picture lies at pixel
(u / 2 - 1/4, v / 2 - 1/4), so that pixel centres are whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np
from numba import njit

SAMPLES = 2  # in each direction
FAR = np.float32(1e9)


@dataclass(frozen=True, eq=False)
class Buffers:
    """What the z-buffer holds of each sample."""

    depth: np.ndarray  # [2H,2W] f32 m; FAR = nothing
    face: np.ndarray  # [2H,2W] i32 index of the face; -1 = nothing


def new_buffers(width: int, height: int) -> Buffers:
    """Empty buffers of a picture of this size."""
    shape = (height * SAMPLES, width * SAMPLES)
    return Buffers(np.full(shape, FAR, np.float32), np.full(shape, -1, np.int32))


def to_samples(pixels: np.ndarray) -> np.ndarray:
    """Pixels to sample coordinates, f32."""
    return (pixels * SAMPLES + (SAMPLES - 1) / 2).astype(np.float32)


@njit(cache=True, fastmath=True)
def _bounds(x0: float, x1: float, x2: float, size: int) -> Tuple[int, int]:
    """First and last whole number between three numbers and inside 0..size-1."""
    low = max(0, int(np.ceil(min(x0, min(x1, x2)))))
    return low, min(size - 1, int(np.floor(max(x0, max(x1, x2)))))


@njit(cache=True, fastmath=True)
def _fill(
    depth: np.ndarray, owner: np.ndarray, corners: np.ndarray, two_sided: bool, number: int
) -> None:
    """Draw one face. corners: [3,4] f32 x and y in samples, 1 / z, shown."""
    x0, y0, i0, s0 = corners[0, 0], corners[0, 1], corners[0, 2], corners[0, 3]
    x1, y1, i1, s1 = corners[1, 0], corners[1, 1], corners[1, 2], corners[1, 3]
    x2, y2, i2, s2 = corners[2, 0], corners[2, 1], corners[2, 2], corners[2, 3]
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if (area >= 0 and not two_sided) or abs(area) < 1e-9:
        return
    left, right = _bounds(x0, x1, x2, depth.shape[1])
    top, bottom = _bounds(y0, y1, y2, depth.shape[0])
    whole = s0 >= 0 and s1 >= 0 and s2 >= 0
    inverse = 1 / area
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
            w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
            w0 = 1 - w1 - w2
            if w0 < 0 or w1 < 0 or w2 < 0:
                continue
            near = 1 / (w0 * i0 + w1 * i1 + w2 * i2)
            if near < depth[y, x] and (whole or w0 * s0 + w1 * s1 + w2 * s2 >= 0):
                depth[y, x] = near
                owner[y, x] = number


@njit(cache=True, fastmath=True)
def draw(
    depth: np.ndarray,
    owner: np.ndarray,
    places: np.ndarray,
    z: np.ndarray,
    faces: np.ndarray,
    shown: np.ndarray,
    two_sided: np.ndarray,
    first: int,
) -> None:
    """Draw faces into the buffers.

    Args:
        depth: [h,w] f32, written.
        owner: [h,w] i32, written: first + index of the nearest face.
        places: [V,2] f32 in samples.
        z: [V] f32 m; 0 = cannot be drawn.
        faces: [F,3] i32.
        shown: [V] f32; a sample is left out if its interpolated value is negative.
        two_sided: [F] bool; others are drawn only from outside.
        first: index of the first face.
    """
    corners = np.empty((3, 4), np.float32)
    for f in range(faces.shape[0]):
        fine, visible = True, False
        for k in range(3):
            v = faces[f, k]
            fine = fine and z[v] > 0
            visible = visible or shown[v] >= 0
            corners[k, 0], corners[k, 1] = places[v, 0], places[v, 1]
            corners[k, 2], corners[k, 3] = 1 / max(z[v], np.float32(1e-6)), shown[v]
        if fine and visible:
            _fill(depth, owner, corners, two_sided[f], first + f)


@njit(cache=True, fastmath=True)
def draw_depth(
    depth: np.ndarray, places: np.ndarray, z: np.ndarray, faces: np.ndarray, shown: np.ndarray
) -> None:
    """Depth alone, along parallel rays: the map of a light's shadows.

    Args:
        depth: [h,w] f32, written: the nearest z of each cell.
        places: [V,2] f32 in cells.
        z: [V] f32 along the rays.
        faces: [F,3] i32.
        shown: [V] f32; faces with a corner below 0 are left out.
    """
    height, width = depth.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        if shown[a] < 0 or shown[b] < 0 or shown[c] < 0:
            continue
        x0, y0 = places[a, 0], places[a, 1]
        x1, y1 = places[b, 0], places[b, 1]
        x2, y2 = places[c, 0], places[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        left, right = _bounds(x0, x1, x2, width)
        top, bottom = _bounds(y0, y1, y2, height)
        inverse = 1 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
                w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
                w0 = 1 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                near = w0 * z[a] + w1 * z[b] + w2 * z[c]
                if near < depth[y, x]:
                    depth[y, x] = near
