"""Where the hands and the face of everybody were in the last frame, moved with wrists and nose.

The body is known before its hands are looked for, so they need no motion of their own: as a hand
lay beside its wrist it nearly still lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Sequence, Tuple

import numpy as np

from edge.models._blazepose import points
from edge.models._blazepose.crowd import rows_of
from edge.structures import Frame

_PARTS = points.KEYPOINTS - points.TRUNK  # keypoints of face and hands: the skeleton's last
_FACE = slice(points.FACE.start - points.TRUNK, points.FACE.stop - points.TRUNK)
_HANDS = slice(points.HANDS[0].start - points.TRUNK, points.HANDS[1].stop - points.TRUNK)
_ANCHORS = (points.NOSE, *points.WRISTS)
# For each of those keypoints the anchor that it goes with.
_ANCHOR_OF = np.repeat((0, 1, 2), (_FACE.stop, points.HAND_POINTS, points.HAND_POINTS))

_Known = Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Expected:
    """Where the parts of N people should be; scores are 0 where nothing is known."""

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
        """Keypoints [2N,21,2] px, left and right by turns."""
        return self.keypoints[:, _HANDS].reshape(-1, points.HAND_POINTS, 2)

    @property
    def hand_scores(self) -> np.ndarray:
        """Scores [2N,21]."""
        return self.scores[:, _HANDS].reshape(-1, points.HAND_POINTS)


class Recall:
    """The parts of the people of each camera by id; bounded by the last call."""

    def __init__(self) -> None:
        self._known: Dict[str, _Known] = {}

    def expected(
        self, frames: Sequence[Frame], which: np.ndarray, ids: np.ndarray, body: np.ndarray
    ) -> Expected:
        """Where parts should be now.

        Args:
            frames: of this call.
            which: [N] index of the frame of each person, rising.
            ids: [N] of the people, -1 = nobody known.
            body: [N,33,2] px, BlazePose's points in this frame.
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
        return Expected(keypoints, scores)

    def keep(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        ids: np.ndarray,
        body: np.ndarray,
        parts: Expected,
    ) -> None:
        """Remember this call's people, whose parts are borrowed until the next call."""
        anchors = body[:, _ANCHORS]
        for frame, rows in zip(frames, rows_of(which, len(frames))):
            self._known[frame.camera] = (
                ids[rows],
                parts.keypoints[rows],
                parts.scores[rows],
                anchors[rows],
            )

    def forget(self, frames: Sequence[Frame]) -> None:
        """Nobody was there."""
        for frame in frames:
            self._known[frame.camera] = _NOBODY


_NOBODY: _Known = (np.zeros(0, np.int64), *(np.zeros(0, np.float32),) * 3)
