"""The user's own empty room as a backdrop: a picture, a folder of pictures, or a video."""

from __future__ import annotations

from pathlib import Path
from typing import List

import cv2
import numpy as np

from edge.errors import DataError, NoInputError
from tools.calib import media

MOST_FRAMES = 60  # of a video are kept; a longer one is thinned out evenly


class Backdrops:
    """Frames of the user's recordings, in the size of the pictures.

    Args:
        words: files, folders or globs.
        width: px.
        height: px.

    Raises:
        NoInputError: a path does not exist. DataError: nothing in it can be read.
    """

    def __init__(self, words: List[Path], width: int, height: int) -> None:
        self._size = (width, height)
        self.frames: List[np.ndarray] = []
        problems: List[str] = []
        for clip in media.find([str(w) for w in words]):
            count = media.length(clip)
            step = max(1, -(-count // MOST_FRAMES))
            for _, _, image in media.read(clip, lambda i, s=step: i % s == 0):  # type: ignore[misc]
                self.frames.append(self._fitted(image))
            problems += clip.problems
        if not self.frames:
            raise DataError(problems[0] if problems else f"{words[0]}: has no frame")

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        """The middle of a frame, in our size."""
        width, height = self._size
        scale = max(width / image.shape[1], height / image.shape[0])
        size = (
            max(round(image.shape[1] * scale), width),
            max(round(image.shape[0] * scale), height),
        )
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        large = cv2.resize(image, size, interpolation=method)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        return large[top : top + height, left : left + width].copy()

    def frame(self, index: int) -> np.ndarray:
        """A copy of a frame; after the last comes the last but one, so that nothing jumps."""
        count = len(self.frames)
        place = index % max(2 * count - 2, 1)
        return self.frames[min(place, 2 * count - 2 - place) if count > 1 else 0].copy()


def require_files(words: List[Path]) -> None:
    """Check that backgrounds exist.

    Raises:
        NoInputError: one does not; names it.
    """
    for word in words:
        if not word.exists():
            raise NoInputError(f"--background {word}: no such file or folder")
