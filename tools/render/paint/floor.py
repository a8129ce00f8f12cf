"""Rays of all pixels, and the shadows that people cast on the floor of any backdrop."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

from tools.render.paint.light import Light, ShadowMap
from tools.render.paint.shade import lit
from tools.render.scene.camera import FISHEYE, RADIAL, Camera

_CELL_M, _CELLS = 0.03, (64, 512)  # of the map of what stands on the floor; least and most
_LOW_M = 0.22  # what is lower darkens the floor below it
_BLUR_M = 0.07


@njit(cache=True, fastmath=True)
def _rays(
    out: np.ndarray, focal: float, lens: int, k1: float, limit: float, turn: np.ndarray
) -> None:
    height, width = out.shape[:2]
    for v in range(height):
        for u in range(width):
            x, y, z = (u - (width - 1) / 2) / focal, (v - (height - 1) / 2) / focal, 1.0
            r = np.sqrt(x * x + y * y)
            if lens == FISHEYE and r > 1e-9:
                angle = min(r, np.pi)
                x, y, z = x / r * np.sin(angle), y / r * np.sin(angle), np.cos(angle)
            elif lens == RADIAL and r > 1e-9:
                wide = r
                for _ in range(8):
                    wide -= (wide * (1 + k1 * wide * wide) - r) / max(1 + 3 * k1 * wide * wide, 0.1)
                s = min(max(wide, 0.0), limit) / r
                x, y = x * s, y * s
            n = 1 / np.sqrt(x * x + y * y + z * z)
            for k in range(3):
                out[v, u, k] = n * (x * turn[0, k] + y * turn[1, k] + z * turn[2, k])


def ray_grid(camera: Camera) -> np.ndarray:
    """[H,W,3] f32 unit directions of all pixels, in the world; as `Camera.rays`."""
    out = np.empty((camera.height, camera.width, 3), np.float32)
    limit = camera.radius_limit
    _rays(out, camera.focal_px, camera.lens, camera.k1, limit, camera.rotation)
    return out


@njit(cache=True, fastmath=True)
def _between(table: np.ndarray, u: float, v: float) -> float:
    """A square table between four of its cells; 0 outside."""
    i, j, last = int(np.floor(u)), int(np.floor(v)), table.shape[0] - 1
    if i < 0 or j < 0 or i >= last or j >= last:
        return 0.0
    a, b = u - i, v - j
    low = table[j, i] * (1 - a) + table[j, i + 1] * a
    return low * (1 - b) + (table[j + 1, i] * (1 - a) + table[j + 1, i + 1] * a) * b


@njit(cache=True, fastmath=True)
def _darken(
    image: np.ndarray,
    rays: np.ndarray,
    eye: np.ndarray,
    shadow: np.ndarray,
    matrix: np.ndarray,
    soft: float,
    dark: np.ndarray,
    contact: np.ndarray,
    low: np.ndarray,
    cell_m: float,
    reach: np.ndarray,
) -> None:
    height, width = image.shape[:2]
    for v in range(height):
        for u in range(width):
            if rays[v, u, 2] > -1e-3:
                continue
            t = -eye[2] / rays[v, u, 2]
            x, y = eye[0] + t * rays[v, u, 0], eye[1] + t * rays[v, u, 1]
            if x < reach[0] or y < reach[1] or x > reach[2] or y > reach[3]:
                continue
            share = 1 - lit(shadow, matrix, x, y, 0.0, 0.01, soft)
            near = _between(contact, (x - low[0]) / cell_m - 0.5, (y - low[1]) / cell_m - 0.5)
            for k in range(3):
                factor = (1 - dark[k] * share) * (1 - 0.6 * near)
                image[v, u, k] = image[v, u, k] * np.sqrt(factor)


def darken_floor(
    image: np.ndarray,
    rays: np.ndarray,
    eye: np.ndarray,
    shadows: ShadowMap,
    light: Light,
    vertices: np.ndarray,
) -> None:
    """Cast shadows on the plane z = 0 of a backdrop.

    Args:
        image: [H,W,3] u8 BGR, written.
        rays: [H,W,3] f32 of `ray_grid`.
        eye: [3] m, the camera's place.
        shadows: of the lamp.
        light: of the scene.
        vertices: [V,3] f32 m of all that casts shadows.
    """
    if eye[2] <= 0.02:
        return
    steep = max(float(light.towards[2]), 0.05)
    key = light.key * steep
    dark = key / np.maximum(key + light.sky, 1e-6)
    span = vertices[:, :2].max(0) - vertices[:, :2].min(0) + 0.8
    low = vertices[:, :2].min(0) - 0.4
    cells = int(np.clip(float(span.max()) / _CELL_M, *_CELLS))
    cell_m = float(span.max()) / cells
    contact = _contact(vertices, low, cell_m, cells)
    away = -light.towards[:2] / steep * float(vertices[:, 2].max())
    reach = np.concatenate([np.minimum(low, low + away), np.maximum(low + span, low + span + away)])
    _darken(
        image, rays, eye, shadows.depth, shadows.matrix, shadows.soft, dark, contact, low,
        cell_m, reach,
    )  # fmt: skip


def _contact(vertices: np.ndarray, low: np.ndarray, cell_m: float, count: int) -> np.ndarray:
    """[S,S] f32 0..1: how close to the floor something is above each cell."""
    near = vertices[vertices[:, 2] < _LOW_M]
    cells = np.clip(((near[:, :2] - low) / cell_m).astype(int), 0, count - 1)
    out = np.zeros((count, count), np.float32)
    np.maximum.at(out, (cells[:, 1], cells[:, 0]), 1 - near[:, 2] / _LOW_M)
    blur = max(_BLUR_M / cell_m, 0.5)
    return cv2.GaussianBlur(cv2.dilate(out, np.ones((3, 3))), (0, 0), blur)
