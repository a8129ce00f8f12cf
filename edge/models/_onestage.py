"""What all one-stage networks share: whole frames in, people with their keypoints out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Sequence

import numpy as np

from edge import geometry
from edge.models import Gives, ModelOptions, PoseModel
from edge.models._boxes import Candidates, best, to_frame
from edge.models._outputs import Outputs
from edge.models._preprocess.crops import PAD
from edge.structures import Frame, Poses


@dataclass(frozen=True)
class Found:
    """People above the threshold, of all frames, before suppression."""

    people: Candidates  # boxes input px
    keypoints: np.ndarray  # [M,K,2] f32 input px
    scores: np.ndarray  # [M,K] f32

    @staticmethod
    def of(
        frame: np.ndarray,
        boxes: np.ndarray,
        person_scores: np.ndarray,
        keypoints: np.ndarray,
        scores: np.ndarray,
        bad: int,
    ) -> Found:
        """Without people whose box or score is not finite; such keypoints are missing."""
        fine = np.isfinite(boxes).all(-1) & np.isfinite(person_scores)
        frame, boxes, person_scores = frame[fine], boxes[fine], person_scores[fine]
        keypoints, scores = keypoints[fine], scores[fine]
        there = np.isfinite(keypoints).all(-1) & np.isfinite(scores)
        bad += len(fine) - int(fine.sum()) + int(there.size - there.sum())
        people = Candidates.of(frame, boxes, person_scores, bad)
        keypoints = np.where(there[..., None], keypoints, 0).astype(np.float32, copy=False)
        scores = np.clip(np.where(there, scores, 0), 0, 1).astype(np.float32, copy=False)
        return Found(people, keypoints, scores)


Decode = Callable[[Dict[str, np.ndarray], float], Found]


class OneStage(PoseModel):
    """Frames to skeletons in one execution; the contract is models.PoseModel.

    Args:
        outputs: the network.
        decode: its outputs and the lowest person score -> people.
        options: thresholds.
        skeleton: name of the keypoint set.
        keypoints: how many it has.
        suppress: whether overlapping people are still in.
        border: grey of the letterbox's bars.
    """

    gives = Gives.ONE_STAGE_POSES

    def __init__(
        self,
        outputs: Outputs,
        decode: Decode,
        options: ModelOptions,
        skeleton: str,
        keypoints: int,
        suppress: bool,
        border: int = PAD,
    ) -> None:
        self.skeleton = skeleton
        self._keypoints = keypoints
        self._outputs = outputs
        self._decode = decode
        self._options = options
        self._suppress = suppress
        self._border = border

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame, ids -1, best person first; candidates are ignored."""
        if not frames:
            return []
        matrices = self._outputs.letterbox(frames, self._border)
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._decode(self._outputs.run(), self._options.min_score)
        self._outputs.note_bad(found.people.bad)
        return [self._finish(found, i, matrices[i], f) for i, f in enumerate(frames)]

    def _finish(self, found: Found, frame: int, matrix: np.ndarray, source: Frame) -> Poses:
        mine = np.flatnonzero(found.people.frame == frame)
        boxes, scores = found.people.boxes[mine], found.people.scores[mine]
        mine = mine[best(boxes, scores, self._options, self._suppress)]
        boxes = to_frame(found.people.boxes[mine], matrix)
        return Poses(
            to_frame(found.keypoints[mine], matrix),
            found.scores[mine],
            geometry.clip_boxes(boxes, source.size),
            np.full(len(mine), -1, np.int64),
            np.clip(found.people.scores[mine], 0, 1),
            self.skeleton,
        )
