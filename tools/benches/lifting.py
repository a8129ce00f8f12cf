"""Keypoints in metres from drawn depth images, against the truth; edge.people.lift is judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

import numpy as np

from edge import skeletons
from edge.people.lift import Intrinsics, Lift
from edge.structures import Poses
from tools.benches import Row, row
from tools.render.make import Order, seed_of
from tools.render.recipe import of_table
from tools.render.scene.stage import Shot, Stage
from tools.render.truth.depth import depth_of
from tools.render.truth.labels import SEEN, labels_of

STATED = (
    "640x480, one or two people 1.8 to 4.5 m away, 5 % holes, noise 2 mm at 1 m that grows with "
    "the square of the distance; body and feet that are seen"
)
PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
GOAL_MM = 30.0
_HOLES, _NOISE = 0.05, 0.002
_BODY = 23  # first keypoints of wholebody133
_BODYSET = skeletons.get("wholebody133")
_RECIPE = {
    "description": "people before a depth camera",
    "people": [1, 2],
    "motions": ["walk", "stand", "squat", "lunge", "knee_raise", "jumping_jack", "biceps_curl"],
    "hard": 0.0,
    "backdrops": ["room"],
    "view": {
        "width": 640,
        "height": 480,
        "lenses": ["pinhole"],
        "distance_m": [1.8, 4.5],
        "fov_deg": [55, 69],
    },
}


@dataclass(frozen=True)
class Judged:
    """Errors of all keypoints that were lifted."""

    mm: np.ndarray  # [E]
    part: np.ndarray  # [E] name without the side
    missing: float  # share of the seen keypoints that got no depth


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Errors on the report split, with exact keypoints and with ones that are off."""
    rows = []
    for name, noise_h in (("exact keypoints", 0.0), ("keypoints off by .006 H", 0.006)):
        found = judged("report", 10 * max(rounds, 1), 7, noise_h)
        rows.append(row(f"depth, {name}: error", list(found.mm), "mm", GOAL_MM))
    return rows


def judged(split: str, count: int, seed: int, noise_h: float = 0.0) -> Judged:
    """Draw pictures and lift their people.

    Args:
        split: tune | report; the insets of edge.people.lift are medians of tune.
        count: pictures.
        seed: of all choices.
        noise_h: error of the keypoints in the picture, in heights of the box.

    Raises:
        EdgeError: the body cannot be fetched.
    """
    recipe = of_table(_RECIPE, "lifting")
    order = Order("lifting", recipe, Path(), split, seed)
    rng = np.random.default_rng(seed)
    lift, names = Lift(_BODYSET), _names()
    errors: List[np.ndarray] = []
    parts: List[np.ndarray] = []
    seen = 0
    for number in range(count):
        shot = Stage(recipe, split, seed_of(order, number), None, False).shoot()
        poses, true = _people(shot, noise_h, rng)
        if not len(poses):
            continue
        camera = shot.camera
        lens = Intrinsics(
            camera.width, camera.height, camera.focal_px, camera.focal_px, *camera.centre
        )
        found = lift(poses, _worse(depth_of(shot), rng), 0.001, lens)
        there = (found.scores > 0)[:, :_BODY]
        miss = np.linalg.norm(found.points - true, axis=2)[:, :_BODY]
        errors.append(1000 * miss[there])
        parts.append(np.broadcast_to(names, there.shape)[there])
        seen += int((poses.scores[:, :_BODY] > 0).sum())
    mm = np.concatenate(errors)
    return Judged(mm, np.concatenate(parts), 1 - len(mm) / seen)


def _names() -> np.ndarray:
    sides = [name.replace("left_", "").replace("right_", "") for name in _BODYSET.names]
    return np.array(sides[:_BODY])


def _people(shot: Shot, noise_h: float, rng: np.random.Generator) -> Tuple[Poses, np.ndarray]:
    """The people of a picture, and their keypoints [N,133,3] m in the camera's axes."""
    labels = labels_of(shot)
    if not labels:
        return Poses.empty(len(_BODYSET), _BODYSET.name), np.zeros((0, len(_BODYSET), 3))
    boxes = np.array([label.box for label in labels], np.float32)
    points = np.array([label.keypoints for label in labels])
    points += rng.normal(0, noise_h, points.shape) * (boxes[:, 3] - boxes[:, 1])[:, None, None]
    scores = np.array([label.visible == SEEN for label in labels]).astype(np.float32)
    ids, ones = np.arange(len(labels)), np.ones(len(labels), np.float32)
    poses = Poses(points.astype(np.float32), scores, boxes, ids, ones, _BODYSET.name)
    camera = shot.camera
    true = np.array([(label.space - camera.position) @ camera.rotation.T for label in labels])
    return poses, true


def _worse(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A depth image with noise and holes."""
    z = depth * 0.001
    noisy = np.rint(1000 * (z + rng.normal(0, 1, z.shape) * _NOISE * z * z))
    kept = (depth > 0) & (rng.random(depth.shape) >= _HOLES)
    return np.where(kept, np.clip(noisy, 1, 65535), 0).astype(np.uint16)
