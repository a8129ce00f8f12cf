"""Things: chairs, boxes that stand in the way, and things that people hold."""

from __future__ import annotations

from typing import List

import numpy as np

from tools.render.body.palette import cloth, dark
from tools.render.body.surface import PLAIN, WOOD, material
from tools.render.paint.picture import Solid

Draw = np.random.Generator
_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_SIDES = (
    (0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3),
)  # fmt: skip


def box(
    size: np.ndarray, place: np.ndarray, axes: np.ndarray, colour: np.ndarray, wood: bool = False
) -> Solid:
    """A box.

    Args:
        size: [3] m.
        place: [3] m, its middle.
        axes: [3,3] its axes as columns.
        colour: [3] albedo.
        wood: whether it has a grain.
    """
    rest = (_CORNERS * size)[np.array(_SIDES)].reshape(-1, 3)
    normals = np.repeat(
        [(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)], 4, axis=0
    )
    quads = np.arange(24).reshape(6, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    look = material(WOOD if wood else PLAIN, scale=14, colour2=tuple(colour * 0.6), gloss=0.05)
    return Solid(
        (rest @ axes.T + place).astype(np.float32),
        (normals @ axes.T).astype(np.float32),
        rest.astype(np.float32),
        faces.astype(np.int32),
        np.ones(24, np.float32),
        np.tile(colour, (24, 1)).astype(np.float32),
        np.zeros(len(faces), np.int32),
        look[None],
        np.ones(len(faces), bool),
    )


def chair(rng: Draw, seat: np.ndarray, heading: np.ndarray) -> List[Solid]:
    """A chair or stool below somebody who sits.

    Args:
        rng: source of its looks.
        seat: [3] m, the middle of the seat's upper side.
        heading: [2] unit, where the person faces.
    """
    colour = cloth(rng) if rng.random() < 0.5 else dark(rng)
    axes = np.array([[heading[0], -heading[1], 0], [heading[1], heading[0], 0], [0, 0, 1.0]])
    wood = bool(rng.random() < 0.5)
    height = float(seat[2])
    parts = [box(np.array([0.44, 0.44, 0.05]), seat - [0, 0, 0.025], axes, colour, wood)]
    for x in (-0.19, 0.19):
        for y in (-0.19, 0.19):
            foot = seat + axes @ np.array([x, y, -height / 2 - 0.02])
            parts.append(box(np.array([0.04, 0.04, height - 0.04]), foot, axes, colour * 0.7))
    if rng.random() < 0.7:
        back = seat + axes @ np.array([-0.24, 0, 0.24])
        parts.append(box(np.array([0.04, 0.44, 0.5]), back, axes, colour, wood))
    return parts


def obstacle(rng: Draw, place: np.ndarray) -> Solid:
    """A table, cupboard, pillar or crate that stands on the floor at `place` [2]."""
    size = np.array(
        [
            (rng.uniform(0.3, 0.7), rng.uniform(0.6, 1.4), rng.uniform(0.5, 1.0)),
            (rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.9), rng.uniform(0.9, 1.5)),
            (0.25, 0.25, 2.6),
            (0.5, 0.5, rng.uniform(0.3, 0.6)),
        ][rng.integers(4)]
    )
    turn = rng.uniform(0, np.pi)
    axes = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    colour = cloth(rng)
    return box(size, np.array([*place, size[2] / 2]), axes, colour, bool(rng.random() < 0.4))


def held(rng: Draw, points: np.ndarray) -> Solid:
    """A thing in a hand.

    Args:
        rng: source of its looks.
        points: [21,3] of the hand.
    """
    middle = (points[5] + points[17] + points[8] + points[20]) / 4
    across = points[17] - points[5]
    along = points[9] - points[0]
    x = across / max(float(np.linalg.norm(across)), 1e-6)
    z = np.cross(x, along)
    z /= max(float(np.linalg.norm(z)), 1e-6)
    axes = np.stack([x, np.cross(z, x), z], axis=1)
    size = np.array(
        [(0.15, 0.07, 0.01), (0.07, 0.07, 0.2), (0.3, 0.035, 0.035), (0.22, 0.16, 0.08)][
            rng.integers(4)
        ]
    )
    return box(size, middle, axes, cloth(rng))
