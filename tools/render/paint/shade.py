"""Colours of the samples: materials, light and shadows, compiled by numba; one thread.

A pixel whose samples all lie on one person is shaded once, others once for each sample.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np
from numba import njit

from tools.render.body.surface import (
    BANDS,
    CHECKS,
    HAIR,
    MOTTLED,
    PRINT,
    SKIN,
    STRIPES,
    WOOD,
)
from tools.render.paint.light import Light

_BIAS_M = 0.02
HEADLIGHT = 9.0  # m^2: a lamp at the camera has its own brightness at this distance, squared


@njit(cache=True, fastmath=True)
def _hash(x: int, y: int, z: int) -> float:
    h = (x * 374761393 + y * 668265263 + z * 974711) & 0x7FFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@njit(cache=True, fastmath=True)
def noise(x: float, y: float, z: float) -> float:
    """Smooth noise 0..1 of a place; one blob per unit."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = _hash(i, j, k) * (1 - u) + _hash(i + 1, j, k) * u
    b = _hash(i, j + 1, k) * (1 - u) + _hash(i + 1, j + 1, k) * u
    c = _hash(i, j, k + 1) * (1 - u) + _hash(i + 1, j, k + 1) * u
    d = _hash(i, j + 1, k + 1) * (1 - u) + _hash(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@njit(cache=True, fastmath=True)
def flat_noise(x: float, y: float) -> float:
    """Smooth noise 0..1 of a place in a plane; one blob per unit."""
    i, j = int(np.floor(x)), int(np.floor(y))
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    a = _hash(i, j, 5) * (1 - u) + _hash(i + 1, j, 5) * u
    b = _hash(i, j + 1, 5) * (1 - u) + _hash(i + 1, j + 1, 5) * u
    return a * (1 - v) + b * v


@njit(cache=True, fastmath=True)
def lit(
    depth: np.ndarray, matrix: np.ndarray, x: float, y: float, z: float, bias: float, soft: float
) -> float:
    """Share 0..1 of the lamp that reaches a place: four cells of the shadow map."""
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
    d = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3] - bias
    size = depth.shape[0]
    total = 0.0
    for n in range(9):
        i = int(np.floor(u + (n % 3 - 1) * soft + 0.5))
        j = int(np.floor(v + (n // 3 - 1) * soft + 0.5))
        if i < 0 or j < 0 or i >= size or j >= size or depth[j, i] >= d:
            total += 1.0
    return total / 9.0


@njit(cache=True, fastmath=True)
def _pattern(m: np.ndarray, x: float, y: float, z: float) -> float:
    """How much of the second colour is at a place of the rest pose."""
    kind, scale, share = int(m[0]), m[1], m[5]
    if kind == STRIPES:
        return 1.0 if (z * scale) % 1.0 < share else 0.0
    if kind == BANDS:
        return 1.0 if (y * scale * 0.5 + 100) % 1.0 < share else 0.0
    if kind == CHECKS:
        a = 0.5 if (z * scale + 100) % 1.0 < share else 0.0
        return a + (0.5 if (y * scale + 100) % 1.0 < share else 0.0)
    if kind == MOTTLED:
        return 1.0 if noise(x * scale, y * scale, z * scale) < share else 0.0
    if kind == PRINT:
        inside = abs(y) < 0.11 and 0.28 < z < 0.48 and x > 0.02
        return 1.0 if inside and noise(y * scale, z * scale, 3.0) < share else 0.0
    if kind == HAIR:
        return noise(x * scale * 2, y * scale * 2, z * scale * 0.25)
    if kind == SKIN:
        return 0.0
    if kind == WOOD:
        return noise(x * scale * 0.1, y * scale, z * scale)
    return 0.0


class Scene(NamedTuple):
    """All that the kernels read. V vertices, F faces, M materials."""

    places: np.ndarray  # [V,2] f32 samples
    z: np.ndarray  # [V] f32 m
    world: np.ndarray  # [V,3] f32 m
    rest: np.ndarray  # [V,3] f32 m, in the rest pose
    normals: np.ndarray  # [V,3] f32
    colour: np.ndarray  # [V,3] f32
    faces: np.ndarray  # [F,3] i32
    material: np.ndarray  # [F] i32
    materials: np.ndarray  # [M,10] f32
    lamp: np.ndarray  # [5,3] f32 of `lamp_table`
    eye: np.ndarray  # [3] f32 m
    shadow: np.ndarray  # [S,S] f32
    matrix: np.ndarray  # [3,4] f32
    soft: float  # cells


@njit(cache=True, fastmath=True)
def _weights(scene: Scene, f: int, px: float, py: float) -> Tuple[float, float, float]:
    """Weights of a face's corners at a sample, with perspective."""
    a, b, c = scene.faces[f, 0], scene.faces[f, 1], scene.faces[f, 2]
    x0, y0 = scene.places[a, 0], scene.places[a, 1]
    x1, y1 = scene.places[b, 0] - x0, scene.places[b, 1] - y0
    x2, y2 = scene.places[c, 0] - x0, scene.places[c, 1] - y0
    area = x1 * y2 - x2 * y1
    w1 = ((px - x0) * y2 - x2 * (py - y0)) / area
    w2 = (x1 * (py - y0) - (px - x0) * y1) / area
    w1 = min(max(w1, 0.0), 1.0)
    w2 = min(max(w2, 0.0), 1.0 - w1)
    w0, w1, w2 = (1 - w1 - w2) / scene.z[a], w1 / scene.z[b], w2 / scene.z[c]
    total = w0 + w1 + w2
    return w0 / total, w1 / total, w2 / total


@njit(cache=True, fastmath=True)
def _mix(
    table: np.ndarray, face: np.ndarray, w0: float, w1: float, w2: float
) -> Tuple[float, float, float]:
    """A row of three between the rows of a face's corners."""
    a, b, c = face[0], face[1], face[2]
    return (
        w0 * table[a, 0] + w1 * table[b, 0] + w2 * table[c, 0],
        w0 * table[a, 1] + w1 * table[b, 1] + w2 * table[c, 1],
        w0 * table[a, 2] + w1 * table[b, 2] + w2 * table[c, 2],
    )


@njit(cache=True, fastmath=True)
def _folds(m: np.ndarray, x: float, y: float, z: float) -> Tuple[float, float, float]:
    """How folds of cloth bend the normal at a place of the rest pose."""
    s = m[7]
    p = np.sin(x * s + y * s * 0.6 + 2.0 * np.sin(z * s * 0.31 + y * s * 0.2))
    q = np.sin(y * s * 0.8 - z * s * 0.7 + 1.7 * np.sin(x * s * 0.4 + z * s * 0.23))
    return m[6] * p * 0.5, m[6] * q * 0.5, m[6] * (p - q) * 0.35


@njit(cache=True, fastmath=True)
def _to_eye(scene: Scene, x: float, y: float, z: float) -> Tuple[float, float, float, float]:
    """Unit direction from a place to the camera, and the distance m."""
    x, y, z = scene.eye[0] - x, scene.eye[1] - y, scene.eye[2] - z
    far = np.sqrt(x * x + y * y + z * z)
    return x / far, y / far, z / far, far


@njit(cache=True, fastmath=True)
def _sample(out: np.ndarray, px: float, py: float, f: int, scene: Scene) -> None:
    """Linear BGR of one sample of a face into out[3]."""
    face, m, lamp = scene.faces[f], scene.materials[scene.material[f]], scene.lamp
    w0, w1, w2 = _weights(scene, f, px, py)
    wx, wy, wz = _mix(scene.world, face, w0, w1, w2)
    rx, ry, rz = _mix(scene.rest, face, w0, w1, w2)
    nx, ny, nz = _mix(scene.normals, face, w0, w1, w2)
    if m[6] > 0:
        fx, fy, fz = _folds(m, rx, ry, rz)
        nx, ny, nz = nx + fx, ny + fy, nz + fz
    ex, ey, ez, far = _to_eye(scene, wx, wy, wz)
    length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
    if nx * ex + ny * ey + nz * ez < 0:  # the inside of a garment, or an edge
        length = -length
    nx, ny, nz = nx / length, ny / length, nz / length
    lx, ly, lz = lamp[3, 0], lamp[3, 1], lamp[3, 2]
    facing = nx * lx + ny * ly + nz * lz
    direct = 0.0
    if facing > 0:
        direct = facing * lit(scene.shadow, scene.matrix, wx, wy, wz, _BIAS_M, scene.soft)
    hx, hy, hz = lx + ex, ly + ey, lz + ez
    half = max(0.0, (nx * hx + ny * hy + nz * hz) / np.sqrt(hx * hx + hy * hy + hz * hz))
    shine = m[8] * half**24 * min(1.0, 4 * direct)
    head = max(0.0, nx * ex + ny * ey + nz * ez) * HEADLIGHT / (far * far + 0.5)
    share, kind = _pattern(m, rx, ry, rz), int(m[0])
    grain = 1.0 + m[9] * (noise(rx * 300, ry * 300, rz * 300) - 0.5) * 2
    tint = _mix(scene.colour, face, w0, w1, w2)
    for k in range(3):
        albedo = tint[k] * (1 - share) + m[2 + k] * share
        if kind == HAIR:
            albedo = tint[k] * (0.5 + share)
        glow = lamp[1, k] + (lamp[0, k] - lamp[1, k]) * (0.5 + 0.5 * nz)
        glow += lamp[2, k] * direct + lamp[4, k] * head
        if kind == SKIN:  # light goes through skin: a red seam between light and shade
            glow += lamp[2, k] * max(0.0, 0.12 - abs(facing)) * (1.2 if k == 2 else 0.35)
        out[k] = albedo * grain * glow + shine * lamp[2, k]


@njit(cache=True, fastmath=True)
def _grey(value: float) -> float:
    """Linear light to a grey level 0..255; the curve of a screen is taken as a root."""
    return min(1.0, np.sqrt(max(value, 0.0))) * 255


@njit(cache=True, fastmath=True)
def _compose(image: np.ndarray, face: np.ndarray, scene: Scene) -> None:
    height, width = image.shape[:2]
    tint, total, kind = np.zeros(3), np.zeros(3), scene.material
    for y in range(height):
        for x in range(width):
            f0, f1 = face[2 * y, 2 * x], face[2 * y, 2 * x + 1]
            f2, f3 = face[2 * y + 1, 2 * x], face[2 * y + 1, 2 * x + 1]
            if max(max(f0, f1), max(f2, f3)) < 0:
                continue
            whole = min(min(f0, f1), min(f2, f3)) >= 0
            if whole and kind[f0] == kind[f1] and kind[f0] == kind[f2] and kind[f0] == kind[f3]:
                u = 2 * x + (y + x) % 2
                _sample(tint, u, 2 * y, face[2 * y, u], scene)
                for k in range(3):
                    image[y, x, k] = _grey(tint[k])
                continue
            total[:] = 0
            for n in range(4):
                u, v = 2 * x + n % 2, 2 * y + n // 2
                if face[v, u] >= 0:
                    _sample(tint, u, v, face[v, u], scene)
                for k in range(3):
                    total[k] += _grey(tint[k]) if face[v, u] >= 0 else image[y, x, k]
            for k in range(3):
                image[y, x, k] = total[k] / 4


def compose(image: np.ndarray, face: np.ndarray, scene: Scene) -> None:
    """Draw what the z-buffer holds over a backdrop.

    Args:
        image: [H,W,3] u8 BGR the backdrop, written.
        face: [2H,2W] i32 face of each sample, -1 = backdrop.
        scene: of the faces.
    """
    _compose(image, face, scene)


def lamp_table(light: Light) -> np.ndarray:
    """[5,3] f32 for the kernels: sky, ground, key, direction, headlight."""
    rows = [light.sky, light.ground, light.key, light.towards, light.headlight]
    return np.array(rows, np.float32)
