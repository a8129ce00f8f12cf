"""Do calibrated cameras that see the same people agree? A measure of error without labels.

A keypoint that one camera sees lies on a line in the picture of another (Hartley and Zisserman,
Multiple View Geometry, 9.1). The distance from that line is part of the errors of both.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple
from xml.etree.ElementTree import Element

import cv2
import numpy as np

from edge.errors import DataError, NoInputError
from edge.structures import VISIBLE

LIMBS = slice(5, 17)  # of COCO's body, from the shoulders on: what all sides of a person show
FAR_PX = 40.0
_CAPPED_PX = 100.0
# Two cameras that are this near agree on a person. On the demo's clip, poses that were moved 120 px
# aside are told from right ones as often with this rule as without it (95 %); 86 % at 15 px.
_AGREED_PX = 10.0
_COMMON = 6  # keypoints that two poses must share
_FLIP = np.diag([1.0, -1.0, -1.0])  # the format's cameras look along -z, y is up


@dataclass(frozen=True, eq=False)
class View:
    """One camera of the rig."""

    turn: np.ndarray  # [3,3] world -> camera
    shift: np.ndarray  # [3] mm
    matrix: np.ndarray  # [3,3] px
    distortion: np.ndarray  # [4] of OpenCV: k1 k2 p1 p2
    size: Tuple[int, int]  # width, height px

    def rays(self, keypoints: np.ndarray) -> np.ndarray:
        """[K,3] where keypoints [K,2] px look, at depth 1."""
        flat = keypoints.reshape(-1, 1, 2).astype(np.float64)
        places = cv2.undistortPoints(flat, self.matrix, self.distortion).reshape(-1, 2)
        return np.concatenate((places, np.ones((len(places), 1))), -1)

    def shows(self, places: np.ndarray) -> bool:
        """Whether half of these places [K,3] mm, or more, are in the picture."""
        there = places @ self.turn.T + self.shift
        flat = there @ self.matrix.T
        px = flat[:, :2] / np.maximum(flat[:, 2:], 1e-9)
        inside = (there[:, 2] > 0) & (px >= 0).all(-1) & (px < self.size).all(-1)
        return bool(inside.mean() >= 0.5)


def read_rig(path: Path) -> List[View]:
    """The cameras of a Qualisys calibration file; its units of pixels are 1/64 px.

    Raises:
        NoInputError: it cannot be read. DataError: it is no such file.
    """
    try:
        cameras = list(ElementTree.parse(path).getroot().iter("camera"))
        views = [_view(camera) for camera in cameras if camera.find("transform") is not None]
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except (ElementTree.ParseError, KeyError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is no calibration of Qualisys: {error}") from error
    if len(views) < 2:
        raise DataError(f"{path}: has {len(views)} calibrated cameras; two or more are needed")
    return views


def _view(camera: Element) -> View:
    def numbers(tag: str, *names: str) -> List[float]:
        found = camera.find(tag)
        if found is None:
            raise ValueError(f"a camera without {tag}")
        return [float(found.attrib[name]) for name in names]

    rows = numbers("transform", *(f"r{row}{column}" for row in "123" for column in "123"))
    turn = _FLIP @ np.reshape(rows, (3, 3))
    lens = ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
    wide, high, x, y = np.array(numbers("intrinsic", *lens)) / 64
    curves = (f"{kind}Distortion{i}" for kind in ("radial", "tangental") for i in (1, 2))
    return View(
        turn,
        -turn @ numbers("transform", *"xyz"),
        np.array([[wide, 0, x], [0, high, y], [0, 0, 1]]),
        np.array(numbers("intrinsic", *curves)),
        _size(camera),
    )


def _size(camera: Element) -> Tuple[int, int]:
    field = camera.find("fov_video")
    if field is None:
        raise ValueError("a camera without fov_video")
    left, right, top, bottom = (
        int(field.attrib[side]) for side in ("left", "right", "top", "bottom")
    )
    return right - left + 1, bottom - top + 1


def disagreement(rig: Sequence[View], people: Sequence[np.ndarray]) -> List[np.ndarray]:
    """How far each person is from where the other cameras see somebody.

    Args:
        rig: C cameras.
        people: of each camera [N,17,3]: COCO's body in px, and scores; all of one moment.

    Returns:
        For each camera [N] px: the median over its limbs of the distance to the line that another
        camera's keypoint gives, of the person there who fits best; of the cameras the median. NaN
        if no camera shares enough of them. Cameras out of whose pictures the person is do not
        count: those where the place that this camera and the best fitting other one give, if they
        agree, is not in view.
    """
    return [
        np.array([_apart(rig, people, camera, person[LIMBS]) for person in here])
        for camera, here in enumerate(people)
    ]


def _apart(
    rig: Sequence[View], people: Sequence[np.ndarray], camera: int, person: np.ndarray
) -> float:
    apart: Dict[int, float] = {}
    fitting: Dict[int, np.ndarray] = {}
    for other, there in enumerate(people):
        if other != camera and len(there):
            each = [_between(rig[camera], person, rig[other], p[LIMBS]) for p in there]
            if not np.isnan(each).all():
                which = int(np.nanargmin(each))
                apart[other], fitting[other] = each[which], there[which][LIMBS]
    if not apart:
        return np.nan
    best = min(apart, key=lambda other: apart[other])
    if apart[best] <= _AGREED_PX:
        places = _places(rig[camera], person, rig[best], fitting[best])
        apart = {o: px for o, px in apart.items() if o == best or rig[o].shows(places)}
    return float(np.median(list(apart.values())))


def _places(view: View, person: np.ndarray, other: View, theirs: np.ndarray) -> np.ndarray:
    """Where two cameras see the keypoints that both have: [K,3] mm, midway between their rays."""
    both = (person[:, 2] > VISIBLE) & (theirs[:, 2] > VISIBLE)
    starts = [-v.turn.T @ v.shift for v in (view, other)]
    rays = [v.rays(points[both, :2]) @ v.turn for v, points in ((view, person), (other, theirs))]
    mine, their = (r / np.linalg.norm(r, axis=1, keepdims=True) for r in rays)
    between = starts[1] - starts[0]
    along = (mine * their).sum(1)
    a, b = mine @ between, their @ between
    steps = np.maximum(1 - along**2, 1e-9)
    first = starts[0] + ((a - along * b) / steps)[:, None] * mine
    second = starts[1] + ((along * a - b) / steps)[:, None] * their
    return np.asarray((first + second) / 2)


def _between(view: View, person: np.ndarray, other: View, theirs: np.ndarray) -> float:
    both = (person[:, 2] > VISIBLE) & (theirs[:, 2] > VISIBLE)
    if both.sum() < _COMMON:
        return np.nan
    turn = view.turn @ other.turn.T
    x, y, z = view.shift - turn @ other.shift
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ turn
    lines = other.rays(theirs[both, :2]) @ essential.T
    off = np.abs((view.rays(person[both, :2]) * lines).sum(-1)) / np.hypot(*lines[:, :2].T)
    return float(np.median(off) * view.matrix[0, 0])


def figures(apart_px: np.ndarray, heights_px: np.ndarray) -> Dict[str, Any]:
    """Figures of the disagreement of all poses.

    Args:
        apart_px: [N], NaN = no other camera sees enough.
        heights_px: [N] of the people.
    """
    there = np.isfinite(apart_px)
    some, tall = apart_px[there], heights_px[there]
    if not len(some):
        return {"poses": len(apart_px), "compared": 0}
    return {
        "poses": len(apart_px),
        "compared": len(some),
        "median_px": float(np.median(some)),
        "p90_px": float(np.percentile(some, 90)),
        "mean_capped_px": float(np.minimum(some, _CAPPED_PX).mean()),
        "far_share": float((some > FAR_PX).mean()),
        "median_h": float(np.median(some / np.maximum(tall, 1e-9))),
        "p90_h": float(np.percentile(some / np.maximum(tall, 1e-9), 90)),
    }
