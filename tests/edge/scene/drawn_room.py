"""A room with calibrated cameras and stick figures whose joints are known in metres."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge.scene.rig import Rig
from edge.structures import Poses

# COCO's 17 keypoints of somebody of 1.75 m who looks along x and stands at the origin, m.
FIGURE = np.array(
    [
        [0.10, 0.00, 1.62],
        [0.08, 0.03, 1.66],
        [0.08, -0.03, 1.66],
        [0.02, 0.07, 1.64],
        [0.02, -0.07, 1.64],
        [0.00, 0.19, 1.43],
        [0.00, -0.19, 1.43],
        [0.02, 0.24, 1.11],
        [0.02, -0.24, 1.11],
        [0.15, 0.24, 0.90],
        [0.15, -0.24, 0.90],
        [0.00, 0.13, 0.93],
        [0.00, -0.13, 0.93],
        [0.03, 0.13, 0.50],
        [0.03, -0.13, 0.50],
        [0.00, 0.13, 0.07],
        [0.00, -0.13, 0.07],
    ]
)
SIZE = (1280, 720)
LENS = [-0.12, 0.05, 0.001, -0.0008, 0.0, 0.0, 0.0, 0.0]


def looking(place: Sequence[float], goal: Sequence[float]) -> Tuple[np.ndarray, np.ndarray]:
    """Turn and shift of a camera at a place that looks at a goal; z of the room is up."""
    ahead = np.subtract(goal, place)
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    turn = np.array([right, np.cross(ahead, right), ahead])
    return turn, -turn @ np.asarray(place, float)


def ring(cameras: int = 4, far_m: float = 4.5, lens: Sequence[float] = LENS) -> Rig:
    """Cameras in a circle that look at the middle of the room, at 1280 x 720 px."""
    angles = np.arange(cameras) * 2 * np.pi / cameras + 0.3
    placed = [
        looking([far_m * np.cos(a), far_m * np.sin(a), 2.0 + 0.2 * i], [0, 0, 1])
        for i, a in enumerate(angles)
    ]
    matrix = np.array([[800.0, 0, 640], [0, 800.0, 360], [0, 0, 1]])
    return Rig(
        tuple([f"cam{i}" for i in range(cameras)]),
        np.array([turn for turn, _ in placed]),
        np.array([shift for _, shift in placed]),
        np.repeat(matrix[None], cameras, 0),
        np.repeat(np.array(lens, float)[None], cameras, 0),
        np.zeros(cameras, bool),
        np.repeat(np.array(SIZE, float)[None], cameras, 0),
    )


def people(places: Sequence[Sequence[float]], t_s: float = 0.0) -> np.ndarray:
    """Figures [N,17,3] at places (x, y, turn in rad); their arms and legs swing once a second."""
    swing = 0.25 * np.sin(2 * np.pi * t_s)
    figure = FIGURE.copy()
    figure[[7, 9, 14, 16], 0] += swing * np.array([0.5, 1, 0.5, 1])
    figure[[8, 10, 13, 15], 0] -= swing * np.array([0.5, 1, 0.5, 1])
    found = []
    for x, y, turn in places:
        c, s = np.cos(turn), np.sin(turn)
        found.append(figure @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + [x, y, 0])
    return np.array(found).reshape(-1, 17, 3)


def seen(
    rig: Rig,
    points: np.ndarray,
    noise_px: float = 0.0,
    rng: Optional[np.random.Generator] = None,
    who: Optional[Dict[int, Sequence[int]]] = None,
) -> List[Poses]:
    """What each camera sees of people [N,17,3].

    Args:
        rig: the cameras.
        points: of the people.
        noise_px: standard deviation.
        rng: for the noise.
        who: people whom a camera sees, by its row; the others see all. Ids in camera c are
            100 * c + row of the person.
    """
    pixels = rig.project(points)
    if rng is not None:
        pixels = pixels + rng.normal(0, noise_px, pixels.shape)
    found = []
    for camera in range(len(rig)):
        rows = (
            list(range(len(points))) if who is None else list(who.get(camera, range(len(points))))
        )
        keypoints = pixels[camera][rows].astype(np.float32).reshape(-1, 17, 2)
        n = len(rows)
        low, high = keypoints.min(1), keypoints.max(1)
        found.append(
            Poses(
                keypoints,
                np.full((n, 17), 0.9, np.float32),
                np.concatenate((low, high), 1).astype(np.float32),
                np.array([100 * camera + row for row in rows], np.int64),
                np.ones(n, np.float32),
                "coco17",
            )
        )
    return found
