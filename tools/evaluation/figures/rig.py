"""Do calibrated cameras that see the same people agree? A measure of error without labels.

A keypoint that one camera sees lies on a line in the picture of another (Hartley and Zisserman,
Multiple View Geometry, 9.1). The distance from that line is part of the errors of both.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence
from xml.etree.ElementTree import Element

import cv2
import numpy as np

from edge.errors import DataError, NoInputError
from edge.structures import VISIBLE

LIMBS = slice(5, 17)  # of COCO's body, from the shoulders on: what all sides of a person show
FAR_PX = 40.0
_CAPPED_PX = 100.0
_COMMON = 6  # keypoints that two poses must share
_FLIP = np.diag([1.0, -1.0, -1.0])  # the format's cameras look along -z, y is up


@dataclass(frozen=True, eq=False)
class View:
    """One camera of the rig."""

    turn: np.ndarray  # [3,3] world -> camera
    shift: np.ndarray  # [3] mm
    matrix: np.ndarray  # [3,3] px
    distortion: np.ndarray  # [4] of OpenCV: k1 k2 p1 p2

    def rays(self, keypoints: np.ndarray) -> np.ndarray:
        """[K,3] where keypoints [K,2] px look, at depth 1."""
        flat = keypoints.reshape(-1, 1, 2).astype(np.float64)
        places = cv2.undistortPoints(flat, self.matrix, self.distortion).reshape(-1, 2)
        return np.concatenate((places, np.ones((len(places), 1))), -1)


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
    )


def disagreement(rig: Sequence[View], people: Sequence[np.ndarray]) -> List[np.ndarray]:
    """How far each person is from where the other cameras see somebody.

    Args:
        rig: C cameras.
        people: of each camera [N,17,3]: COCO's body in px, and scores; all of one moment.

    Returns:
        For each camera [N] px: the median over its limbs of the distance to the line that another
        camera's keypoint gives, of the person there who fits best; of the cameras the median. NaN
        if no camera shares enough of them.
    """
    return [
        np.array([_apart(rig, people, camera, person[LIMBS]) for person in here])
        for camera, here in enumerate(people)
    ]


def _apart(
    rig: Sequence[View], people: Sequence[np.ndarray], camera: int, person: np.ndarray
) -> float:
    best = []
    for other, there in enumerate(people):
        if other != camera and len(there):
            apart = [_between(rig[camera], person, rig[other], p[LIMBS]) for p in there]
            if not np.isnan(apart).all():
                best.append(np.nanmin(apart))
    return float(np.median(best)) if best else np.nan


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
