"""Panoramas of real places (CC0) as backdrop and light, of the media set `environments`.

The files are JavaScript modules with an EXR picture in base64: equirectangular, linear, high
dynamic range, up in the first row.
"""

from __future__ import annotations

import base64
import re
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import List

import numpy as np
from numba import njit

from edge.errors import DataError, UnavailableError
from tools.fetch.by_name import ensure_set
from tools.render.paint.light import Light

SET = "environments"
_WHITE = 0.5  # linear level of the brighter half of a backdrop
_SUN_SHARE = 0.002  # of the panorama's area: its brightest part is the lamp


@lru_cache(maxsize=1)
def files(quiet: bool = True) -> List[Path]:
    """The panoramas; fetched if they are missing."""
    return sorted(ensure_set(SET, quiet=quiet).glob("*.exr.js"))


@lru_cache(maxsize=18)
def panorama(path: Path) -> np.ndarray:
    """[H,W,3] f32 linear BGR, exposed so that a backdrop is neither dark nor white.

    Raises:
        UnavailableError: OpenEXR is not installed. DataError: it is no such file.
    """
    try:
        import OpenEXR
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "environments need the Python package OpenEXR: pip install 'OpenEXR>=3.3,<4', or set "
            'backdrops = ["room"]'
        ) from error
    found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text("ascii", "replace"))
    if not found:
        raise DataError(
            f"{path}: holds no picture; `edge-tools get {SET} --force` fetches it again"
        )
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(base64.b64decode(found.group(1)))
        file.flush()
        with OpenEXR.File(file.name) as picture:
            rgb = np.array(picture.channels()["RGB"].pixels, np.float32)
    level = float(np.percentile(rgb.mean(2), 75))
    return np.ascontiguousarray(rgb[..., ::-1]) * (_WHITE / max(level, 1e-4))


@njit(cache=True, fastmath=True)
def _draw(
    image: np.ndarray, rays: np.ndarray, table: np.ndarray, turn: float, level: float
) -> None:
    height, width = image.shape[:2]
    rows, columns = table.shape[:2]
    for v in range(height):
        for u in range(width):
            x, y, z = rays[v, u, 0], rays[v, u, 1], rays[v, u, 2]
            place = ((turn - np.arctan2(y, x)) / (2 * np.pi)) % 1.0 * columns - 0.5
            row = np.arccos(min(1.0, max(-1.0, z))) / np.pi * rows - 0.5
            i, j = int(np.floor(place)), int(np.floor(row))
            a, b = place - i, row - j
            i0, i1 = i % columns, (i + 1) % columns
            j0, j1 = min(max(j, 0), rows - 1), min(max(j + 1, 0), rows - 1)
            for k in range(3):
                top = table[j0, i0, k] * (1 - a) + table[j0, i1, k] * a
                low = table[j1, i0, k] * (1 - a) + table[j1, i1, k] * a
                image[v, u, k] = (
                    min(1.0, np.sqrt(max(level * (top * (1 - b) + low * b), 0.0))) * 255
                )


def paint_environment(
    image: np.ndarray, rays: np.ndarray, table: np.ndarray, turn: float, level: float = 1.0
) -> None:
    """Draw a panorama along the rays of a camera.

    Args:
        image: [H,W,3] u8 BGR, written.
        rays: [H,W,3] f32 of `floor.ray_grid`.
        table: of `panorama`.
        turn: rad about the vertical.
        level: brightness; 1 = as it is.
    """
    _draw(image, rays, table, turn, level)


def light_of(path: Path, turn: float, level: float) -> Light:
    """The light of a panorama that is turned about the vertical and dimmed to a level."""
    still = _still_light(path)
    cos, sin = np.cos(turn), np.sin(turn)
    towards = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ still.towards
    return Light(
        still.sky * level, still.ground * level, still.key * level, towards, soft_m=still.soft_m
    )


@lru_cache(maxsize=18)
def _still_light(path: Path) -> Light:
    return lights_in(panorama(path))


def lights_in(table: np.ndarray) -> Light:
    """The light of a panorama: its halves from above and below, its brightest part as the lamp."""
    rows, columns = table.shape[:2]
    up = np.pi * (np.arange(rows) + 0.5) / rows
    area = np.sin(up)[:, None] * np.ones(columns)
    grey = table.mean(2)
    order = np.argsort(-grey, axis=None)
    sun = np.zeros(grey.size, bool)
    sun[order[np.cumsum(area.ravel()[order]) < _SUN_SHARE * area.sum()]] = True
    sun = sun.reshape(grey.shape)
    rest = np.where(sun[..., None], 0, np.minimum(table, 4.0)) * area[..., None]
    half = rows // 2
    sky = rest[:half].sum((0, 1)) / area[:half].sum()
    ground = rest[half:].sum((0, 1)) / area[half:].sum()
    angle = -2 * np.pi * (np.arange(columns) + 0.5) / columns
    flat, high = np.sin(up)[:, None], np.cos(up)[:, None] * np.ones(columns)
    rays = np.stack([flat * np.cos(angle), flat * np.sin(angle), high], axis=2)
    towards = (rays * (grey * area * sun)[..., None]).sum((0, 1))
    towards[2] = max(towards[2], 0.2 * float(np.linalg.norm(towards)) + 1e-6)
    towards /= np.linalg.norm(towards)
    # Irradiance of the lamp on a surface that faces it, over pi: 4 pi * mean / pi.
    key = 4 * (table * (area * sun)[..., None]).sum((0, 1)) / area.sum()
    return Light(sky, ground, key / max(float(key.mean()), 1.0), towards, soft_m=0.01)
