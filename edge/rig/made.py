"""Makes a Rig from the cameras of a file, and refuses numbers that cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from edge.errors import DataError
from edge.lens import Lens
from edge.scene.rig import LENS_TERMS, Rig

_ROUND = (
    1e-3  # how far a rotation matrix may be from orthonormal: files are written with few digits
)


@dataclass(frozen=True, eq=False)
class OneCamera:
    """One camera as a file describes it."""

    name: str
    matrix: Any  # 3 x 3 px
    lens: Any  # up to 8 terms of OpenCV; more if they are 0
    turn: Any  # 3 x 3 or a rotation vector, room -> camera; None = the file does not say
    shift: Any  # 3, in the file's unit; None = the file does not say
    size: Any = (0, 0)  # width, height px
    fisheye: bool = False


def make_rig(cameras: Sequence[OneCamera], path: Path, unit_m: float) -> Rig:
    """The rig of a file's cameras.

    Raises:
        DataError: fewer than two cameras, or a camera with numbers that cannot be.
    """
    if len(cameras) < 2:
        raise DataError(f"{path}: has {len(cameras)} calibrated cameras; a scene needs two or more")
    names = [camera.name for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{path}: has two cameras called {name!r}; rename one")
    made = [_checked(camera, path) for camera in cameras]
    return Rig(
        tuple(names),
        np.array([m[0] for m in made]),
        np.array([m[1] for m in made]) * unit_m,
        np.array([m[2] for m in made]),
        np.array([m[3] for m in made]),
        np.array([camera.fisheye for camera in cameras], bool),
        np.array([m[4] for m in made]),
    )


def make_lenses(cameras: Sequence[OneCamera], path: Path) -> Dict[str, Lens]:
    """The lenses of a file's cameras, by name; their places are not needed.

    Raises:
        DataError: a camera has numbers that cannot be, or two have one name.
    """
    made: Dict[str, Lens] = {}
    for camera in cameras:
        if camera.name in made:
            raise DataError(f"{path}: has two cameras called {camera.name!r}; rename one")
        try:
            made[camera.name] = lens_of(camera)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: camera {camera.name!r}: {error}") from error
    return made


def lens_of(camera: OneCamera) -> Lens:
    """The lens of a camera.

    Raises:
        ValueError, TypeError: its numbers cannot be.
    """
    matrix, terms, size = _inner(camera)
    wide, high = size.tolist()
    return Lens(
        tuple(matrix.ravel().tolist()),
        tuple(terms.tolist()),
        camera.fisheye,
        (round(wide), round(high)),
    )


def _checked(camera: OneCamera, path: Path) -> List[np.ndarray]:
    try:
        turn = rotation(numbers(camera.turn, 9, 3))
        return [turn, numbers(camera.shift, 3), *_inner(camera)]
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: camera {camera.name!r}: {error}") from error


def _inner(camera: OneCamera) -> List[np.ndarray]:
    """Matrix [3,3], terms [8] and size [2]; raises ValueError, TypeError."""
    matrix = numbers(camera.matrix, 9).reshape(3, 3)
    size = numbers(camera.size, 2)
    if not (matrix[0, 0] > 0 and matrix[1, 1] > 0 and np.allclose(matrix[2], (0, 0, 1))):
        raise ValueError("its matrix is no camera matrix: focal lengths in px, then 0 0 1")
    return [matrix, _terms(camera), size]


def _terms(camera: OneCamera) -> np.ndarray:
    terms = np.asarray(camera.lens, np.float64).reshape(-1)
    most = 4 if camera.fisheye else LENS_TERMS
    if not np.isfinite(terms).all():
        raise ValueError("a term of its lens is not finite")
    if terms[most:].any():
        raise ValueError(
            f"its lens has {len(terms)} terms; {most} are supported: calibrate with fewer "
            "(no thin prism, no tilt)"
        )
    return np.pad(terms[:most], (0, LENS_TERMS - len(terms[:most])))


def numbers(value: Any, *counts: int) -> np.ndarray:
    """Finite numbers [n] f64, of one of these counts.

    Raises:
        ValueError, TypeError: they are something else.
    """
    found = np.asarray(value, np.float64).reshape(-1)
    if len(found) not in counts:
        wanted = " or ".join(str(n) for n in counts)
        raise ValueError(f"expected {wanted} numbers, got {len(found)}")
    if not np.isfinite(found).all():
        raise ValueError("a number is not finite")
    return found


def rotation(value: np.ndarray) -> np.ndarray:
    """A rotation [3,3] of a matrix [9] or a rotation vector [3] (axis times angle in rad).

    Raises:
        ValueError: the matrix is no rotation.
    """
    if len(value) == 3:
        return from_vector(value)
    matrix = value.reshape(3, 3)
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > _ROUND or np.linalg.det(matrix) < 0:
        raise ValueError("its rotation matrix is no rotation")
    u, _, v = np.linalg.svd(matrix)
    return np.asarray(u @ v)


def from_vector(vector: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: R = cos a I + (1 - cos a) n n' + sin a [n]x."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    axis = np.array([x, y, z])
    return np.asarray(
        np.cos(angle) * np.eye(3)
        + (1 - np.cos(angle)) * np.outer(axis, axis)
        + np.sin(angle) * cross
    )
