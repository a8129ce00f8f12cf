"""Remembers keypoints outside the frame, so that crops hold the whole person.

The tracker drops keypoints outside the frame, because their score is 0. But if only the upper body
is in view, the crop is computed from the hips below the frame.
"""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

import numpy as np

from edge.models._blazepose import points
from edge.structures import Frame

# Keypoints by which a person is recognized in the next frame: a few are enough; most are visible.
_MARKS = np.array([points.NOSE, *points.SHOULDERS, 7, 8, 9, 10, *points.HIPS])
_MARKS_LEAST = 3
_KNOWN = 0.1
_REACH = 0.25  # most mean distance of the marks, in longer sides of the box


class BodyMemory:
    """The keypoints of body and feet that each camera's last call found."""

    def __init__(self) -> None:
        self._seen: Dict[str, Tuple[np.ndarray, np.ndarray]] = {}

    def complete(
        self, camera: str, body_feet: np.ndarray, scores: np.ndarray, boxes: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Add keypoints outside the frame to the candidates of one camera.

        Args:
            camera: name of the camera.
            body_feet: [N,23,2] px, predicted; not changed.
            scores: [N,23], 0 = missing.
            boxes: [N,4] px.

        Returns:
            Keypoints and scores. These are the given arrays if there is nothing to add. Otherwise
            they are new arrays, in which the added keypoints have score 1.
        """
        old, shown = self._seen.get(camera, (body_feet[:0], scores[:0] > 0))
        if not len(old) or not len(body_feet) or shown.all():
            return body_feet, scores
        apart, common = _apart(body_feet, scores > _KNOWN, old, shown)
        size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1).max(1)
        near = np.where(common >= _MARKS_LEAST, apart, np.inf)
        best = near.argmin(1)
        found = near[np.arange(len(body_feet)), best] < _REACH * size
        lack = found[:, None] & ~shown[best]
        moved = old[best] + _step(body_feet, (scores > _KNOWN) & shown[best], old[best])
        return (
            np.where(lack[..., None], moved, body_feet).astype(np.float32),
            np.where(lack, np.float32(1), scores),
        )

    def keep(
        self, frames: Sequence[Frame], which: np.ndarray, body_feet: np.ndarray, shown: np.ndarray
    ) -> None:
        """Remember the people of this call.

        Args:
            frames: frames of this call.
            which: [N] index of each person's frame.
            body_feet: [N,23,2] px, copied.
            shown: [N,23] bool, whether the keypoint is inside the frame.
        """
        for i, frame in enumerate(frames):
            rows = which == i
            self._seen[frame.camera] = (body_feet[rows], shown[rows])


def _apart(
    body_feet: np.ndarray, known: np.ndarray, old: np.ndarray, shown: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Mean distance [N,M] px of the marks that both have, and the number [N,M] of such marks."""
    both = (known[:, None, _MARKS] & shown[None, :, _MARKS]).astype(np.float32)
    step = body_feet[:, None, _MARKS] - old[None, :, _MARKS]
    common = both.sum(-1)
    far = (np.hypot(step[..., 0], step[..., 1]) * both).sum(-1)
    return far / np.maximum(common, 1), common


def _step(body_feet: np.ndarray, both: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Mean motion [N,1,2] px of people since the last call."""
    weight = both[..., None].astype(np.float32)
    moved = ((body_feet - old) * weight).sum(1, keepdims=True)
    return np.asarray(moved / np.maximum(weight.sum(1, keepdims=True), 1))
