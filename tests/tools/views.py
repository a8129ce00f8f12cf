"""Do cameras that see the same people agree? Epipolar distances, from a calibration of their rig.

A keypoint seen by one camera lies on a line in the picture of another (Hartley and Zisserman,
Multiple View Geometry, 9.1); how far from it is a measure of its error that needs no labels.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence

import cv2
import numpy as np

LIMBS = slice(5, 17)  # of COCO's body, from the shoulders on: what all sides of a person show
_SURE, _COMMON = 30, 6  # score of a keypoint, 0..100; how many two poses must share
_FLIP = np.diag([1.0, -1.0, -1.0])  # the format's cameras look along -z, y is up


@dataclass(frozen=True)
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
    """The cameras of a Qualisys calibration file; its units of pixels are 1/64 px."""
    return [_view(camera) for camera in ElementTree.parse(path).getroot().iter("camera")]


def _view(camera: ElementTree.Element) -> View:
    def numbers(tag: str, *names: str) -> List[float]:
        found = camera.find(tag)
        assert found is not None
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


def disagreement(rig: Sequence[View], poses: Sequence[np.ndarray]) -> List[np.ndarray]:
    """How far each person is from where the other cameras see somebody.

    Args:
        rig: C cameras.
        poses: of each camera [N,133,3] px and score 0..100, all of one moment.

    Returns:
        For each camera [N] px: the median over its limbs of the distance to the line that another
        camera's keypoint gives, of the person there who fits best; of the cameras the median. NaN
        where no camera shares enough of them.
    """
    return [
        np.array([_apart(rig, poses, camera, person[LIMBS]) for person in people])
        for camera, people in enumerate(poses)
    ]


def _apart(
    rig: Sequence[View], poses: Sequence[np.ndarray], camera: int, person: np.ndarray
) -> float:
    best = []
    for other, people in enumerate(poses):
        if other != camera and len(people):
            apart = [_between(rig[camera], person, rig[other], p[LIMBS]) for p in people]
            if not np.isnan(apart).all():
                best.append(np.nanmin(apart))
    return float(np.median(best)) if best else np.nan


def _between(view: View, person: np.ndarray, other: View, theirs: np.ndarray) -> float:
    both = (person[:, 2] > _SURE) & (theirs[:, 2] > _SURE)
    if both.sum() < _COMMON:
        return np.nan
    turn = view.turn @ other.turn.T
    x, y, z = view.shift - turn @ other.shift
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ turn
    lines = other.rays(theirs[both, :2]) @ essential.T
    off = np.abs((view.rays(person[both, :2]) * lines).sum(-1)) / np.hypot(*lines[:, :2].T)
    return float(np.median(off) * view.matrix[0, 0])
