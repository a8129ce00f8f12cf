"""The candidates of all frames as one batch, and its results split by frame."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import List, Optional, Sequence

import numpy as np

from edge.errors import InternalError
from edge.models._blazepose import points
from edge.models._blazepose.body_memory import BodyMemory
from edge.structures import VISIBLE, Frame, Poses

LEAST_SEEN = 3  # a sighting of fewer visible keypoints says nothing


@dataclass
class CandidateBatch:
    """The candidates of all frames; rows are in the order of the frames."""

    which: np.ndarray  # [N] i64 index of the frame, ascending
    sizes: np.ndarray  # [N,2] f32 width, height px of the frame
    keypoints: np.ndarray  # [N,133,2] f32 px, predicted
    scores: np.ndarray  # [N,133] f32, 0 = unknown
    boxes: np.ndarray  # [N,4] f32 px
    ids: np.ndarray  # [N] i64
    # [N,17,3] f32 x, y px and score, what the detector saw; score 0 = none, HINT = a guess
    sightings: np.ndarray
    sighted: np.ndarray  # [N] bool, whether a sighting has enough visible keypoints
    looked: np.ndarray  # [N] bool, whether a detector that gives sightings saw the frame
    certain: np.ndarray  # [N] f32 person score of the candidate: of a new one, the detector's

    def __len__(self) -> int:
        return len(self.which)

    @staticmethod
    def gather(frames: Sequence[Frame], people: Sequence[Poses]) -> CandidateBatch:
        """Collect the candidates whose boxes are valid and overlap their frames.

        Raises:
            InternalError: candidates have another skeleton.
        """
        strange = {p.skeleton for p in people} - {points.SKELETON}
        if strange:
            raise InternalError(f"blazepose: candidates are {strange}, not {points.SKELETON}")
        people = people or [Poses.empty(points.KEYPOINTS, points.SKELETON)]
        which = np.repeat(np.arange(len(people)), [len(p) for p in people])
        sizes = np.array([f.size for f in frames], np.float32).reshape(-1, 2)
        batch = CandidateBatch(
            which,
            sizes[which],
            np.concatenate([p.keypoints for p in people]),
            np.concatenate([p.scores for p in people]),
            np.concatenate([p.boxes for p in people]),
            np.concatenate([p.ids for p in people]),
            sightings := np.concatenate([_sightings(p) for p in people]),
            (sightings[..., 2] > VISIBLE).sum(1) >= LEAST_SEEN,
            np.array([p.sightings is not None for p in people])[which],
            np.concatenate([p.person_scores for p in people]),
        )
        usable = _usable(batch.boxes, batch.sizes)
        return (batch if usable.all() else batch.take(usable)).finite()

    def take(self, rows: np.ndarray) -> CandidateBatch:
        """The rows of a mask, or of indices in their order."""
        return CandidateBatch(*[getattr(self, f.name)[rows] for f in fields(self)])

    def finite(self) -> CandidateBatch:
        """Set the score of keypoints that are not finite to 0."""
        good = np.isfinite(self.keypoints).all(-1) & np.isfinite(self.scores)
        if good.all():
            return self
        self.keypoints = np.where(good[..., None], self.keypoints, np.float32(0))
        self.scores = np.where(good, self.scores, np.float32(0))
        return self

    def remembered(self, frames: Sequence[Frame], memory: BodyMemory) -> CandidateBatch:
        """The same people, with remembered keypoints outside their frames."""
        body_feet = self.keypoints[:, points.BODY_FEET]
        scores = self.scores[:, points.BODY_FEET]
        keypoints, known = self.keypoints, self.scores
        for frame, rows in zip(frames, rows_of(self.which, len(frames))):
            old = body_feet[rows]
            more, sure = memory.complete(frame.camera, old, scores[rows], self.boxes[rows])
            if more is old:
                continue
            if keypoints is self.keypoints:
                keypoints, known = keypoints.copy(), known.copy()
            keypoints[rows, points.BODY_FEET], known[rows, points.BODY_FEET] = more, sure
        if keypoints is self.keypoints:
            return self
        return replace(self, keypoints=keypoints, scores=known)

    def spread(
        self,
        count: int,
        keypoints: np.ndarray,
        scores: np.ndarray,
        person_scores: np.ndarray,
        places: np.ndarray,
        carried: np.ndarray,
        world: Optional[np.ndarray] = None,
    ) -> List[Poses]:
        """Split results by frame, as views of the given arrays.

        Args:
            count: number of frames.
            keypoints: [N,133,2] px.
            scores: [N,133].
            person_scores: [N].
            places: [N,...] for the second half of the model.
            carried: [N] bool, whether the keypoints are only predicted.
            world: [N,133,4] m and score; None = not asked for.

        Returns:
            One Poses for each frame.
        """
        name = points.SKELETON
        whole = Poses(keypoints, scores, self.boxes, self.ids, person_scores, name, places)
        if world is not None:
            whole = replace(whole, world=world)
        if carried.any():
            whole = replace(whole, carried=carried)
        return by_frame(whole, self.which, count)


def by_frame(whole: Poses, which: np.ndarray, count: int) -> List[Poses]:
    """Split a record into one for each of `count` frames, as views; `which` [N] is ascending."""
    if count == 1:
        return [whole]
    return [whole.take(rows) for rows in rows_of(which, count)]


def rows_of(which: np.ndarray, count: int) -> List[slice]:
    """The rows of each of `count` frames; `which` [N] is ascending."""
    ends = np.searchsorted(which, np.arange(count + 1)).tolist()
    return [slice(a, b) for a, b in zip(ends, ends[1:])]


def _sightings(people: Poses) -> np.ndarray:
    if people.sightings is None:
        return np.zeros((len(people), 17, 3), np.float32)
    good = np.isfinite(people.sightings).all(-1, keepdims=True)
    return people.sightings if good.all() else np.where(good, people.sightings, np.float32(0))


def _usable(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[N] bool: boxes that are at least 1 px wide and high and overlap a frame of that size."""
    boxes = np.where(np.isfinite(boxes).all(1, keepdims=True), boxes, np.float32(0))
    here = (boxes[:, :2] < sizes).all(1) & (boxes[:, 2:] > 0).all(1)
    return np.asarray(here & (boxes[:, 2:] - boxes[:, :2] >= 1).all(1))
