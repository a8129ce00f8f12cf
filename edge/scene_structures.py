"""The records of people in metres: joints, and the people in a room of several cameras.

N is the number of people, K of keypoints. What is said of arrays in edge/structures.py holds here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from edge.structures import check_array

JOINT_SOURCES = ("network", "depth", "views")


@dataclass(frozen=True)
class Joints:
    """Keypoints of people in metres: from the middle of the hips, or in the axes of a scene."""

    points: np.ndarray  # [N,K,3] f32 m; 0 where the score is 0
    scores: np.ndarray  # [N,K] f32 0..1; 0 = missing
    source: str  # one of JOINT_SOURCES: what measured the depth

    def __post_init__(self) -> None:
        check_array("Joints.points", self.points, np.float32, len(self.scores), None, 3)
        check_array("Joints.scores", self.scores, np.float32, *self.points.shape[:2])
        if self.source not in JOINT_SOURCES:
            raise ValueError(f"Joints.source: {self.source!r} is none of {JOINT_SOURCES}")

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class SceneFrame:
    """The people in the room of several calibrated cameras at one instant. C is their number."""

    scene: str
    t_ns: int  # monotonic
    skeleton: str
    cameras: Tuple[str, ...]  # of the scene
    live: np.ndarray  # [C] bool: the camera has pictures of about this time
    joints: Joints  # in the axes of the calibration
    ids: np.ndarray  # [N] i64, of the scene
    seen_as: np.ndarray  # [N,C] i64, id of the person in each camera's poses; -1 = not seen there
    # [C,N,K] f32 px between each keypoint of a camera and the projected joint; NaN = not used
    errors_px: np.ndarray

    def __post_init__(self) -> None:
        n, c = len(self.joints), len(self.cameras)
        check_array("SceneFrame.live", self.live, np.bool_, c)
        check_array("SceneFrame.ids", self.ids, np.int64, n)
        check_array("SceneFrame.seen_as", self.seen_as, np.int64, n, c)
        check_array(
            "SceneFrame.errors_px", self.errors_px, np.float32, c, *self.joints.scores.shape
        )

    def __len__(self) -> int:
        return len(self.ids)
