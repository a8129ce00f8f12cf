"""Light of a scene: sky and ground, a lamp or sun with shadows, and a lamp at the camera."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tools.render.paint.raster import FAR, draw_depth

_CELL_M, _CELLS = 0.011, (256, 1024)  # of a shadow map; the least and the most in a direction


@dataclass(frozen=True, eq=False)
class Light:
    """Linear BGR, 1 = white paper is white."""

    sky: np.ndarray  # [3] from above
    ground: np.ndarray  # [3] from below
    key: np.ndarray  # [3] of the lamp
    towards: np.ndarray  # [3] unit, to the lamp
    headlight: np.ndarray = field(default_factory=lambda: np.zeros(3))  # at 3 m from the camera
    soft_m: float = 0.012  # half the width of the edge of its shadows


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """Depths along the rays of the lamp."""

    depth: np.ndarray  # [S,S] f32
    matrix: np.ndarray  # [3,4] f32 world (homogeneous) to cells and depth
    soft: float  # of the edges, in cells


def shadow_map(
    light: Light, vertices: np.ndarray, faces: np.ndarray, shown: np.ndarray
) -> ShadowMap:
    """The shadow map of a scene.

    Args:
        light: whose lamp casts the shadows.
        vertices: [V,3] f32 m.
        faces: [F,3] i32.
        shown: [V] f32.
    """
    ray = -light.towards
    side = np.cross(ray, [0.0, 0.0, 1.0] if abs(ray[2]) < 0.99 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(ray, side), ray])
    low = (vertices @ axes.T.astype(np.float32)).min(0) - 0.05
    high = (vertices @ axes.T.astype(np.float32)).max(0) + 0.05
    span = float(max(high[0] - low[0], high[1] - low[1]))
    cells = int(np.clip(span / _CELL_M, *_CELLS))
    scale = (cells - 1) / span
    matrix = np.zeros((3, 4), np.float32)
    matrix[:, :3] = axes * np.array([scale, scale, 1.0])[:, None]
    matrix[:, 3] = -low * np.array([scale, scale, 0.0])
    placed = vertices @ matrix[:, :3].T + matrix[:, 3]
    depth = np.full((cells, cells), FAR, np.float32)
    draw_depth(depth, placed[:, :2].copy(), placed[:, 2].copy(), faces, shown)
    return ShadowMap(depth, matrix, max(light.soft_m * scale, 0.5))
