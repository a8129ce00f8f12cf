"""Calibrated cameras: from px to directions, and from points in the room to px.

Pinhole cameras with the lens model of OpenCV (k1 k2 p1 p2 k3 k4 k5 k6: Brown's radial and
tangential terms, rational form) or its fisheye model (k1..k4: Kannala and Brandt 2006).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

from edge.geometry import FARTHEST_PX

LENS_TERMS = 8
_ROUNDS = 20  # of the fixed-point iteration that undoes a lens, at most; OpenCV makes 5
_EXACT = 1e-7  # directions that are this exact need no further round: .0002 px of a 1080p picture
_WRONG = 1e-3  # a direction that is farther off after the last round is none: beyond the lens
_NEAREST_M = 0.05  # points nearer to a camera, or behind it, are not in its picture


@dataclass(frozen=True, eq=False)
class Rig:
    """Cameras of one room. A camera looks along its z; its x is right and its y down."""

    names: Tuple[str, ...]
    turns: np.ndarray  # [C,3,3] f64, room -> camera
    shifts: np.ndarray  # [C,3] f64 m: camera = turn @ room + shift
    matrices: np.ndarray  # [C,3,3] f64 px
    lenses: np.ndarray  # [C,8] f64, see the module
    fisheye: np.ndarray  # [C] bool
    sizes: np.ndarray  # [C,2] f64 px: width, height of the calibrated pictures; 0 = unknown

    def __post_init__(self) -> None:
        c = len(self.names)
        wanted = {
            "turns": (c, 3, 3),
            "shifts": (c, 3),
            "matrices": (c, 3, 3),
            "lenses": (c, LENS_TERMS),
            "fisheye": (c,),
            "sizes": (c, 2),
        }
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"Rig.{name}: expected {list(shape)}, got {list(found)}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def centres(self) -> np.ndarray:
        """Places [C,3] of the cameras in the room, m."""
        return -np.einsum("cji,cj->ci", self.turns, self.shifts)

    def same_as(self, other: Rig) -> bool:
        """Whether all numbers are equal."""
        fields = [f.name for f in dataclasses.fields(self)]
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in fields)

    def take(self, rows: Sequence[int]) -> Rig:
        """The cameras of these rows, in their order."""
        at = np.asarray(rows, np.int64)
        arrays = (self.turns, self.shifts, self.matrices, self.lenses, self.fisheye, self.sizes)
        return Rig(tuple([self.names[int(i)] for i in at]), *[a[at] for a in arrays])

    def renamed(self, names: Sequence[str]) -> Rig:
        """The same cameras with other names."""
        return dataclasses.replace(self, names=tuple(names))

    def sized(self, camera: int, size: Tuple[int, int]) -> Rig:
        """The rig for pictures of another size of one camera.

        Raises:
            ValueError: the pictures have another shape than the calibrated ones.
        """
        was = self.sizes[camera]
        now = np.array(size, np.float64)
        sizes, matrices = self.sizes.copy(), self.matrices.copy()
        sizes[camera] = now
        if was.all():
            ratio = now / was
            if abs(ratio[0] / ratio[1] - 1) > 0.01:
                raise ValueError(
                    f"pictures of {size[0]} x {size[1]} px have another shape than the "
                    f"calibrated {was[0]:.0f} x {was[1]:.0f} px"
                )
            matrices[camera, :2] *= ratio[:, None]
            # Centres of pixels are at whole numbers: (c + .5) scales, not c.
            matrices[camera, :2, 2] += (ratio - 1) / 2
        return dataclasses.replace(self, sizes=sizes, matrices=matrices)

    def directions(self, camera: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Where keypoints look.

        Args:
            camera: [M] row of the camera of each person.
            pixels: [M,K,2] px.

        Returns:
            [M,K,2] f64: x, y at depth 1, without the lens. NaN if no direction gives that pixel.
        """
        matrix = self.matrices[camera]
        lens, fish = self.lenses[camera], self.fisheye[camera]
        near = np.abs(pixels).max(-1, keepdims=True) < FARTHEST_PX
        pixels = np.where(near, pixels, np.nan)
        y = (pixels[..., 1] - matrix[:, None, 1, 2]) / matrix[:, None, 1, 1]
        x = pixels[..., 0] - matrix[:, None, 0, 2] - matrix[:, None, 0, 1] * y
        bent = np.stack((x / matrix[:, None, 0, 0], y), -1)
        if not lens.any():
            # Without a term the pinhole lens bends nothing; a fisheye does.
            return _unbend(bent, lens, fish) if fish.any() else bent
        return _unbend(bent, lens, fish)

    def in_camera(self, points: np.ndarray) -> np.ndarray:
        """Points [G,K,3] of the room in the axes of each camera: [C,G,K,3]."""
        turned = points.reshape(1, -1, 3) @ self.turns.transpose(0, 2, 1)
        return (turned + self.shifts[:, None]).reshape(len(self), *points.shape)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points [G,K,3] of the room in px of each camera: [C,G,K,2]. NaN = not before it."""
        flat, _ = flattened(self.in_camera(points))
        flat = bend(flat, self.lenses[:, None, None], self.fisheye[:, None, None])
        matrix = self.matrices[:, None, None]
        x = matrix[..., 0, 0] * flat[..., 0] + matrix[..., 0, 1] * flat[..., 1]
        y = matrix[..., 1, 1] * flat[..., 1] + matrix[..., 1, 2]
        return np.stack((x + matrix[..., 0, 2], y), -1)


def flattened(seen: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Points [...,3] m of a camera's axes -> x, y at depth 1 [...,2], NaN = behind; depth [...]."""
    depth = seen[..., 2]
    before = np.where(depth > _NEAREST_M, depth, np.nan)
    return seen[..., :2] / before[..., None], depth


def bend(flat: np.ndarray, lens: np.ndarray, fisheye: np.ndarray) -> np.ndarray:
    """What a lens makes of directions.

    Args:
        flat: [...,2] x, y at depth 1.
        lens: [...,8], broadcast against them.
        fisheye: [...] bool.
    """
    plain = _bend_pinhole(flat, lens)
    if not np.any(fisheye):
        return plain
    return np.where(np.asarray(fisheye)[..., None], _bend_fisheye(flat, lens), plain)


def _bend_pinhole(flat: np.ndarray, lens: np.ndarray) -> np.ndarray:
    x, y = flat[..., 0], flat[..., 1]
    k1, k2, p1, p2, k3, k4, k5, k6 = [lens[..., i] for i in range(LENS_TERMS)]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    xy = 2 * x * y
    return np.stack(
        (
            x * radial + p1 * xy + p2 * (r2 + 2 * x * x),
            y * radial + p2 * xy + p1 * (r2 + 2 * y * y),
        ),
        -1,
    )


def _bend_fisheye(flat: np.ndarray, lens: np.ndarray) -> np.ndarray:
    r = np.hypot(flat[..., 0], flat[..., 1])
    angle = np.arctan(r)
    a2 = angle * angle
    k1, k2, k3, k4 = [lens[..., i] for i in range(4)]
    bent = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    return flat * np.where(r > 1e-9, bent / np.maximum(r, 1e-9), 1)[..., None]


def _unbend(bent: np.ndarray, lens: np.ndarray, fisheye: np.ndarray) -> np.ndarray:
    """Undo `bend` by fixed-point iteration: the next guess is the last one plus its error."""
    flat = bent.copy()
    if fisheye.any():
        flat = np.where(fisheye[:, None, None], _fisheye_start(bent), flat)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = bent - bend(flat, lens[:, None], fisheye[:, None])
        for _ in range(_ROUNDS):
            if not (np.abs(error) > _EXACT).any():
                break
            # A fisheye's picture grows more slowly than its directions: longer steps.
            longer = np.where(fisheye[:, None], 1 + (flat * flat).sum(-1), 1)
            flat = flat + error * longer[..., None]
            error = bent - bend(flat, lens[:, None], fisheye[:, None])
        good = np.abs(error).max(-1) < _WRONG
    return np.where(good[..., None], flat, np.nan)


def _fisheye_start(bent: np.ndarray) -> np.ndarray:
    """Directions of an ideal fisheye lens, whose picture is proportional to the angle."""
    angle = np.minimum(np.hypot(bent[..., 0], bent[..., 1]), 1.5)
    return bent * np.where(angle > 1e-9, np.tan(angle) / np.maximum(angle, 1e-9), 1)[..., None]
