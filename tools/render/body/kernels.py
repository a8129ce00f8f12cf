"""Inner loops over vertices, compiled by numba; each is one thread and writes into its output."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, fastmath=True)
def weighted_rows(out: np.ndarray, table: np.ndarray, rows: np.ndarray, weight: np.ndarray) -> None:
    """Add weight[r] * table[r] to `out` for each row r. out: [N] f32, table: [K,N] f32."""
    for k in range(rows.shape[0]):
        w = weight[rows[k]]
        row = table[rows[k]]
        for i in range(out.shape[0]):
            out[i] += w * row[i]


@njit(cache=True, fastmath=True)
def skin(
    out: np.ndarray,
    rest: np.ndarray,
    index: np.ndarray,
    weight: np.ndarray,
    turn: np.ndarray,
    shift: np.ndarray,
) -> None:
    """Linear blend skinning: out = sum of weight * (turn @ rest + shift) over a vertex's bones.

    Args:
        out: [V,3] f32, written.
        rest: [V,3] f32.
        index: [V,6] i32 bones.
        weight: [V,6] f32, the heaviest first.
        turn: [B,3,3] f32.
        shift: [B,3] f32.
    """
    for v in range(rest.shape[0]):
        x, y, z = rest[v, 0], rest[v, 1], rest[v, 2]
        a = b = c = np.float32(0)
        for k in range(index.shape[1]):
            w = weight[v, k]
            if w <= 0:
                break
            m = index[v, k]
            a += w * (turn[m, 0, 0] * x + turn[m, 0, 1] * y + turn[m, 0, 2] * z + shift[m, 0])
            b += w * (turn[m, 1, 0] * x + turn[m, 1, 1] * y + turn[m, 1, 2] * z + shift[m, 1])
            c += w * (turn[m, 2, 0] * x + turn[m, 2, 1] * y + turn[m, 2, 2] * z + shift[m, 2])
        out[v, 0], out[v, 1], out[v, 2] = a, b, c


@njit(cache=True, fastmath=True)
def normals(out: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Unit normals of the vertices, each the sum of its faces' normals by area. out: [V,3] f32."""
    out[:] = 0
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = vertices[j, 0], vertices[j, 1], vertices[j, 2]
        ax, ay, az = ax - vertices[i, 0], ay - vertices[i, 1], az - vertices[i, 2]
        bx, by, bz = vertices[k, 0], vertices[k, 1], vertices[k, 2]
        bx, by, bz = bx - vertices[i, 0], by - vertices[i, 1], bz - vertices[i, 2]
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for v in (i, j, k):
            out[v, 0] += nx
            out[v, 1] += ny
            out[v, 2] += nz
    for v in range(out.shape[0]):
        n = np.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        if n > 0:
            out[v, 0] /= n
            out[v, 1] /= n
            out[v, 2] /= n
