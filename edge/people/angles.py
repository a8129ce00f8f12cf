"""Joint angles of people in degrees: in the picture or in space, by the neutral-zero convention.

0 is the anatomical position: upright, arms hanging, knees straight, feet at right angles to the
shanks. Flexion, abduction, dorsiflexion, inward rotation, and leaning forwards are positive
(American Academy of Orthopaedic Surgeons, "Joint Motion", 1965).

An angle in the picture is right only if the movement lies in the picture plane. So each angle comes
with the estimated angle between the two (`off_plane_deg`), and with its likely error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Sequence, Tuple, Union

import numpy as np

from edge import skeletons
from edge.people import angles_picture, angles_space
from edge.people.limbs import Limbs
from edge.structures import Poses

SIDES = ("left", "right")
_OF_A_SIDE = {
    "knee_flexion": "sagittal",
    "hip_flexion": "sagittal",
    "hip_abduction": "frontal",
    "shoulder_flexion": "sagittal",
    "shoulder_abduction": "frontal",
    "elbow_flexion": "own",
    "ankle_dorsiflexion": "sagittal",
    "hip_rotation": "space",
    "shoulder_rotation": "space",
}
_OF_THE_TRUNK = {"trunk_lean": "sagittal", "trunk_side_bend": "frontal", "trunk_rotation": "space"}
# Name -> the plane of the movement. `own`: the plane of the limb itself. `space`: 3-D only.
PLANES: Dict[str, str] = {
    **{f"{side}_{name}": plane for side in SIDES for name, plane in _OF_A_SIDE.items()},
    **_OF_THE_TRUNK,
}

# Angle -> root mean square error in the network's metres, from 30 deg off the movement's plane on.
# Those that are better there than in the picture: rendered exercises, split `tune` (docs/rules.md).
WORLD_ERROR_DEG: Dict[str, float] = {
    "ankle_dorsiflexion": 13.0,
    "elbow_flexion": 22.0,
    "knee_flexion": 13.0,
    "hip_flexion": 17.0,
    "hip_abduction": 11.0,
    "shoulder_abduction": 18.0,
    "trunk_side_bend": 7.0,
}
_TALL_M = 1.7  # for the noise


@dataclass(frozen=True)
class Angles:
    """Angles of N people, A each."""

    degrees: (
        np.ndarray
    )  # [N,A] f32; NaN = a keypoint is missing, or the angle needs three dimensions
    scores: np.ndarray  # [N,A] f32 0..1, of the weakest keypoint
    off_plane_deg: np.ndarray  # [N,A] f32 0..90 between the movement and the plane it is seen in
    error_deg: np.ndarray  # [N,A] f32, one standard deviation of noise and the error off the plane


def measure(
    points: np.ndarray,
    scores: np.ndarray,
    skeleton: str,
    which: Sequence[str],
    tall: np.ndarray,
    up: Tuple[float, float, float] = (0.0, -1.0, 0.0),
) -> Angles:
    """Measure angles of people.

    In the picture, a direction that the face does not show is unsigned: leaning backwards is then
    positive, too.

    Args:
        points: [N,K,2] px or [N,K,3] m.
        scores: [N,K] f32 0..1; a keypoint with a score up to `VISIBLE` is missing.
        skeleton: name of the keypoint set.
        which: A names of `PLANES`.
        tall: [N] standing heights, px (edge.people.stature) or m.
        up: direction against gravity, in space only; the default is that of camera coordinates.

    Returns:
        Arrays of their own.

    Raises:
        KeyError: no such angle.
    """
    limbs = Limbs.of(points, scores, skeletons.get(skeleton))
    if points.shape[2] == 2:
        return of_limbs(limbs, which, tall)
    return _measured(angles_space.Body(limbs, tall, np.array(up)), which, len(points))


def of_limbs(limbs: Limbs, which: Sequence[str], tall: np.ndarray) -> Angles:
    """As `measure`, in the picture, of limbs that are known already."""
    return of_body(angles_picture.Body(limbs, tall), which)


def of_body(body: angles_picture.Body, which: Sequence[str]) -> Angles:
    """As `of_limbs`, of people of whom more is asked."""
    return _measured(body, which, len(body))


def of_world(people: Poses, which: Sequence[str]) -> Optional[Angles]:
    """Measure angles of people's joints in metres; None = they have none.

    The network guesses depth from one picture, so the likely error is that of the trials, and NaN
    where they were no better than the picture.

    Args:
        people: with `world`; borrowed.
        which: A names of `PLANES`.
    """
    world = people.world
    if world is None:
        return None
    limbs = Limbs.of(world[..., :3], world[..., 3], skeletons.get(people.skeleton))
    body = angles_space.Body(limbs, np.full(len(world), _TALL_M), np.array([0.0, -1.0, 0.0]))
    found = _measured(body, which, len(world))
    error_deg = np.array([world_error_deg(name) for name in which])
    usable = np.isfinite(error_deg) & np.isfinite(found.degrees)
    return Angles(
        np.where(usable, found.degrees, np.float32(np.nan)),
        np.where(usable, found.scores, np.float32(0)),
        np.where(usable, np.float32(0), np.float32(90)),
        np.where(usable, np.maximum(found.error_deg, error_deg), 180).astype(np.float32),
    )


def world_error_deg(name: str) -> float:
    """Likely error of an angle in the network's metres; infinite = the picture is no worse."""
    side, _, rest = name.partition("_")
    return WORLD_ERROR_DEG.get(rest if side in SIDES else name, float("inf"))


def _measured(
    body: Union[angles_space.Body, angles_picture.Body], which: Sequence[str], n: int
) -> Angles:
    if not which:
        return Angles(*(np.zeros((n, 0), np.float32) for _ in range(4)))
    columns = body.angles(which, [PLANES[name] for name in which])
    return Angles(*(np.asarray(column, np.float32) for column in columns))
