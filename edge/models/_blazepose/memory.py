"""What was seen of people beyond the frame's edge, so that crops stay whole.

A keypoint outside the frame has score 0 and nobody carries it on; but a crop needs the hips of a
person of whom only the upper body is in view.
"""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

import numpy as np

from edge.models._blazepose import points
from edge.structures import Frame

# By these a person is found again: few are enough, and most are rarely hidden.
_MARKS = np.array([points.NOSE, *points.SHOULDERS, 7, 8, 9, 10, *points.HIPS])
_MARKS_LEAST = 3
_KNOWN = 0.1
_REACH = 0.25  # mean distance of the marks, in long sides of the box


class Memory:
    """The last raw body points of the people of each camera; bounded by the last call."""

    def __init__(self) -> None:
        self._seen: Dict[str, Tuple[np.ndarray, np.ndarray]] = {}

    def complete(
        self, camera: str, trunk: np.ndarray, scores: np.ndarray, boxes: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Candidates of one camera, with what they lack.

        Args:
            camera: its name.
            trunk: [N,23,2] px predicted, not changed.
            scores: [N,23], 0 = missing.
            boxes: [N,4] px.

        Returns:
            The same arrays; or new ones, where someone remembered was there of whom something
            was outside the frame: that is in its place beside the others, with score 1.
        """
        old, shown = self._seen.get(camera, (trunk[:0], scores[:0] > 0))
        if not len(old) or not len(trunk) or shown.all():
            return trunk, scores
        apart, common = _apart(trunk, scores > _KNOWN, old, shown)
        size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1).max(1)
        near = np.where(common >= _MARKS_LEAST, apart, np.inf)
        best = near.argmin(1)
        found = near[np.arange(len(trunk)), best] < _REACH * size
        lack = found[:, None] & ~shown[best]
        moved = old[best] + _step(trunk, (scores > _KNOWN) & shown[best], old[best])
        return (
            np.where(lack[..., None], moved, trunk).astype(np.float32),
            np.where(lack, np.float32(1), scores),
        )

    def keep(
        self, frames: Sequence[Frame], which: np.ndarray, trunk: np.ndarray, shown: np.ndarray
    ) -> None:
        """Remember this call's people.

        Args:
            frames: of this call.
            which: [N] index of the frame of each person.
            trunk: [N,23,2] px, copied.
            shown: [N,23] bool, inside the frame.
        """
        for i, frame in enumerate(frames):
            rows = which == i
            self._seen[frame.camera] = (trunk[rows], shown[rows])


def _apart(
    trunk: np.ndarray, known: np.ndarray, old: np.ndarray, shown: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Mean distance [N,M] px of the marks both have, and how many [N,M] those are."""
    both = (known[:, None, _MARKS] & shown[None, :, _MARKS]).astype(np.float32)
    step = trunk[:, None, _MARKS] - old[None, :, _MARKS]
    common = both.sum(-1)
    far = (np.hypot(step[..., 0], step[..., 1]) * both).sum(-1)
    return far / np.maximum(common, 1), common


def _step(trunk: np.ndarray, both: np.ndarray, old: np.ndarray) -> np.ndarray:
    """How far people have gone since, [N,1,2] px."""
    weight = both[..., None].astype(np.float32)
    moved = ((trunk - old) * weight).sum(1, keepdims=True)
    return np.asarray(moved / np.maximum(weight.sum(1, keepdims=True), 1))
