"""Which people of different cameras are one person.

Pure geometry: a person of one camera is a bundle of rays, one a keypoint. Costs are metres across
the ray, meant over the keypoints that both sides have, each truncated: a wrong limb costs little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from edge.people.assignment import assign
from edge.scene.bones import tall_m
from edge.scene.rig import Rig, flattened
from edge.scene.triangulate import between

CAP_M = 0.25  # an error counts at most this much
LIMIT_M = 0.13  # people who cost more are not the same person
_SHARED = 5  # keypoints that two sides must have in common
_TALL_M = (0.5, 2.5)  # heights of people; two rays of different people often meet elsewhere
_UNITS = 20000  # pairs that are compared at a time bound memory: pairs x 17 x 3 floats


@dataclass(frozen=True, eq=False)
class Bodies:
    """The bodies of all people in all cameras at one instant, COCO's 17 keypoints."""

    camera: np.ndarray  # [M] i64 row of the rig
    flat: np.ndarray  # [M,17,2] f64, x, y at depth 1; anything where the weight is 0
    weights: np.ndarray  # [M,17] f64 0..1; 0 = not seen

    def __len__(self) -> int:
        return len(self.camera)

    def take(self, rows: np.ndarray) -> Bodies:
        """The people of these rows."""
        return Bodies(self.camera[rows], self.flat[rows], self.weights[rows])


def costs(rig: Rig, points: np.ndarray, there: np.ndarray, bodies: Bodies) -> np.ndarray:
    """How badly each person of a camera fits to each body in the room.

    Args:
        rig: C cameras.
        points: [H,17,3] m.
        there: [H,17] bool, the keypoints that the body has.
        bodies: M people.

    Returns:
        [H,M] m; inf if they share too few keypoints, or the body is behind the camera.
    """
    h, m = len(points), len(bodies)
    if not h or not m:
        return np.full((h, m), np.inf)
    shown, depth = flattened(rig.in_camera(points))  # [C,H,17,2], [C,H,17]
    found = np.full((h, m), np.inf)
    for camera in range(len(rig)):
        rows = np.flatnonzero(bodies.camera == camera)
        if len(rows):
            off = shown[camera][:, None] - bodies.flat[rows][None]
            errors = np.hypot(off[..., 0], off[..., 1]) * depth[camera][:, None]
            weights = bodies.weights[rows][None] * there[:, None]
            found[:, rows] = _mean(errors, weights)
    return found


def _mean(errors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean [...] of truncated errors [...,17]; inf if too few count."""
    good = np.isfinite(errors)
    weights = np.where(good, weights, 0.0)
    capped = np.where(good, np.minimum(errors, CAP_M), 0.0)
    total = weights.sum(-1)
    enough = (weights > 0).sum(-1) >= _SHARED
    return np.where(enough, (capped * weights).sum(-1) / np.maximum(total, 1e-9), np.inf)


def assigned(table: np.ndarray, camera: np.ndarray, cameras: int, limit: float) -> np.ndarray:
    """Give each body in the room at most one person of each camera, at the least total cost.

    Args:
        table: [H,M] costs.
        camera: [M] row of each person's camera.
        cameras: C.
        limit: pairs that cost more are not made.

    Returns:
        [H,C] i64 index of a person, -1 = none.
    """
    members = np.full((len(table), cameras), -1, np.int64)
    allowed = np.where(table <= limit, table, np.inf)
    for c in range(cameras):
        rows = np.flatnonzero(camera == c)
        if len(rows) and len(table):
            chosen = assign(allowed[:, rows], limit + 1e-6)
            members[:, c] = np.where(chosen >= 0, rows[chosen], -1)
    return members


def grouped(rig: Rig, bodies: Bodies, limit: float = LIMIT_M) -> np.ndarray:
    """Find people among bodies of whom nothing is known.

    Each pair of people in two cameras gives a body in the room, and the people of all cameras
    who fit to it. The body to which most fit is taken first, then the best of the rest. So every
    two members of a group agree through one body: there are no contradictory circles of pairs.

    Returns:
        [G,C] i64 index of a person, -1 = none; each group has two members or more.
    """
    points, there = _candidates(rig, bodies, limit)
    table = costs(rig, points, there, bodies)
    table[table > limit] = np.inf
    groups: List[np.ndarray] = []
    while np.isfinite(table).any():
        members, worth = _best_members(table, bodies.camera, len(rig))
        worth[(members >= 0).sum(1) < 2] = 0
        best = int(worth.argmax())
        if worth[best] <= 0:
            break
        groups.append(members[best])
        table[:, members[best][members[best] >= 0]] = np.inf
    return np.array(groups, np.int64).reshape(-1, len(rig))


def _best_members(
    table: np.ndarray, camera: np.ndarray, cameras: int
) -> Tuple[np.ndarray, np.ndarray]:
    """The best person of each camera [H,C] for each body, and what they are worth [H]."""
    members = np.full((len(table), cameras), -1, np.int64)
    worth = np.zeros(len(table))
    for c in range(cameras):
        rows = np.flatnonzero(camera == c)
        if len(rows):
            cost = table[:, rows].min(1)
            fits = np.isfinite(cost)
            members[:, c] = np.where(fits, rows[table[:, rows].argmin(1)], -1)
            worth += np.where(fits, CAP_M - np.where(fits, cost, 0.0), 0.0)
    return members, worth


def _candidates(rig: Rig, bodies: Bodies, limit: float) -> Tuple[np.ndarray, np.ndarray]:
    """Bodies [H,17,3] of all pairs of people whose rays nearly meet, and which joints [H,17]."""
    a, b = np.nonzero(bodies.camera[:, None] < bodies.camera[None])
    points, there = [np.zeros((0, 17, 3))], [np.zeros((0, 17), bool)]
    for i in range(0, len(a), _UNITS):
        found, has = _of_pairs(rig, bodies, a[i : i + _UNITS], b[i : i + _UNITS], limit)
        points.append(found)
        there.append(has)
    return np.concatenate(points), np.concatenate(there)


def _of_pairs(
    rig: Rig, bodies: Bodies, a: np.ndarray, b: np.ndarray, limit: float
) -> Tuple[np.ndarray, np.ndarray]:
    origins, turns = rig.centres, rig.turns
    rays = [_rays(turns[bodies.camera[side]], bodies.flat[side]) for side in (a, b)]
    from_a, from_b = origins[bodies.camera[a]][:, None], origins[bodies.camera[b]][:, None]
    found, apart, before = between(from_a, rays[0], from_b, rays[1])
    both = (bodies.weights[a] > 0) & (bodies.weights[b] > 0) & before
    weights = np.where(both, bodies.weights[a] * bodies.weights[b], 0.0)
    near = _mean(np.where(both, apart, np.nan), weights) <= limit
    found, both = found[near], both[near]
    tall = tall_m(found, both)
    sane = (tall >= _TALL_M[0]) & (tall <= _TALL_M[1])
    return found[sane], both[sane]


def _rays(turns: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Unit vectors [P,17,3] in the room of directions [P,17,2], with turns [P,3,3]."""
    ahead = np.concatenate((flat, np.ones((*flat.shape[:-1], 1))), -1)
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    return np.asarray(ahead @ turns)
