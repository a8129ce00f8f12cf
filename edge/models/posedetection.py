"""The family `posedetection`: MediaPipe's pose detection, which finds people near the camera.

The network sees a face and tells where the hips are and how long the whole person is, also beyond
the frame. So it finds people of whom only head and shoulders are in view, whom detectors of whole
bodies miss, and it says where the crop of the pose model must lie. It finds the most prominent
people only, so it is no detector for crowds.
"""

from __future__ import annotations

from typing import List, Mapping, Sequence

import numpy as np

from edge import geometry
from edge.models import Detector, Gives, ModelOptions
from edge.models import _ssd as ssd
from edge.models._boxes import best, to_frame
from edge.models._outputs import Outputs
from edge.models._ssd import RawMarks
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.structures import HINT, Detections, Frame

GIVES = Gives.BOXES
_LAYERS = ((8, 2), (16, 2), (32, 6))  # strides and anchors of a cell
_POINTS = 4  # middle of the hips, a point of the circle around the person, two of the upper body
# In radii of the circle around the person, whose middle is that of the hips: half the width of the
# person, and how far the shoulders are from the hips.
_HALF_WIDE, _SHOULDERS = 0.45, 0.5


class PoseDetection(Detector):
    """A models.Detector whose detections have hints of hips, shoulders and ankles."""

    def __init__(self, outputs: Outputs, options: ModelOptions) -> None:
        self._outputs = outputs
        self._options = options
        self._middles = ssd.anchors(outputs.network, _LAYERS)
        ssd.require(outputs, len(self._middles), _POINTS)

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """One Detections for each frame, with clipped boxes, the best score first."""
        return self._look(frames, self._options.min_score, of_cameras=True)

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """Boxes of the whole people, without hints, of any score from `floor` on."""
        found = self._look(frames, floor, of_cameras=False, suppress=False)
        return [Detections(d.boxes, d.scores) for d in found]

    def _look(
        self, frames: Sequence[Frame], floor: float, of_cameras: bool, suppress: bool = True
    ) -> List[Detections]:
        if not frames:
            return []
        matrices = self._outputs.letterbox(frames, border=0, of_cameras=of_cameras)
        with np.errstate(invalid="ignore", over="ignore"):
            found = ssd.decode(self._outputs.run(), self._middles, floor)
        self._outputs.note_bad(found.boxes.bad)
        return [
            self._finish(found, i, matrices[i], frame, suppress) for i, frame in enumerate(frames)
        ]

    def _finish(
        self, found: RawMarks, frame: int, matrix: np.ndarray, source: Frame, suppress: bool
    ) -> Detections:
        mine = np.flatnonzero(found.boxes.frame == frame)
        faces, scores = found.boxes.boxes[mine], found.boxes.scores[mine]
        mine = mine[best(faces, scores, self._options, suppress, self._options.min_score)]
        points = to_frame(found.points[mine], matrix)
        boxes = geometry.clip_boxes(whole_boxes(points), source.size)
        wide = (boxes[:, 2:] - boxes[:, :2] >= 1).all(-1)
        people = Detections(boxes, np.clip(found.boxes.scores[mine], 0, 1), hints_of(points))
        return people.take(wide)


def whole_boxes(points: np.ndarray) -> np.ndarray:
    """Boxes [N,4] px around whole people, not clipped, from the network's points [N,4,2] px."""
    hips, up = points[:, 0], points[:, 1] - points[:, 0]
    across = np.stack((up[:, 1], -up[:, 0]), -1) * np.float32(_HALF_WIDE)
    reach = np.abs(up) + np.abs(across)
    return np.concatenate((hips - reach, hips + reach), 1).astype(np.float32)


def hints_of(points: np.ndarray) -> np.ndarray:
    """Hints [N,17,3] of hips, shoulders and ankles, from the network's points [N,4,2] px.

    Left and right lie in the middle between them: only the crop is computed from hints.
    """
    hips, up = points[:, 0], points[:, 1] - points[:, 0]
    hints = np.zeros((len(points), 17, 3), np.float32)
    for pair, along in (((11, 12), 0.0), ((5, 6), _SHOULDERS), ((15, 16), -1.0)):
        hints[:, pair, :2] = (hips + np.float32(along) * up)[:, None]
        hints[:, pair, 2] = HINT
    return hints


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> PoseDetection:
    """Make a detector of a network with the outputs `places` and `scores`.

    Raises:
        ConfigError: the recipe names an unknown output.
        DataError: the network has other outputs.
    """
    return PoseDetection(Outputs(recipe, runners, ("places", "scores")), options)
