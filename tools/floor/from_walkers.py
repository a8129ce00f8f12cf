"""The floor in metres from upright people of a known mean stature.

A camera with square pixels and its centre in the middle of the picture stands at a height over a
level floor, looks down by a pitch and is turned by a roll. From the ankles of somebody the model
says where hips and shoulders are in the picture; the least difference to where they were seen gives
height, pitch, roll and field of view (single-view metrology; Criminisi, Reid and Zisserman 2000).
A level camera shows little of its field of view: it then stays near the usual one.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
from scipy.optimize import least_squares

from edge.errors import DataError
from edge.scene.ground import Ground
from tools.floor.walkers import Walkers

# Heights of joints over the floor in statures, means of a captured walk: ankles are higher and
# shoulders lower than of somebody who stands (.039, .530, .818; Drillis and Contini 1966).
ANKLE, HIP, SHOULDER = 0.070, 0.518, 0.800
FEWEST = 40
_LEAST_SPREAD = 0.12  # of ankles up and down, as a share of the picture's height
_USUAL_FOV_DEG, _FOV_SPREAD = (
    62.0,
    0.3,
)  # prior: field of view, spread of the log of the focal length
_ERROR = 0.03  # likely error of a body, in its length
_VIEWS = 4
_ROLL_DEG = 3.0  # prior spread
_DEEPEST_DEG = 75.0


class Camera(NamedTuple):
    """What was learned of a camera, each with its standard error."""

    ground: Ground
    height_m: Tuple[float, float]
    pitch_deg: Tuple[float, float]
    roll_deg: Tuple[float, float]
    fov_deg: Tuple[float, float]  # across the picture
    misfit: float  # median distance of hips and shoulders from the model, in body lengths
    people: int
    seen: int  # observations
    near_m: float  # distances of people from the camera, along the floor
    far_m: float


def fit(
    walkers: Walkers,
    stature_m: float,
    pitch_deg: Optional[float] = None,
    fov_deg: Optional[float] = None,
) -> Camera:
    """Learn a camera from upright people.

    Args:
        walkers: observations.
        stature_m: mean stature of the people; all lengths are in proportion to it.
        pitch_deg: how far the camera looks down, None = learned.
        fov_deg: across the picture, None = learned.

    Raises:
        DataError: too few people, or all at one distance.
    """
    if len(walkers.ids) < FEWEST:
        raise DataError(
            f"only {len(walkers.ids)} views of upright people with visible feet, of {FEWEST} that "
            "are needed; record for longer"
        )
    spread = np.ptp(np.percentile(walkers.ankles.imag, (5, 95))) / walkers.size[1]
    if spread < _LEAST_SPREAD:
        raise DataError(
            "all people walk at one distance from the camera; record some who come nearer, or use "
            "edge-tools ground points"
        )
    given = _given(pitch_deg, fov_deg, walkers.size)
    best = min((_solve(walkers, stature_m, given, start) for start in (5.0, 25.0, 50.0)), key=_cost)
    return _camera(walkers, stature_m, given, best)


def _cost(found: Any) -> float:
    return float(found.cost)


def _given(
    pitch_deg: Optional[float], fov_deg: Optional[float], size: Tuple[int, int]
) -> np.ndarray:
    """Known values of log height, pitch, roll, log focal length; NaN = to be learned."""
    focal = np.nan if fov_deg is None else np.log(_focal_px(fov_deg, size))
    pitch = np.nan if pitch_deg is None else np.radians(pitch_deg)
    return np.array([np.nan, pitch, np.nan, focal])


def _focal_px(fov_deg: float, size: Tuple[int, int]) -> float:
    return float(size[0] / 2 / np.tan(np.radians(fov_deg) / 2))


def _solve(walkers: Walkers, stature_m: float, given: np.ndarray, pitch_deg: float) -> Any:
    usual = np.log(_focal_px(_USUAL_FOV_DEG, walkers.size))
    start = np.array([np.log(2.5), np.radians(pitch_deg), 0.0, usual])
    free = np.isnan(given)
    low = np.array([np.log(0.3), np.radians(-20), -0.6, usual - 1.2])[free]
    high = np.array([np.log(60.0), np.radians(_DEEPEST_DEG), 0.6, usual + 1.8])[free]

    def off(values: np.ndarray) -> np.ndarray:
        whole = given.copy()
        whole[free] = values
        return _residuals(walkers, stature_m, whole, usual)

    return least_squares(off, start[free], bounds=(low, high), loss="soft_l1", x_scale="jac")


def _residuals(walkers: Walkers, stature_m: float, values: np.ndarray, usual: float) -> np.ndarray:
    """Differences of hips and shoulders in likely errors, then those from what is usual.

    Views of one person share the stature, so all of them together count as `_VIEWS` of a person.
    """
    off = _off(walkers, stature_m, values)
    rows = np.concatenate((off.real.ravel(), off.imag.ravel())) / _ERROR
    people = len(np.unique(walkers.ids))
    rows *= np.sqrt(min(1.0, _VIEWS * people / len(walkers.ids)))
    prior = [(values[3] - usual) / _FOV_SPREAD, values[2] / np.radians(_ROLL_DEG)]
    return np.concatenate((rows, prior))


def _off(walkers: Walkers, stature_m: float, values: np.ndarray) -> np.ndarray:
    """Where hips and shoulders [2,P] are, minus where the model has them, in body lengths."""
    height, (pitch, roll, focal) = np.exp(values[0]), (values[1], values[2], np.exp(values[3]))
    middle = complex(walkers.size[0], walkers.size[1]) / 2 - (0.5 + 0.5j)
    ray = (walkers.ankles - middle) / focal * np.exp(-1j * roll)
    cos, sin = np.cos(pitch), np.sin(pitch)
    down = np.maximum(ray.imag * cos + sin, 1e-3)
    reach = np.maximum(height - ANKLE * stature_m, 1e-2) / down
    x, y = reach * ray.real, reach * (cos - ray.imag * sin)
    length = np.abs(walkers.shoulders - walkers.ankles)
    found = []
    for seen, share in ((walkers.hips, HIP), (walkers.shoulders, SHOULDER)):
        below = height - share * stature_m
        depth = np.maximum(y * cos + below * sin, 0.1)
        point = (x + 1j * (below * cos - y * sin)) / depth
        found.append((seen - point * np.exp(1j * roll) * focal - middle) / length)
    return np.array(found)


def _camera(walkers: Walkers, stature_m: float, given: np.ndarray, found: Any) -> Camera:
    free = np.isnan(given)
    values = given.copy()
    values[free] = found.x
    errors = np.zeros(4)
    errors[free] = np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
    ground = _ground(values, walkers.size)
    away = np.abs(ground.metres(walkers.ankles))
    width = walkers.size[0]
    focal = float(np.exp(values[3]))
    fov = float(np.degrees(2 * np.arctan(width / 2 / focal)))
    fov_error = float(np.degrees(width * focal / (focal**2 + width**2 / 4) * errors[3]))
    height = float(np.exp(values[0]))
    return Camera(
        ground,
        (height, height * float(errors[0])),
        (float(np.degrees(values[1])), float(np.degrees(errors[1]))),
        (float(np.degrees(values[2])), float(np.degrees(errors[2]))),
        (fov, fov_error),
        float(np.median(np.abs(_off(walkers, stature_m, values)))),
        len(np.unique(walkers.ids)),
        len(walkers.ids),
        float(np.nanmin(away)),
        float(np.nanmax(away)),
    )


def _ground(values: np.ndarray, size: Tuple[int, int]) -> Ground:
    """The floor of a camera: below it is 0, x to its right, y ahead."""
    height, (pitch, roll, focal) = np.exp(values[0]), (values[1], values[2], np.exp(values[3]))
    middle = np.array(size) / 2 - 0.5
    back = np.array(
        [[1 / focal, 0, -middle[0] / focal], [0, 1 / focal, -middle[1] / focal], [0, 0, 1]]
    )
    cos, sin = np.cos(-roll), np.sin(-roll)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    cp, sp = np.cos(pitch), np.sin(pitch)
    floor = np.array([[height, 0, 0], [0, -height * sp, height * cp], [0, cp, sp]])
    return Ground(tuple((floor @ turn @ back).ravel().tolist()))
