"""Drawn backdrops: a room or a yard, seen along the rays of a camera.

A box of floor, walls and ceiling with the camera in it. Each pixel takes the colour of the plane
that its ray meets, so a backdrop fits every lens. Nothing here is a photograph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Tuple

import numpy as np
from numba import njit

from tools.render.body.palette import linear
from tools.render.paint.shade import HEADLIGHT, _hash, flat_noise, noise

PLANKS, TILES, CONCRETE, GRASS = range(1, 5)  # 0 is a carpet


@dataclass(frozen=True, eq=False)
class Room:
    """A box and its colours; linear BGR."""

    low: np.ndarray  # [3] m of its corner; z = 0
    high: np.ndarray  # [3] m
    floor: np.ndarray  # [3]
    wall: np.ndarray  # [3]
    ceiling: np.ndarray  # [3]
    pattern: int  # of the floor
    scale: float  # of the pattern, 1/m
    things: float  # 0..1, how much hangs on the walls
    outdoors: bool
    seed: int


class Box(NamedTuple):
    """A room for the kernels."""

    low: np.ndarray  # [3] m
    high: np.ndarray  # [3] m
    colours: np.ndarray  # [3,3] floor, wall, ceiling
    pattern: int
    scale: float
    things: float
    outdoors: bool
    seed: int


def draw_room(rng: np.random.Generator, eye: np.ndarray, reach_m: float) -> Room:
    """A random room.

    Args:
        rng: source of all choices.
        eye: [3] m, the camera; the room contains it.
        reach_m: the room contains everything this near the origin, too.
    """
    outdoors = bool(rng.random() < 0.3)
    spare = rng.uniform(0.6, 4.0, 4) if not outdoors else rng.uniform(6, 25, 4)
    low = np.minimum(eye[:2], -reach_m) - spare[:2]
    high = np.maximum(eye[:2], reach_m) + spare[2:]
    top = max(eye[2] + 0.3, rng.uniform(2.4, 4.5)) if not outdoors else rng.uniform(6, 20)
    pattern = GRASS if outdoors and rng.random() < 0.4 else int(rng.integers(4))
    base = rng.uniform(80, 215)
    floor = np.clip(base + rng.normal(size=3) * 18, 25, 235)
    if pattern == GRASS:
        floor = np.array([70, 100, 50]) * rng.uniform(0.7, 1.3)
    wall = np.clip(rng.uniform(120, 240) + rng.normal(size=3) * 16, 30, 245)
    return Room(
        np.array([*low, 0.0]),
        np.array([*high, top]),
        linear(tuple(floor)),
        linear(tuple(wall)),
        linear((225, 225, 222)) if not outdoors else linear((185, 205, 230)),
        pattern,
        float(rng.uniform(1.2, 6)),
        float(rng.uniform(0, 0.7)),
        outdoors,
        int(rng.integers(1 << 20)),
    )


@njit(cache=True, fastmath=True)
def _floor_share(pattern: int, x: float, y: float, scale: float) -> float:
    """Lightness of the floor's pattern at a place, about 1."""
    if pattern == PLANKS:
        row = int(np.floor(x * scale))
        at = y * scale * 0.2 + _hash(row, 7, 1)
        seam = min((x * scale) % 1.0, 1 - (x * scale) % 1.0) < 0.03 or at % 1.0 < 0.01
        tone = 0.8 + 0.3 * _hash(row, int(np.floor(at)), 3)
        return 0.6 if seam else tone * (0.92 + 0.16 * flat_noise(x * 60, y * 4))
    if pattern == TILES:
        u, v = (x * scale * 0.6) % 1.0, (y * scale * 0.6) % 1.0
        if u < 0.02 or v < 0.02:
            return 0.65
        return 0.95 + 0.1 * _hash(int(np.floor(x * scale * 0.6)), int(np.floor(y * scale * 0.6)), 5)
    if pattern == CONCRETE:
        return 0.85 + 0.2 * flat_noise(x * 1.7, y * 1.7) + 0.1 * flat_noise(x * 30, y * 30)
    if pattern == GRASS:
        return 0.6 + 0.5 * flat_noise(x * 40, y * 40) + 0.3 * flat_noise(x * 2, y * 2)
    return 0.85 + 0.3 * flat_noise(x * 90, y * 90)


@njit(cache=True, fastmath=True)
def _thing(u: float, v: float, seed: int, share: float, out: np.ndarray, outdoors: bool) -> bool:
    """Pictures, windows, doors and shelves of a wall; writes their colour."""
    cell = 1.6 if not outdoors else 3.2
    i = int(np.floor(u / cell))
    du = u / cell - i
    j = int(np.floor(v / cell)) if outdoors else 0
    h = _hash(i, j, seed)
    if h > share:
        return False
    wide, low, high = 0.2 + 0.25 * _hash(i, j, seed + 1), 0.9, 1.3 + 0.8 * _hash(i, j, seed + 2)
    if outdoors:
        low, high = j * cell + 0.8, j * cell + 2.4
    elif h < share * 0.2:  # a door
        low, high, wide = 0.0, 2.05, 0.28
    elif h < share * 0.45:  # a cupboard
        low, high = 0.0, 0.8 + _hash(i, j, seed + 3)
    if abs(du - 0.5) > wide or v < low or v > high:
        return False
    frame = abs(du - 0.5) > wide - 0.03 or v < low + 0.05 or v > high - 0.05
    for k in range(3):
        tone = _hash(i, j, seed + 10 + k)
        out[k] = 0.05 if frame else tone * tone * 0.8
        if not frame and h > share * 0.45:
            out[k] *= 0.4 + 1.2 * noise(u * 6 + k, v * 6, seed * 0.01 + i)
    return True


@njit(cache=True, fastmath=True)
def _meet(ray: np.ndarray, eye: np.ndarray, low: np.ndarray, high: np.ndarray) -> Tuple[float, int]:
    """Distance m to the box around the camera along a ray, and the axis of the plane met."""
    best, axis = 1e9, 0
    for k in range(3):
        if abs(ray[k]) > 1e-9:
            t = ((high[k] if ray[k] > 0 else low[k]) - eye[k]) / ray[k]
            if 0 < t < best:
                best, axis = t, k
    return best, axis


@njit(cache=True, fastmath=True)
def _albedo(tint: np.ndarray, hit: np.ndarray, axis: int, ahead: bool, box: Box) -> None:
    """Colour of the box at a place into tint[3]; ahead: on its far side along the axis."""
    if axis == 2:
        share = 1.0 if ahead else _floor_share(box.pattern, hit[0], hit[1], box.scale)
        for k in range(3):
            tint[k] = box.colours[2 if ahead else 0, k] * share
        return
    side = box.seed + axis * 2 + (1 if ahead else 0)
    if not _thing(hit[1 - axis], hit[2], side, box.things, tint, box.outdoors):
        rough = 0.95 + 0.1 * flat_noise(hit[1 - axis] * 3 + side, hit[2] * 3)
        rough *= 0.7 if hit[2] < 0.1 and not box.outdoors else 1.0
        for k in range(3):
            tint[k] = box.colours[1, k] * rough


@njit(cache=True, fastmath=True)
def _draw(image: np.ndarray, rays: np.ndarray, eye: np.ndarray, lamp: np.ndarray, box: Box) -> None:
    height, width = image.shape[:2]
    tint, hit = np.zeros(3), np.zeros(3)
    for v in range(height):
        for u in range(width):
            ray = rays[v, u]
            far, axis = _meet(ray, eye, box.low, box.high)
            near = 1e9  # m to the nearest edge of the box
            for k in range(3):
                hit[k] = eye[k] + far * ray[k]
                if k != axis:
                    near = min(near, min(hit[k] - box.low[k], box.high[k] - hit[k]))
            ahead = ray[axis] > 0
            _albedo(tint, hit, axis, ahead, box)
            facing = max(0.0, lamp[3, axis] * (-1.0 if ahead else 1.0))
            up = 0.5 if axis < 2 else 0.0 if ahead else 1.0
            corner = 1 - 0.3 * np.exp(-near / 0.35)
            sky = box.outdoors and axis == 2 and ahead
            for k in range(3):
                glow = lamp[1, k] + (lamp[0, k] - lamp[1, k]) * up
                glow += lamp[2, k] * facing + lamp[4, k] * HEADLIGHT / (far * far + 0.5)
                if sky:
                    glow = (lamp[0, k] + 0.5 * lamp[2, k]) / corner
                image[v, u, k] = min(1.0, np.sqrt(max(tint[k] * glow * corner, 0.0))) * 255


def paint_room(
    image: np.ndarray, rays: np.ndarray, eye: np.ndarray, room: Room, lamp: np.ndarray
) -> None:
    """Draw a room into an image.

    Args:
        image: [H,W,3] u8 BGR, written.
        rays: [H,W,3] f32 of `floor.ray_grid`.
        eye: [3] m, the camera, inside the room.
        room: what is drawn.
        lamp: of `shade.lamp_table`.
    """
    colours = np.stack([room.floor, room.wall, room.ceiling])
    box = Box(
        room.low, room.high, colours, room.pattern, room.scale, room.things, room.outdoors,
        room.seed,
    )  # fmt: skip
    _draw(image, rays, eye, lamp, box)
