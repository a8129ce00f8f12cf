"""The people of one camera's frame or of one scene at one instant, from any source."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Tuple

import numpy as np

from edge import skeletons
from edge.errors import DataError
from edge.recording.record import RecordedFrame


@dataclass(frozen=True)
class Sight:
    """N people with K keypoints each."""

    device: str
    camera: str  # the name of the scene if `points` are in space
    boot_id: str
    seq: int
    t_utc_ns: int
    t_mono_ns: int
    size: Tuple[int, int]  # width, height px; 0 0 of a scene
    skeleton: str
    ids: np.ndarray  # [N] i64
    person_scores: np.ndarray  # [N] f32 0..1
    boxes: np.ndarray  # [N,4] f32 px; zeros of a scene
    points: np.ndarray  # [N,K,2] f32 px of the upright frame, or [N,K,3] f32 m in space
    scores: np.ndarray  # [N,K] f32 0..1; 0 = missing, and its point means nothing

    @property
    def in_space(self) -> bool:
        """Whether the points are those of a scene."""
        return self.points.shape[2] == 3

    def __len__(self) -> int:
        """The number of people."""
        return len(self.ids)

    def of(self, rows: np.ndarray) -> Sight:
        """The people of a mask [N]."""
        return dataclasses.replace(
            self,
            ids=self.ids[rows],
            person_scores=self.person_scores[rows],
            boxes=self.boxes[rows],
            points=self.points[rows],
            scores=self.scores[rows],
        )

    def converted(self, skeleton: str) -> Sight:
        """The same people with another set of keypoints; raises ConfigError if there is none."""
        if skeleton == self.skeleton:
            return self
        points, scores = skeletons.convert(self.points, self.scores, self.skeleton, skeleton)
        return dataclasses.replace(self, points=points, scores=scores, skeleton=skeleton)


def of_message(record: Dict[str, Any]) -> Sight:
    """From a message of contract/frame.json or contract/scene.json.

    Raises:
        DataError: it breaks the contract.
    """
    space = "scene" in record
    width, unit = (4, 1e-3) if space else (3, 0.1)
    try:
        people = record["people"]
        k = len(skeletons.get(record["skeleton"]))
        rows = np.array([p["keypoints"] for p in people], np.float32).reshape(-1, k, width)
        boxes = [[0] * 4 if space else p["box"] for p in people]
        return Sight(
            record["device"],
            record["scene" if space else "camera"],
            record["boot_id"],
            record["seq"],
            record["t_utc_ns"],
            record["t_mono_ns"],
            (0, 0) if space else tuple(record["size"]),
            record["skeleton"],
            np.array([p["id"] for p in people], np.int64),
            np.array([p["score"] for p in people], np.float32) * np.float32(0.01),
            np.array(boxes, np.float32).reshape(-1, 4) * np.float32(0.1),
            rows[..., :-1] * np.float32(unit),
            rows[..., -1] * np.float32(0.01),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"a message breaks the contract of frames: {error}") from error


def of_recording(frame: RecordedFrame, device: str, boot_id: str) -> Sight:
    """From a frame of a recording."""
    poses = frame.poses
    return Sight(
        device,
        frame.camera,
        boot_id,
        frame.index,
        frame.t_ns + frame.offset_ns,
        frame.t_ns,
        frame.size,
        poses.skeleton,
        poses.ids,
        poses.person_scores,
        poses.boxes,
        poses.keypoints,
        poses.scores,
    )
