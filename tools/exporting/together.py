"""Convert the people of many frames at once: an operation costs more than its few numbers."""

from __future__ import annotations

import dataclasses
from typing import Callable, Generic, List, Sequence, Tuple, TypeVar

import numpy as np

from tools.exporting.sight import Sight

FRAMES = 32  # more of them are not faster, and a live export would lag behind
T = TypeVar("T")


class Together(Generic[T]):
    """Collects frames.

    Args:
        write: is called with some frames, each with its note, and with all their people in one
            record: those of the first frame, then those of the second, and so on. Of that record
            only arrays, size and skeleton mean something.
    """

    def __init__(self, write: Callable[[Sequence[Tuple[T, Sight]], Sight], None]) -> None:
        self._write = write
        self._waiting: List[Tuple[T, Sight]] = []

    def add(self, note: T, sight: Sight) -> None:
        """Collect one frame; its keypoints may differ from those of the frames before."""
        if self._waiting and self._waiting[0][1].skeleton != sight.skeleton:
            self.flush()
        self._waiting.append((note, sight))
        if len(self._waiting) >= FRAMES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write(waiting, _joined([sight for _, sight in waiting]))


def _joined(sights: List[Sight]) -> Sight:
    return dataclasses.replace(
        sights[0],
        ids=np.concatenate([s.ids for s in sights]),
        person_scores=np.concatenate([s.person_scores for s in sights]),
        boxes=np.concatenate([s.boxes for s in sights]),
        points=np.concatenate([s.points for s in sights]),
        scores=np.concatenate([s.scores for s in sights]),
    )
