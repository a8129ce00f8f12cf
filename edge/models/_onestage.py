"""The common part of one-stage networks: whole frames in, people with keypoints out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from edge import geometry
from edge.models import Gives, ModelOptions, PoseModel
from edge.models._boxes import RawBoxes, best, in_frame, to_frame
from edge.models._outputs import Outputs
from edge.models._preprocess.crops import PAD
from edge.models._scores import ScoreMap
from edge.people.suppression import BY_POSE
from edge.recipe import Network, Scores
from edge.structures import VISIBLE, Detections, Frame, Poses


@dataclass(frozen=True)
class RawPeople:
    """People above the threshold, of all frames, before suppression."""

    people: RawBoxes  # boxes in px of the input
    keypoints: np.ndarray  # [M,K,2] f32 px of the input
    scores: np.ndarray  # [M,K] f32

    @staticmethod
    def of(
        frame: np.ndarray,
        boxes: np.ndarray,
        person_scores: np.ndarray,
        keypoints: np.ndarray,
        scores: np.ndarray,
        bad: int,
    ) -> RawPeople:
        """Make a record of people with a finite box and score; other values are counted as bad.

        A keypoint that is not finite becomes missing: its score is 0.

        Args:
            frame: [M] index of the frame.
            boxes: [M,4] px of the input.
            person_scores: [M].
            keypoints: [M,K,2] px of the input.
            scores: [M,K].
            bad: count of bad values so far.
        """
        fine = np.isfinite(boxes).all(-1) & np.isfinite(person_scores)
        frame, boxes, person_scores = frame[fine], boxes[fine], person_scores[fine]
        keypoints, scores = keypoints[fine], scores[fine]
        there = np.isfinite(keypoints).all(-1) & np.isfinite(scores)
        bad += len(fine) - int(fine.sum()) + int(there.size - there.sum())
        people = RawBoxes.of(frame, boxes, person_scores, bad)
        keypoints = np.where(there[..., None], keypoints, 0).astype(np.float32, copy=False)
        scores = np.clip(np.where(there, scores, 0), 0, 1).astype(np.float32, copy=False)
        return RawPeople(people, keypoints, scores)


@dataclass(frozen=True)
class CropPeople:
    """The people that were found in crops of frames, in px of the frame."""

    keypoints: np.ndarray  # [M,K,2] f32 px
    scores: np.ndarray  # [M,K] f32
    boxes: np.ndarray  # [M,4] f32 px, not clipped
    person_scores: np.ndarray  # [M] f32
    crop: np.ndarray  # [M] i64 index of the crop

    def take(self, rows: np.ndarray) -> CropPeople:
        """The rows of a mask, or of indices in their order."""
        return CropPeople(*[getattr(self, f.name)[rows] for f in dataclasses.fields(self)])


Decode = Callable[[Dict[str, np.ndarray], float], RawPeople]


class OneStage(PoseModel):
    """A models.PoseModel that finds people and keypoints with one execution for all frames.

    Args:
        outputs: the network.
        decode: turns its outputs and the lowest person score into people.
        options: thresholds.
        skeleton: name of the keypoint set.
        keypoints: number of keypoints in the set.
        suppress: whether to suppress overlapping people.
        border: grey value of the letterbox's bars.
        told: how scores become probabilities; the thresholds are for these. None = they stay.
        floor: least score of the network, whatever the thresholds.
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
        told: Optional[Scores] = None,
        floor: float = 0.0,
    ) -> None:
        self.skeleton = skeleton
        self._keypoints = keypoints
        self._outputs = outputs
        self._decode = decode
        self._options = options
        self._suppress = suppress
        self._border = border
        self._person = ScoreMap(told.person if told else [])
        self._least = max(floor, self._person.least(options.min_score))
        self._matrices = np.zeros((0, 2, 3), np.float32)

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame, with ids -1 and the best person first; ignores candidates."""
        self.begin(frames)
        return self.finish(frames)

    def begin(self, frames: Sequence[Frame]) -> None:
        """Begin to look at frames, where the runner can; the caller goes on meanwhile."""
        if frames:
            self._matrices = self._outputs.letterbox(frames, self._border)
            self._outputs.begin()

    def finish(self, frames: Sequence[Frame]) -> List[Poses]:
        """The people of the frames that were begun."""
        if not frames:
            return []
        matrices = self._matrices
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._decode(self._outputs.run(), self._least)
        self._outputs.note_bad(found.people.bad)
        return [self._finish(found, i, matrices[i], f) for i, f in enumerate(frames)]

    def begin_crops(self, frames: Sequence[Frame], which: np.ndarray, matrices: np.ndarray) -> None:
        """Begin to look at crops of frames, in one batch; `finish_crops` ends it.

        Args:
            frames: borrowed until then.
            which: [C] index of each crop's frame.
            matrices: [C,2,3] from px of the frame to px of the input; they scale and shift.
        """
        self._matrices = matrices
        self._outputs.sample(frames, which, matrices, self._border)

    def finish_crops(self) -> CropPeople:
        """The people of the crops that were begun; those of one crop do not overlap."""
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._decode(self._outputs.run(), self._least)
        self._outputs.note_bad(found.people.bad)
        crop, boxes, scores = found.people.frame, found.people.boxes, found.people.scores
        rows = np.arange(len(crop))
        if self._suppress and len(rows):
            away = crop[:, None] * (
                2 * np.abs(boxes).max() + 1.0
            )  # people of other crops are far away
            rows = geometry.nms(boxes + away, scores, self._options.nms_iou)
        scale = self._matrices[crop[rows], 0, 0][:, None, None]
        shift = self._matrices[crop[rows], None, :, 2]
        corners = (boxes[rows].reshape(-1, 2, 2) - shift) / scale
        return CropPeople(
            ((found.keypoints[rows] - shift) / scale).astype(np.float32, copy=False),
            found.scores[rows],
            corners.reshape(-1, 4).astype(np.float32, copy=False),
            np.clip(scores[rows], 0, 1),
            crop[rows],
        )

    @property
    def network(self) -> Network:
        """The network, whose input the crops fill."""
        return self._outputs.network

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """Boxes around the boxes and keypoints of all people of any score from `floor` on."""
        if not frames:
            return []
        matrices = self._outputs.letterbox(frames, self._border, of_cameras=False)
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._decode(self._outputs.run(), floor)
        around = dataclasses.replace(found.people, boxes=_around(found))
        return [in_frame(around, i, matrices[i], frame.size) for i, frame in enumerate(frames)]

    def _best(self, found: RawPeople, mine: np.ndarray) -> np.ndarray:
        """Which of these rows to keep, best first, by their boxes or by their keypoints."""
        boxes, scores = found.people.boxes[mine], found.people.scores[mine]
        by_pose = BY_POSE.get(self._options.suppression) if self._suppress else None
        if by_pose is None:
            return best(boxes, scores, self._options, self._suppress, self._least)
        nobody = np.full(len(mine), -1, np.int64)
        points, sure = found.keypoints[mine], found.scores[mine]
        poses = Poses(points, sure, boxes, nobody, scores, self.skeleton)
        return by_pose(poses)[: self._options.max_people]

    def _finish(self, found: RawPeople, frame: int, matrix: np.ndarray, source: Frame) -> Poses:
        mine = np.flatnonzero(found.people.frame == frame)
        mine = mine[self._best(found, mine)]
        boxes = to_frame(found.people.boxes[mine], matrix)
        return Poses(
            to_frame(found.keypoints[mine], matrix),
            found.scores[mine],
            geometry.clip_boxes(boxes, source.size),
            np.full(len(mine), -1, np.int64),
            self._person(np.clip(found.people.scores[mine], 0, 1)),
            self.skeleton,
        )


def _around(found: RawPeople) -> np.ndarray:
    """Boxes [M,4] px of the input, extended to the visible keypoints."""
    boxes, points = found.people.boxes, found.keypoints
    if not len(boxes):
        return boxes
    seen = (found.scores > VISIBLE)[..., None]
    low = np.where(seen, points, boxes[:, None, :2]).min(1)
    high = np.where(seen, points, boxes[:, None, 2:]).max(1)
    ends = np.minimum(low, boxes[:, :2]), np.maximum(high, boxes[:, 2:])
    return np.concatenate(ends, 1).astype(np.float32, copy=False)
