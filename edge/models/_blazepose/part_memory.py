"""Hands and faces of the last frame, moved with the wrists and noses of this frame.

The body of a frame is known before its hands are looked for. A hand hardly moves relative to its
wrist between two frames, so no motion of its own is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Sequence, Tuple

import numpy as np

from edge.models._blazepose import points
from edge.models._blazepose.batch import rows_of
from edge.structures import Frame

_FIRST, _PARTS = points.PARTS.start, points.PARTS.stop - points.PARTS.start
# Slices of the keypoints of face and hands alone.
_FACE = slice(points.FACE.start - _FIRST, points.FACE.stop - _FIRST)
_HANDS = slice(points.HANDS[0].start - _FIRST, points.HANDS[1].stop - _FIRST)
_ANCHORS = (points.NOSE, *points.WRISTS)
# Index of the anchor with which each of these keypoints moves.
_ANCHOR_OF = np.repeat((0, 1, 2), (_FACE.stop, points.HAND_POINTS, points.HAND_POINTS))

_Known = Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass
class ExpectedParts:
    """Expected hands and faces of N people; a score is 0 if nothing is known."""

    keypoints: np.ndarray  # [N,110,2] f32 px
    scores: np.ndarray  # [N,110] f32

    @property
    def faces(self) -> np.ndarray:
        """Keypoints [N,68,2] px."""
        return self.keypoints[:, _FACE]

    @property
    def face_scores(self) -> np.ndarray:
        """Scores [N,68]."""
        return self.scores[:, _FACE]

    @property
    def hands(self) -> np.ndarray:
        """Keypoints [2N,21,2] px, left and right hand alternating."""
        return self.keypoints[:, _HANDS].reshape(-1, points.HAND_POINTS, 2)

    @property
    def hand_scores(self) -> np.ndarray:
        """Scores [2N,21]."""
        return self.scores[:, _HANDS].reshape(-1, points.HAND_POINTS)


class PartMemory:
    """The hands and faces that each camera's last call found, by id of the person."""

    def __init__(self) -> None:
        self._known: Dict[str, _Known] = {}

    def expected(
        self, frames: Sequence[Frame], which: np.ndarray, ids: np.ndarray, body: np.ndarray
    ) -> ExpectedParts:
        """The expected hands and faces in these frames.

        Args:
            frames: frames of this call.
            which: [N] index of each person's frame, ascending.
            ids: [N] ids of the people, -1 = none.
            body: [N,33,2] px, BlazePose's points in these frames.
        """
        keypoints = np.zeros((len(ids), _PARTS, 2), np.float32)
        scores = np.zeros((len(ids), _PARTS), np.float32)
        for frame, rows in zip(frames, rows_of(which, len(frames))):
            known, old, old_scores, anchors = self._known.get(frame.camera, _NOBODY)
            if not len(known):
                continue
            same = (ids[rows, None] == known) & (known >= 0)
            at = same.argmax(1)
            step = body[rows][:, _ANCHORS] - anchors[at]
            keypoints[rows] = old[at] + step[:, _ANCHOR_OF]
            scores[rows] = old_scores[at] * same.any(1)[:, None]
        return ExpectedParts(keypoints, scores)

    def keep(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        ids: np.ndarray,
        body: np.ndarray,
        parts: ExpectedParts,
    ) -> None:
        """Remember the people of this call; borrows `parts` until the next call.

        Args:
            frames: frames of this call.
            which: [N] index of each person's frame, ascending.
            ids: [N] ids of the people, -1 = none.
            body: [N,33,2] px, BlazePose's points in these frames.
            parts: hands and faces that were found.
        """
        anchors = body[:, _ANCHORS]
        for frame, rows in zip(frames, rows_of(which, len(frames))):
            self._known[frame.camera] = (
                ids[rows],
                parts.keypoints[rows],
                parts.scores[rows],
                anchors[rows],
            )

    def forget(self, frames: Sequence[Frame]) -> None:
        """Forget the people of the cameras of these frames."""
        for frame in frames:
            self._known[frame.camera] = _NOBODY


_NOBODY: _Known = (np.zeros(0, np.int64), *(np.zeros(0, np.float32),) * 3)
